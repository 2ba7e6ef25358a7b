"""Windows of token ids to quantise models on, and others to measure them on. They share no token."""
from __future__ import annotations

import json
import subprocess
from pathlib import Path

# The relatives' held-out text: 24,576 tokens. table.py measures on the first ones.
TEXT = Path("models/long-context/held-out.ids")
MEASURED = 16384


def write_measured(file: Path) -> Path:
    return write(file, [held_out()[:MEASURED]])


def write_windows(file: Path, count: int, length: int) -> Path:
    """Windows for --calibration, from the text behind what is measured on."""
    return write(file, cut(held_out()[MEASURED:], count, length))


def held_out() -> list[int]:
    return [int(word) for word in TEXT.read_text().split()]


def write(file: Path, windows: list[list[int]]) -> Path:
    file.write_text("".join(" ".join(map(str, window)) + "\n" for window in windows))
    return file


def cut(ids: list[int], count: int, length: int) -> list[list[int]]:
    if len(ids) < count * length:
        raise SystemExit(f"the text has {len(ids)} tokens, expected {count * length}")
    return [ids[i * length:(i + 1) * length] for i in range(count)]


def drawn(base: str, tokens: int) -> list[int]:
    """Conversations of words that the bundled models never saw, as they are drawn for tools.mini."""
    from tools.mini import perplexity, tokenizer
    return perplexity.held_out_ids(tokenizer.load(Path(base, "tokenizer.model")), tokens)


def read(program: str, base: str, files: list[str]) -> list[int]:
    """The texts one after the other."""
    found = []
    for file in files:
        answer = subprocess.run([program, "tokenize", base, "--text", file, "--json"], check=True, capture_output=True, text=True)
        found += json.loads(answer.stdout)["ids"]
    return found
