"""`python -m tools.long_context STEP`: everything in docs/long-context.md, from a base checkpoint of tools.mini.

Steps: relatives (trains and quantises, needs --base), perplexity, recall, cache (measure with Ropewalk), document (tables
and pictures), recall-data (the questions, when the generator changes). `all` runs the first five.
"""

from __future__ import annotations

import argparse
import pathlib

from . import document, measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKENIZER = ROOT / "models" / "airophin-mini" / "tokenizer.model"
QUESTIONS = ROOT / "tests" / "fixtures" / "airophin-mini" / "recall.jsonl"
STEPS = ("relatives", "perplexity", "recall", "cache", "document")


def run_step(step: str, options: argparse.Namespace) -> None:
    data = ROOT / "docs" / "long-context"
    data.mkdir(exist_ok=True)
    text = options.models / "held-out.ids"
    program = measure.Program(options.ropewalk, ROOT / "configs" / "cpu.yaml")
    if step == "relatives":
        from . import relatives

        relatives.make(options.base, TOKENIZER, options.work, options.models, options.tokens)
    elif step == "recall-data":
        from . import recall_data

        recall_data.write(QUESTIONS)
    elif step == "perplexity":
        measure.write_text(TOKENIZER, text)
        measure.write_perplexity(program, options.models, text, data / "perplexity.csv")
    elif step == "recall":
        measure.write_recall(program, QUESTIONS, data / "recall.csv")
    elif step == "cache":
        measure.write_text(TOKENIZER, text)
        measure.write_cache(program, text, data / "cache.csv")
    elif step == "document":
        document.write(ROOT / "docs" / "long-context.md", data)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.long_context", description=__doc__)
    parser.add_argument("step", choices=STEPS + ("recall-data", "all"))
    parser.add_argument("--base", type=pathlib.Path, default=ROOT / "build" / "mini" / "base.pt")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build" / "long-context", help="checkpoints and text")
    parser.add_argument("--models", type=pathlib.Path, default=ROOT / "models" / "long-context")
    parser.add_argument("--tokens", type=float, default=1.2e6, help="extra tokens of each fine-tune")
    parser.add_argument("--ropewalk", type=pathlib.Path, default=ROOT / "build" / "release" / "bin" / "ropewalk")
    options = parser.parse_args()
    for step in STEPS if options.step == "all" else (options.step,):
        run_step(step, options)


if __name__ == "__main__":
    main()
