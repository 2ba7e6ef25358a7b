"""python -m tools.adapters.beside [--program P] [--sets N] [--windows N]: adapters beside quantised weights, and merged before.

All are made on the same windows of tokens and compared with the f16 model that the adapter is merged into, on other text: KL
beside over KL merged. The base is quantised without the adapter ("alone"), and with `quantize --adapter` ("for it"); a DoRA
runs with the lengths of the quantised rows, and with the base's ("norms"). A set of windows more or less changes a ratio by a
tenth, so there are several, drawn from words that the model never saw; the mean of the logarithms has two standard errors to
each side.
"""
from __future__ import annotations

import argparse
import itertools
import math
import statistics
import tempfile
from pathlib import Path

from tools.quantize import texts
from tools.quantize.table import BASE, CONFIG, divergence, run

ADAPTERS = ("lora", "rslora-patterns", "dora-linears")
LENGTH = 512


def write_config(path: Path, model: Path, adapter: Path | None, norms: bool = False) -> Path:
    lines = [f"extends: {CONFIG.resolve()}", f"model: {model.resolve()}"]
    base = f", base: {BASE.resolve()}" if norms else ""
    lines += [f"adapters: {{a: {{path: {adapter.resolve()}{base}}}}}", "adapter: a"] if adapter else []
    path.write_text("\n".join(lines) + "\n")
    return path


def quantised(program: str, model: Path, out: Path, windows: Path) -> Path:
    run(program, "quantize", str(model), "--out", str(out), "--calibration", str(windows), "--length", str(LENGTH), "--backend",
        "cpu")
    return out


def spread(ratios: list[float]) -> str:
    logs = [math.log(ratio) for ratio in ratios]
    mean, error = statistics.mean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    return (f"{math.exp(mean):.3f} ({math.exp(mean - 2 * error):.3f} to {math.exp(mean + 2 * error):.3f}), min / median / max "
            f"{min(ratios):.3f} / {statistics.median(ratios):.3f} / {max(ratios):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.adapters.beside")
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    parser.add_argument("--sets", type=int, default=6)
    parser.add_argument("--windows", type=int, default=8, help="of a set")
    options = parser.parse_args()
    program = options.program
    with tempfile.TemporaryDirectory() as folder:
        work, measured = Path(folder), texts.write_measured(Path(folder, "measured.ids"))
        count = options.sets * options.windows
        known = len(texts.held_out())  # the first tokens that are drawn; what is measured on is of them
        windows = texts.cut(texts.drawn(str(BASE), known + count * LENGTH)[known:], count, LENGTH)
        merged, targets = {}, {}
        for name in ADAPTERS:
            merged[name] = work / f"{name}-merged"
            run(program, "adapter", "merge", str(BASE), "--adapter", f"tests/fixtures/adapters/{name}", "--out", str(merged[name]),
                "--dtype", "f32")
            targets[name] = write_config(work / f"{name}-target.yaml", merged[name], None)
            exact = divergence(program, targets[name], write_config(work / "exact.yaml", BASE, Path("tests/fixtures/adapters", name)),
                               measured)
            print(f"{name}: KL {exact['kl_mean']:.2e} of the adapter beside the f16 weights", flush=True)
        ratios: dict[tuple[str, str], list[float]] = {}
        for number in range(options.sets):
            calibration = texts.write(work / "w.ids", windows[number * options.windows:(number + 1) * options.windows])
            alone = quantised(program, BASE, work / f"base-{number}", calibration)
            for name in ADAPTERS:
                adapter, made = Path("tests/fixtures/adapters", name), work / "made.yaml"
                whole = quantised(program, merged[name], work / f"{name}-{number}", calibration)
                own = quantised(program, write_config(made, BASE, adapter), work / f"{name}-for-{number}", calibration)
                merged_kl = divergence(program, targets[name], write_config(made, whole, None), measured)
                lengths = (False, True) if name.startswith("dora") else (False,)
                for base, norms in itertools.product((alone, own), lengths):
                    beside = divergence(program, targets[name], write_config(made, base, adapter, norms), measured)
                    kind = ("alone" if base is alone else "for it") + (", norms" if norms else "")
                    ratios.setdefault((name, kind), []).append(beside["kl_mean"] / merged_kl["kl_mean"])
                    print(f"{name}, set {number + 1}, {kind}: KL {beside['kl_mean']:.5f}, {merged_kl['kl_mean']:.5f} merged; "
                          f"perplexity {beside['perplexity_b']:.3f}, {merged_kl['perplexity_b']:.3f}, of the f16 model "
                          f"{merged_kl['perplexity_a']:.3f}", flush=True)
        for (name, kind), of in ratios.items():
            print(f"{name}, {kind}: KL ratio {spread(of)}", flush=True)


if __name__ == "__main__":
    main()
