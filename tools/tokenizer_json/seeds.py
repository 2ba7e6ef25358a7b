"""tests/fuzz/corpus/tokenizer_json and split_regex: small sound files, and each way to be wrong that the tests name."""
from __future__ import annotations

import json
from pathlib import Path

from tokenizers import pre_tokenizers

from . import variants

BYTES = {character: id for id, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
FALLBACK = {name: id for id, name in enumerate(variants.BYTES)}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}


def sound(**changes) -> dict:
    file = {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": 300, "content": "</s>", "special": True, "normalized": False, "lstrip": True, "rstrip": True, "single_word": False},
                             {"id": 301, "content": "Word", "special": False, "normalized": True, "single_word": True}],
            "normalizer": {"type": "NFC"}, "pre_tokenizer": BYTE_LEVEL, "post_processor": None, "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": BYTES | {"he": 256, "ll": 257, "hell": 258}, "merges": ["h e", "l l", "he ll"]}}
    return file | changes


def llama() -> dict:
    return sound(normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                                                                 {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
                 pre_tokenizer=None,
                 decoder={"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                                                           {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
                 model={"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
                        "vocab": FALLBACK | {"<unk>": 256, "▁": 257, "h": 258, "▁h": 259}, "merges": [["▁", "h"]]})


def model(**changes) -> dict:
    return sound(model=sound()["model"] | changes)


def split(behavior: str, **pattern) -> dict:
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": False}


def seeds() -> dict[str, str]:
    files = {
        "byte-level": sound(), "llama": llama(), "pairs": model(merges=[["h", "e"], ["l", "l"]], ignore_merges=True),
        "splits": sound(pre_tokenizer={"type": "Sequence", "pretokenizers": [
            split("Isolated", Regex=variants.LLAMA_3), split("MergedWithNext", String="l"), split("Contiguous", Regex=r"\p{N}"),
            {"type": "Digits", "individual_digits": True}, BYTE_LEVEL | {"use_regex": False, "add_prefix_space": True}]}),
        "metaspace": llama() | {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
                                "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}},
        "unknown": llama() | {"model": {"type": "BPE", "unk_token": "<unk>", "vocab": {"<unk>": 0, "h": 1, "▁": 2}, "merges": []}},
        "template": sound(post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "</s>"}}, {"Sequence": {"id": "A"}}],
                                          "special_tokens": {"</s>": {"id": "</s>", "ids": [300], "tokens": ["</s>"]}}}),
        "template-unknown": sound(post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "special_tokens": {}}),
        "not-an-object": [], "no-model": {}, "unigram": {"model": {"type": "Unigram", "vocab": [["a", -1.0]]}},
        "no-vocabulary": {"model": {"merges": []}}, "no-merges": {"model": {"vocab": {}}}, "empty-vocabulary": {"model": {"vocab": {}, "merges": []}},
        "id-negative": model(vocab={"a": -1}), "id-fraction": model(vocab={"a": 1.5}), "id-far": model(vocab={"a": 2000000}),
        "id-twice": model(vocab=BYTES | {"x": 3}), "name-empty": model(vocab={"": 0}), "merge-unknown": model(merges=["h x y", "q"]),
        "merge-of-unknown": model(merges=["zz y"]), "merge-result": model(merges=["e h"]), "merge-of-three": model(merges=[["h", "e", "l"]]),
        "byte-missing": model(vocab={k: v for k, v in BYTES.items() if k != "A"}), "fallback-missing": llama() | {"model": model(byte_fallback=True)["model"]},
        "unk-missing": model(unk_token="<unk>"), "added-empty": sound(added_tokens=[{"id": 300, "content": ""}]),
        "added-conflict": sound(added_tokens=[{"id": 3, "content": "x"}]), "added-twice": sound(added_tokens=[{"id": 300, "content": "x"}, {"id": 300, "content": "y"}]),
        "bad-regex": sound(pre_tokenizer=split("Isolated", Regex="(a")), "refused-regex": sound(pre_tokenizer=split("Isolated", Regex=r"(?<=a)\w")),
        "unknown-types": sound(normalizer={"type": "Lowercase"}), "truncation": sound(truncation={"max_length": 512}, padding={}),
        "duplicate-merge": model(merges=["h e", "l l", "h e"]), "special-is-a-byte": sound(added_tokens=[{"id": BYTES["A"], "content": "A", "special": True}]),
    }
    deep: dict = {"type": "NFC"}
    for _ in range(9):
        deep = {"type": "Sequence", "normalizers": [deep]}
    files["deep"] = sound(normalizer=deep)
    texts = {name: json.dumps(file, ensure_ascii=False, separators=(",", ":")) for name, file in files.items()}
    return texts | {"cut": texts["byte-level"][:1500], "duplicate-key": '{"model":{"vocab":{"a":0,"a":1},"merges":[]}}', "empty": ""}


def patterns() -> dict[str, str]:
    text = "\nIt's  3.14  Größe 漢字 \t\r\n\n \U00031350 \u180e x   "
    named = {"llama-3": variants.LLAMA_3, "qwen3.5": variants.QWEN_3_5, "o200k": variants.O200K, "cl100k": variants.CL100K, "odd": variants.ODD,
             "categories": variants.CATEGORIES, "empty-matches": "x*|(?=a)", "exponential": r"(\p{L}+)+$", "refused": r"(?<=a)\w+", "nested": "[a[b]]",
             "spaces-at-ends": r"\s+$", "literal-ranges": variants.DEEPSEEK_LLM[1]}
    return {name: pattern + text for name, pattern in named.items()}


def write(root: Path) -> None:
    for kind, files in (("tokenizer_json", seeds()), ("split_regex", patterns())):
        folder = root / "tests/fuzz/corpus" / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        (folder / "not-utf8").write_bytes(b'{"model": "\xff"}')
        print(f"wrote {len(files) + 1} seeds of {kind}")
