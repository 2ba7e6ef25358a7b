"""python -m tools.tokenizer_json WHAT: see README.md."""
from __future__ import annotations

import argparse
import importlib
from pathlib import Path

KINDS = {"unicode": "unicode_tables", "fixtures": "fixtures", "seeds": "seeds"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.tokenizer_json", description="Write what `tokenizers` decides.")
    parser.add_argument("what", choices=("all",) + tuple(KINDS))
    parser.add_argument("--root", type=Path, default=Path("."), help="the repository")
    options = parser.parse_args()
    for kind in KINDS if options.what == "all" else (options.what,):
        importlib.import_module(f".{KINDS[kind]}", __package__).write(options.root)


main()
