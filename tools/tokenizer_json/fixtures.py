"""tests/fixtures/bpe/NAME: a small tokenizer.json for each variant, and the ids and texts that `tokenizers` gives."""
from __future__ import annotations

import json
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer

from .texts import marked_texts, plain_texts
from .variants import Variant, variants

FEW = 6  # every sixth text


def texts_of(variant: Variant) -> list[str]:
    names = [token.content for token in variant.added]
    if variant.texts == "added":
        return plain_texts()[::FEW] + marked_texts(names)
    if variant.texts == "few":
        return plain_texts()[::2]
    return plain_texts() + marked_texts(names[-2:])


def written(variant: Variant) -> str:
    text = json.loads(variant.tokenizer.to_str())
    if variant.legacy_merges:
        text["model"]["merges"] = [" ".join(pair) for pair in text["model"]["merges"]]
    return json.dumps(text, ensure_ascii=False, separators=(",", ":"))


def row(tokenizer: Tokenizer, text: str) -> list:
    """[text, ids, decoded or null where it is the text, ids where special names are text or null where they are the same]"""
    tokenizer.encode_special_tokens = False
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    decoded = tokenizer.decode(ids)
    tokenizer.encode_special_tokens = True
    as_text = tokenizer.encode(text, add_special_tokens=False).ids
    return [text, ids, None if decoded == text else decoded, None if as_text == ids else as_text]


def write(root: Path) -> None:
    total = 0
    for variant in variants():
        variant.train()
        folder = root / "tests/fixtures/bpe" / variant.name
        folder.mkdir(parents=True, exist_ok=True)
        file = written(variant)
        (folder / "tokenizer.json").write_text(file)
        if variant.config:
            (folder / "tokenizer_config.json").write_text(json.dumps(variant.config) + "\n")
        tokenizer = Tokenizer.from_str(file)
        front = tokenizer.encode("", add_special_tokens=True).ids
        rows = ",\n".join(json.dumps(row(tokenizer, text), separators=(",", ":")) for text in texts_of(variant))
        head = json.dumps({"source": f"tokenizers {tokenizers.__version__}", "front": front})
        cases = f'{head[:-1]},\n"rows":[\n{rows}\n]}}\n'
        (folder / "cases.json").write_text(cases)
        total += len(file.encode()) + len(cases)
    print(f"wrote {len(variants())} tokenizers, {total} bytes")
