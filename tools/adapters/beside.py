"""python -m tools.adapters.beside [--program P]: adapters beside quantised weights, and merged before quantising.

Both are made on the same windows of tokens and compared with the f16 model that the adapter is merged into, on other text: KL
of the one over KL of the other. A set of windows more or less changes it by a tenth, so there are four (tools/quantize/texts.py).
"""
from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

from tools.quantize import texts
from tools.quantize.table import BASE, CONFIG, divergence, run

ADAPTERS = ("lora", "rslora-patterns")
SETS, WINDOWS, LENGTH = 4, 4, 512


def write_config(path: Path, model: Path, adapter: Path | None) -> Path:
    lines = [f"extends: {CONFIG.resolve()}", f"model: {model.resolve()}"]
    lines += [f"adapters: {{a: {adapter.resolve()}}}", "adapter: a"] if adapter else []
    path.write_text("\n".join(lines) + "\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.adapters.beside")
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    program = parser.parse_args().program
    with tempfile.TemporaryDirectory() as folder:
        work, measured = Path(folder), texts.write_measured(Path(folder, "measured.ids"))
        windows = texts.cut(texts.held_out()[texts.MEASURED:], SETS * WINDOWS, LENGTH)
        for name in ADAPTERS:
            adapter = Path("tests/fixtures/adapters", name)
            merged, ratios = work / f"{name}-merged", []
            run(program, "adapter", "merge", str(BASE), "--adapter", str(adapter), "--out", str(merged), "--dtype", "f32")
            target = write_config(work / "target.yaml", merged, None)
            for number in range(SETS):
                calibration = texts.write(work / "w.ids", windows[number * WINDOWS:(number + 1) * WINDOWS])
                found = {}
                for what, model, beside in (("beside", BASE, adapter), ("merged", merged, None)):
                    out = work / f"{name}-{what}-{number}"
                    run(program, "quantize", str(model), "--out", str(out), "--calibration", str(calibration), "--length",
                        str(LENGTH), "--backend", "cpu")
                    found[what] = divergence(program, target, write_config(work / "made.yaml", out, beside), measured)
                ratios.append(found["beside"]["kl_mean"] / found["merged"]["kl_mean"])
                print(f"{name}, set {number + 1}: KL {found['beside']['kl_mean']:.5f} beside, {found['merged']['kl_mean']:.5f} "
                      f"merged; perplexity {found['beside']['perplexity_b']:.3f}, {found['merged']['perplexity_b']:.3f}, of the "
                      f"f16 model {found['merged']['perplexity_a']:.3f}", flush=True)
            print(f"{name}: KL ratio {math.exp(sum(map(math.log, ratios)) / SETS):.3f} "
                  f"({', '.join(f'{ratio:.3f}' for ratio in ratios)})", flush=True)


if __name__ == "__main__":
    main()
