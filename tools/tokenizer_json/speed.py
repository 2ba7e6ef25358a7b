"""python -m tools.tokenizer_json.speed MODEL_DIR FILE [ROUNDS]: what `tokenizers` takes for what bench/tokenizer_bench measures.

Processor time of one thread: the library splits a batch over threads, and one text is no batch.
"""
from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

import tokenizers


def times(rounds: int, work) -> str:
    taken = []
    for _ in range(rounds):
        begin = time.thread_time()
        work()
        taken.append(time.thread_time() - begin)
    return f"min {min(taken):.4f} s, median {median(taken):.4f} s, max {max(taken):.4f} s of {rounds} rounds"


def main() -> None:
    file, text = str(Path(sys.argv[1]) / "tokenizer.json"), Path(sys.argv[2]).read_text()
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 9
    print("open:", times(rounds, lambda: tokenizers.Tokenizer.from_file(file)))
    tokenizer = tokenizers.Tokenizer.from_file(file)
    tokenizer.encode_special_tokens = True

    def encode() -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    print("encode:", times(rounds, encode))
    print(f"{len(text.encode())} bytes, {encode()} ids, tokenizers {tokenizers.__version__}")


main()
