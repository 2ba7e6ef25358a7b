"""`python -m tools.mini STEP`: builds models/airophin-mini and what goes with it. `all` runs every step in order."""

from __future__ import annotations

import argparse
import json
import pathlib

from . import evaluate, export, heldout, perplexity, quantize, tokenizer, train

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUANTISED = ROOT / "models" / "airophin-mini"
HALF = ROOT / "models" / "airophin-mini-f16"
FIXTURES = ROOT / "tests" / "fixtures" / "airophin-mini"
WINDOWS = (64, 128, 256, 512, 768)
PERPLEXITY_TOKENS = 49152  # a multiple of every window length

STEPS = ("tokenizer", "base", "extend", "quantize", "fixtures", "evaluate")


def phases(minutes: float, extension_minutes: float) -> dict[str, train.Phase]:
    return {
        "base": train.Phase("base", minutes, 256, 1.0, muon_rate=0.02, adam_rate=3e-3, easy=0.04),
        "extend": train.Phase(
            "extend",
            extension_minutes,
            512,
            export.ROPE_FACTOR,
            muon_rate=0.006,
            adam_rate=1e-3,
            warm_up=0.03,
            batch=4,
            seed=5678,
            context_late=0.0,
        ),
    }


def report(line: dict) -> None:
    print(json.dumps(line), flush=True)


def run_step(step: str, options: argparse.Namespace) -> None:
    work = options.work
    tokenizer_path, base, extended = work / "tokenizer.model", work / "base.pt", work / "extended.pt"
    if step == "tokenizer":
        tokenizer.train(tokenizer_path)
        return
    sp = tokenizer.load(tokenizer_path)
    phase = phases(options.minutes, options.extension_minutes)
    if step == "base":
        train.run(phase["base"], tokenizer_path, base)
    elif step == "extend":
        train.run(phase["extend"], tokenizer_path, extended, start_from=base)
    elif step == "quantize":
        model = train.load(extended)
        quantised, matrices = quantize.quantise_model(model, quantize.calibration_ids(sp), export.ROPE_FACTOR)
        export.write_half(HALF, model, tokenizer_path)
        export.write_quantised(QUANTISED, quantised, matrices, tokenizer_path)
    elif step == "fixtures":
        heldout.write_all(FIXTURES, QUANTISED, sp)
    elif step == "evaluate":
        evaluate_all(base, extended, sp, options.questions)


def evaluate_all(base_path: pathlib.Path, extended_path: pathlib.Path, sp, questions: int) -> None:
    """The published exam (40 of a kind), a larger one of the same sort, and perplexity by window length."""
    base, extended = train.load(base_path), train.load(extended_path)
    subjects = {
        "base": lambda ids: base(ids, 1.0),
        "base, factor 2, not trained": lambda ids: base(ids, export.ROPE_FACTOR),
        "extended, float32": lambda ids: extended(ids, export.ROPE_FACTOR),
        "float16 file": export.logits_of(HALF),
        "quantised file": export.logits_of(QUANTISED),
    }
    ids = perplexity.held_out_ids(sp, PERPLEXITY_TOKENS)
    large = evaluate.draw_exam(questions, seed=86420)
    for name, logits_of in subjects.items():
        rows = perplexity.by_window(logits_of, ids, WINDOWS)
        report({"model": name, "perplexity": {n: [round(a, 3), round(b, 3)] for n, (a, b) in rows.items()}})
        if not name.startswith("base"):
            report({"model": name, "exam": heldout.scores_of(logits_of, sp)})
            report({"model": name, "large_exam": evaluate.score(logits_of, sp, large)})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.mini", description=__doc__)
    parser.add_argument("step", choices=STEPS + ("all",))
    parser.add_argument(
        "--work", type=pathlib.Path, default=ROOT / "build" / "mini", help="folder for checkpoints"
    )
    parser.add_argument("--minutes", type=float, default=42, help="time budget of the base phase")
    parser.add_argument(
        "--extension-minutes", type=float, default=9, help="time budget of the interpolation phase"
    )
    parser.add_argument("--questions", type=int, default=200, help="questions of a kind in the large exam")
    options = parser.parse_args()
    for step in STEPS if options.step == "all" else (options.step,):
        report({"step": step})
        run_step(step, options)


if __name__ == "__main__":
    main()
