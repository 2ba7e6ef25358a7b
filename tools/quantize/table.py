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
ROWS = (("--bits 4", "--group-size 32", "--order act"), ("--bits 4", "--group-size 32", "--order static"),
        ("--bits 4", "--group-size 32", "--order gar"), ("--bits 4", "--group-size 32", "--order none"),
        ("--bits 4", "--group-size 32", "--order act", "--search mse"),
        ("--bits 4", "--group-size 32", "--order act", "--search none"),
        ("--bits 4", "--group-size 32", "--order act", "--no-true-sequential"),
        ("--bits 4", "--group-size 32", "--order act", "--asymmetric-calibration"),
        ("--bits 4", "--group-size 32", "--order act", "--asym --zeros v2"), ("--bits 4", "--group-size 64", "--order act"),
        ("--bits 4", "--group-size -1", "--order act"), ("--bits 3", "--group-size 32", "--order act"),
        ("--bits 3", "--group-size 32", "--order act", "--asymmetric-calibration"),
        ("--bits 3", "--group-size 32", "--order act", "--asym --zeros v2"),
        ("--bits 2", "--group-size 32", "--order act"), ("--bits 8", "--group-size 32", "--order act"),
        ("--bits 4", "--group-size 32", "--method rtn"), ("--bits 3", "--group-size 32", "--method rtn"))


def run(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


def recall(program: str, config: Path) -> float:
    answer = json.loads(run(program, "recall", str(config), "--data", "tests/fixtures/airophin-mini/recall.jsonl", "--length",
                            "448", "--backend", "cpu", "--json"))
    return sum(cell["exact"] for cell in answer["cells"]) / sum(cell["cases"] for cell in answer["cells"])


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
        base = write_config(work / "base.yaml", BASE)
        for number, row in enumerate(ROWS):
            out = work / str(number)
            options = " ".join(row)
            answer = run(program, "quantize", str(BASE), "--out", str(out), "--calibration", str(windows), "--length",
                         "512", "--backend", "cpu", "--json", *options.split())
            errors = json.loads(answer.splitlines()[-1])
            made = write_config(work / "out.yaml", out)
            compared = json.loads(run(program, "compare", str(base), str(made), "--ids", str(texts.MEASURED), "--context",
                                      "512", "--backend", "cpu", "--json"))
            size = (out / "model.safetensors").stat().st_size / 1e6
            print(f"| `{options}` | {size:.2f} MB | {errors['mean_error']:.5f} | {errors['mean_rtn_error']:.5f} | "
                  f"{compared['kl_mean']:.4f} | {compared['perplexity_b']:.3f} | {recall(program, made):.2f} |", flush=True)
        print(f"\nThe f16 model's perplexity: {compared['perplexity_a']:.3f}, its recall {recall(program, base):.2f}.")


main()
