"""Trains and quantises the relatives: one base, and three fine-tunes of it at twice its context with equal extra tokens.

linear and ntk-by-parts are trained under their policy, control under none, and base is the base itself. Two seeds differ
in the documents of the fine-tune. Every one is quantised as the bundled model is (4 bits, groups of 32, act-order).
"""

from __future__ import annotations

import json
import pathlib
import time
from dataclasses import dataclass

from tools.mini import export, quantize, tokenizer, train

from .policies import FACTOR, applied

SEEDS = (1, 2)


@dataclass(frozen=True)
class Relative:
    name: str
    policy: str  # under which it is trained and quantised
    rope: dict  # its own policy, as the engine's rope block


def by_parts(base_context: int) -> dict:
    return {"policy": "ntk-by-parts", "factor": FACTOR, "original_max_position_embeddings": base_context}


def relatives(base_context: int) -> list[Relative]:
    return [
        Relative("linear", "linear", {"policy": "linear", "factor": FACTOR}),
        Relative("ntk-by-parts", "ntk-by-parts", by_parts(base_context)),
        Relative("control", "none", {"policy": "none"}),
    ]


def phase(relative: Relative, seed: int, length: int, tokens: float) -> train.Phase:
    """The base's objective and no drills: what differs between relatives is the policy alone."""
    return train.Phase(
        f"{relative.name}-seed{seed}",
        tokens,
        240,
        length,
        FACTOR,
        muon_rate=0.01,
        adam_rate=1.5e-3,
        batch=4,
        seed=1000 + seed,
        drill=0.0,
        context_late=1.0,
    )


def write(folder: pathlib.Path, model, policy: str, length: int, sp, tokenizer_path: pathlib.Path) -> None:
    """Quantises `model` under the policy and says in its config.json what the policy is, where that has a spelling."""
    with applied(policy):
        quantised, matrices = quantize.quantise_model(
            model, quantize.calibration_ids(sp, length=length), FACTOR, report=lambda line: None
        )
    export.write_quantised(folder, quantised, matrices, tokenizer_path)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["max_position_embeddings"] = length
    if policy != "linear":
        config["rope_scaling"] = None
    if policy == "ntk-by-parts":
        config["original_max_position_embeddings"] = model.shape.base_context
    path.write_text(json.dumps(config, indent=2) + "\n")


def make(base: pathlib.Path, tokenizer_path: pathlib.Path, work: pathlib.Path, out: pathlib.Path, tokens: float) -> None:
    """Skips what `out` holds already, so that an interrupted run can be begun again."""
    sp = tokenizer.load(tokenizer_path)
    work.mkdir(parents=True, exist_ok=True)
    shape = train.load(base).shape
    length = int(shape.base_context * FACTOR)
    if not (out / "base").exists():
        write(out / "base", train.load(base), "none", shape.base_context, sp, tokenizer_path)
    for seed in SEEDS:
        for relative in relatives(shape.base_context):
            folder = out / f"{relative.name}-seed{seed}"
            if folder.exists():
                continue
            start = time.time()
            checkpoint = work / f"{folder.name}.pt"
            with applied(relative.policy):
                train.run(phase(relative, seed, length, tokens), tokenizer_path, checkpoint, start_from=base)
            write(folder, train.load(checkpoint), relative.policy, length, sp, tokenizer_path)
            print(json.dumps({"made": folder.name, "tokens": tokens, "seconds": round(time.time() - start)}), flush=True)
