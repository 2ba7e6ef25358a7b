"""python -m tools.quantize.table [--program P]: the table of docs/quantising.md, measured on the bundled f16 model.

Calibrates and measures on texts that share no token (texts.py). The bundled model has a context of 512 tokens; recall is
the share of exact answers at 448 tokens, five depths with 20 questions each.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from . import texts

BASE, CONFIG = Path("models/airophin-mini-f16"), Path("configs/airophin-mini.yaml")
G32 = "--bits 4 --group-size 32"
ROWS = (f"{G32} --order act", f"{G32} --order static", f"{G32} --order gar", f"{G32} --order none",
        "--bits 2 --group-size 32", "--bits 3 --group-size 32", "--bits 8 --group-size 32", "--bits 4 --group-size 16",
        "--bits 4 --group-size 64", "--bits 4 --group-size -1", "--bits 3 --group-size 64", f"{G32} --search mse",
        f"{G32} --search none", f"{G32} --asym --zeros v2", "--bits 3 --group-size 32 --asym --zeros v2",
        f"{G32} --no-true-sequential", f"{G32} --asymmetric-calibration", "--bits 3 --group-size 32 --asymmetric-calibration",
        f"{G32} --method rtn", "--bits 3 --group-size 32 --method rtn")


def run(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


def recall(program: str, config: Path) -> float:
    answer = json.loads(run(program, "recall", str(config), "--data", "tests/fixtures/airophin-mini/recall.jsonl", "--length",
                            "448", "--backend", "cpu", "--json"))
    return sum(cell["exact"] for cell in answer["cells"]) / sum(cell["cases"] for cell in answer["cells"])


def divergence(program: str, base: Path, made: Path, measured: Path) -> dict:
    """Of two configurations' models."""
    return json.loads(run(program, "compare", str(base), str(made), "--ids", str(measured), "--context", "512", "--backend", "cpu",
                          "--json"))


def write_config(path: Path, model: Path) -> Path:
    """The bundled configuration with another model."""
    path.write_text(f"extends: {CONFIG.resolve()}\nmodel: {model.resolve()}\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.quantize.table")
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    program = parser.parse_args().program
    print("| options | size | mean e | rtn e | KL | perplexity | recall |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        windows = texts.write_windows(work / "w.ids", 16, 512)
        measured = texts.write_measured(work / "measured.ids")
        base = write_config(work / "base.yaml", BASE)
        for number, options in enumerate(ROWS):
            out = work / str(number)
            answer = run(program, "quantize", str(BASE), "--out", str(out), "--calibration", str(windows), "--length",
                         "512", "--backend", "cpu", "--json", *options.split())
            errors = json.loads(answer.splitlines()[-1])
            made = write_config(work / "out.yaml", out)
            compared = divergence(program, base, made, measured)
            size = (out / "model.safetensors").stat().st_size / 1e6
            print(f"| `{options}` | {size:.2f} MB | {errors['mean_error']:.5f} | {errors['mean_rtn_error']:.5f} | "
                  f"{compared['kl_mean']:.4f} | {compared['perplexity_b']:.3f} | {recall(program, made):.2f} |", flush=True)
        print(f"\nThe f16 model's perplexity: {compared['perplexity_a']:.3f}, its recall {recall(program, base):.2f}.")


if __name__ == "__main__":
    main()
