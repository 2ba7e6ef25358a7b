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

PHASES = ("base", "extend", "refine")
STEPS = ("tokenizer",) + PHASES + ("quantize", "fixtures", "evaluate")


def schedule(minutes: dict[str, float]) -> dict[str, train.Phase]:
    """The phases in order. Each ends with its tokens or with its minutes, whichever comes first.

    `extend` and `refine` are the same training twice: the second starts with a high rate again and gains by it.
    """
    longer = {"length": 512, "rope_factor": export.ROPE_FACTOR, "batch": 4, "context_late": 0.0, "drill": 0.5}
    return {
        "base": train.Phase(
            "base", 10e6, minutes["base"], 256, 1.0, muon_rate=0.02, adam_rate=3e-3, easy=0.04, drill=0.3
        ),
        "extend": train.Phase(
            "extend", 19e6, minutes["extend"], muon_rate=0.015, adam_rate=2e-3, seed=2468, **longer
        ),
        "refine": train.Phase(
            "refine",
            14e6,
            minutes["refine"],
            muon_rate=0.014,
            adam_rate=2e-3,
            seed=9753,
            start_at=0.4,
            **longer,
        ),
    }


def report(line: dict) -> None:
    print(json.dumps(line), flush=True)


def run_step(step: str, options: argparse.Namespace) -> None:
    work = options.work
    tokenizer_path = work / "tokenizer.model"
    checkpoints = {name: work / f"{name}.pt" for name in PHASES}
    if step == "tokenizer":
        prepare_tokenizer(tokenizer_path, options.new_tokenizer)
        return
    sp = tokenizer.load(tokenizer_path)
    if step in PHASES:
        minutes = {name: getattr(options, f"{name}_minutes") for name in PHASES}
        earlier = checkpoints[PHASES[PHASES.index(step) - 1]] if step != PHASES[0] else None
        train.run(schedule(minutes)[step], tokenizer_path, checkpoints[step], start_from=earlier)
    elif step == "quantize":
        model = train.load(checkpoints["refine"])
        quantised, matrices = quantize.quantise_model(model, quantize.calibration_ids(sp), export.ROPE_FACTOR)
        export.write_half(HALF, model, tokenizer_path)
        export.write_quantised(QUANTISED, quantised, matrices, tokenizer_path)
    elif step == "fixtures":
        heldout.write_all(FIXTURES, QUANTISED, sp)
    elif step == "evaluate":
        evaluate_all(checkpoints["base"], checkpoints["refine"], sp, options.questions)


def prepare_tokenizer(path: pathlib.Path, new: bool) -> None:
    """The tokenizer that the repository ships, whose ids other tests rely on, or a newly trained one."""
    shipped = QUANTISED / "tokenizer.model"
    if new or not shipped.exists():
        tokenizer.train(path)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(shipped.read_bytes())


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
    for name, limit in (("base", 60), ("extend", 120), ("refine", 90)):
        parser.add_argument(
            f"--{name}-minutes", type=float, default=limit, help=f"time limit of phase {name}"
        )
    parser.add_argument(
        "--new-tokenizer", action="store_true", help="train the tokenizer instead of keeping it"
    )
    parser.add_argument("--questions", type=int, default=200, help="questions of a kind in the large exam")
    options = parser.parse_args()
    for step in STEPS if options.step == "all" else (options.step,):
        report({"step": step})
        run_step(step, options)


if __name__ == "__main__":
    main()
