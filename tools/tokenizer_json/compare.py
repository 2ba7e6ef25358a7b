"""python -m tools.tokenizer_json.compare BENCH MODEL_DIR [COUNT] [SEED]: random texts through bench/tokenizer_bench and `tokenizers`.

Prints the first texts whose ids or decoded text differ, and how many do; ends with 1 where any does.
"""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tokenizers import Tokenizer

from .texts import marked_texts, plain_texts, random_texts


def main() -> None:
    bench, folder = sys.argv[1], Path(sys.argv[2])
    count, seed = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((3, 10_000), (4, 1)))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    names = [token.content for token in tokenizer.get_added_tokens_decoder().values()][:40]
    texts = plain_texts() + marked_texts(names) + random_texts(count, seed)
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    ours = subprocess.run([bench, str(folder), "--lines"], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    differ = 0
    for text, line in zip(texts, ours.decode().split("\n")[:-1], strict=True):
        row = []
        for as_text in (False, True):
            tokenizer.encode_special_tokens = as_text
            row.append(tokenizer.encode(text, add_special_tokens=False).ids)
        expected = [row[0], tokenizer.decode(row[0]), row[1]]
        if json.loads(line) != expected:
            differ += 1
            if differ <= 5:
                print(f"{text!r}\n  tokenizers {expected}\n  ropewalk   {json.loads(line)}")
    print(f"{folder.name}: {len(texts)} texts, {differ} differ")
    sys.exit(differ > 0)


main()
