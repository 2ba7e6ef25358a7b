"""python -m tools.quantize (compare | rows | codes | load) [--program P] [--base DIR] [--tools T...] [--bits 4] ...

`compare` quantises the base with ropewalk and with the solvers of other tools, on the same windows of tokens, and prints the
errors of all matrices beside each other and how far the models are from the base on other text. It does so on several sets
of windows (--sets), since one set's figures hold much chance (measure.py), and tells each maker's time; Ctrl-C prints what the
finished sets say. `rows` does it for several settings and prints a table; it fails where a bar is missed (BARS) by more than
chance. `codes` counts which codes are the same. `load` quantises with ropewalk and lets AutoGPTQ's reader open the result:
transformers' log-probabilities with these weights against ropewalk's.
"""
from __future__ import annotations

import argparse
import contextlib
import copy
import itertools
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import load_file

from . import autogptq, gptqmodel, texts
from .measure import interval, measured
from .packed import dequantised
from .sequential import SETS, dense, inputs_of, opened, output, quantised

TOOLS = {"autogptq": autogptq.Solver, "gptqmodel": gptqmodel.Solver}
# The errors over the tool's: mean and max with the same settings, mean with our defaults; perplexities over the tool's.
BARS = {"mean": 1.005, "max": 1.03, "best": 0.95, "perplexity": 1.005, "perplexity of our defaults": 1.005}
SAME, DEFAULT = "same settings", "our defaults"


def run(program: str, *arguments: str) -> str:
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def skipped(options) -> list[str]:
    """Of ropewalk's options: the layers behind the first --layers stay dense."""
    layers = json.loads(Path(options.base, "config.json").read_text())["num_hidden_layers"]
    return [word for layer in range(options.layers or layers, layers) for word in ("--skip", f"layers.{layer}.*")]


def quantise(options, windows: list[list[int]], out: Path, *more: str) -> Path:
    """The folder that ropewalk makes, calibrated on exactly these windows."""
    ids = texts.write(out.with_suffix(".ids"), windows)
    run(options.program, "quantize", options.base, "--out", str(out), "--calibration", str(ids), "--samples",
        str(len(windows)), "--length", str(len(windows[0])), "--bits", str(options.bits), "--group-size",
        str(options.group_size), "--order", options.order, "--backend", "cpu", "--set", "context.kv_cache=f32",
        *skipped(options), *more)
    return out


def texts_of(options) -> tuple[list[list[list[int]]], list[list[int]]]:
    """The sets of windows to quantise on, and the windows to measure on."""
    count, length = options.samples * options.sets, options.length
    if options.calibration:
        read = lambda files: texts.read(options.program, options.base, files)
        windows, others = texts.cut(read(options.calibration), count, length), read(options.held_out)
        apart = texts.cut(others, min(options.measured, len(others)) // length, length)
    else:
        apart = options.measured // length
        windows = texts.cut(texts.drawn(options.base, (apart + count) * length), apart + count, length)
        windows, apart = windows[apart:], windows[:apart]
    return [windows[i:i + options.samples] for i in range(0, count, options.samples)], apart


def errors_of(folder: Path) -> dict[str, float]:
    report = json.loads((folder / "ropewalk-quantize.json").read_text())
    return {matrix["name"]: matrix["error"] for matrix in report["matrices"]}


def with_weights(options, plain: dict[str, torch.Tensor]):
    model = dense(options.base)
    model.load_state_dict(plain, strict=False)
    return model


def of_one_set(options, windows: list[list[int]], work: Path):
    """Models and errors of matrices, by who made them."""
    search = "mse" if options.mse else "none"
    asym = ("--asym", "--zeros", "v2") if options.asym else ()
    # Both tools find a group's range when its block of 128 columns begins.
    settings = {SAME: ("--search", search, "--compat", "autogptq"), DEFAULT: ()}
    models, errors = {}, {}
    for name, more in settings.items():
        with timed(name):
            folder = quantise(options, windows, work / name.split()[-1], *more, *asym)
            models[name] = with_weights(options, dequantised(folder, options.bits, 0 if asym else 1))
            errors[name] = errors_of(folder)
    for tool in options.tools:
        with timed(tool):
            models[tool], errors[tool] = quantised(TOOLS[tool], options, windows)
    return models, errors


@contextlib.contextmanager
def timed(what: str):
    start = time.time()
    yield
    print(f"    {what}: {time.time() - start:.0f} s", flush=True)


class Ratio:
    """What one maker's models have over another's."""

    def __init__(self, a: str, b: str, errors: list[dict], losses: dict, apart: dict):
        logs = torch.tensor([[found[a][name] / found[b][name] for name in found[b]] for found in errors]).log()
        matrices = [interval(column[:, None]) for column in logs.t()]
        self.errors = interval(logs.mean(1, keepdim=True))
        self.max, self.max_low = max(found.value for found in matrices), max(found.low for found in matrices)
        self.max_of_one_set = float(logs.max().exp())
        self.perplexity = interval(losses[a] - losses[b])
        self.divergence = float(apart[a].mean() / apart[b].mean())

    def __str__(self) -> str:
        return (f"errors: mean {self.errors}, max {self.max:.4f} (in one set {self.max_of_one_set:.4f}); perplexity "
                f"{self.perplexity}; KL {self.divergence:.3f}")

    def cells(self) -> str:
        perplexity = self.perplexity
        return (f"{self.errors.value:.4f} | {self.max:.4f} | {self.max_of_one_set:.4f} | {perplexity.value:.4f} "
                f"({perplexity.low:.4f} .. {perplexity.high:.4f}) | {perplexity.single:.4f} | {self.divergence:.2f}")


def compare(options, work: Path) -> dict[tuple[str, str], Ratio]:
    """By makers."""
    print(f"{label(options)}, search {'mse' if options.mse else 'none'}", flush=True)
    sets, windows = texts_of(options)
    base, errors, losses, apart = dense(options.base), [], [], []
    for number, calibration in enumerate(sets):
        print(f"  set {number + 1} of {len(sets)}", flush=True)
        (work / str(number)).mkdir(parents=True)
        try:
            models, found = of_one_set(options, calibration, work / str(number))
            with timed("measuring"):
                by_model = measured(base, models, windows)
        except KeyboardInterrupt:
            if not errors:
                raise
            options.interrupted = True
            print("  interrupted", flush=True)
            break
        errors.append(found)
        losses.append({name: loss for name, (loss, _) in by_model.items()})
        apart.append({name: distance for name, (_, distance) in by_model.items()})
        figures = ", ".join(f"{name} {float(loss.mean().exp()):.3f}" for name, loss in losses[-1].items())
        print(f"    perplexities: {figures}", flush=True)
    together = lambda parts: {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
    losses, apart = together(losses), together(apart)
    pairs = [(own, tool) for own in (SAME, DEFAULT) for tool in options.tools] + list(itertools.combinations(options.tools, 2))
    ratios = {(a, b): Ratio(a, b, errors, losses, apart) for a, b in pairs}
    print(f"  {len(errors[0][SAME])} matrices, {len(errors)} sets of {options.samples} windows of {options.length} tokens, "
          f"measured on {len(windows)} other windows; in brackets two standard errors to each side")
    for (a, b), ratio in ratios.items():
        print(f"  {a} over {b}: {ratio}", flush=True)
    for name, distances in apart.items():
        print(f"  {name}: KL from the base {float(distances.mean()):.5f}, perplexity {float(losses[name].mean().exp()):.3f}")
    return ratios


def label(options) -> str:
    return f"{options.bits} bits, groups of {options.group_size}, {options.order}{', asym' if options.asym else ''}"


def missed(ratios: dict[tuple[str, str], Ratio], tool: str) -> list[tuple[str, float, float]]:
    """The bars that are missed: which, the figure, and the least that chance leaves of it."""
    same, default = ratios[SAME, tool], ratios[DEFAULT, tool]
    figures = {"mean": (same.errors.value, same.errors.low), "max": (same.max, same.max_low),
               "best": (default.errors.value, default.errors.low), "perplexity": (same.perplexity.value, same.perplexity.low),
               "perplexity of our defaults": (default.perplexity.value, default.perplexity.low)}
    return [(what, *figures[what]) for what, bar in BARS.items() if figures[what][0] > bar]


def rows(options, work: Path) -> None:
    lines, failed = [], []
    for row in options.rows:
        options.bits, options.group_size = map(int, row.split(":"))
        ratios = compare(options, work / row)
        lines += [f"| {options.bits} bits, groups of {options.group_size} | {a} over {b} | {ratio.cells()} |"
                  for (a, b), ratio in ratios.items()]
        for tool in options.tools:
            for what, figure, low in missed(ratios, tool):
                line = f"{label(options)}, {tool}: {what} {figure:.4f} ({low:.4f} at least), the bar is {BARS[what]}"
                print(f"  {line}: " + ("missed" if low > BARS[what] else "by chance"), flush=True)
                failed += [line] if low > BARS[what] else []
        if options.interrupted:
            break
    print("\n| | | errors: mean | max | max in one set | perplexity | in one set ± | KL |\n|---|---|---|---|---|---|---|---|",
          *lines, sep="\n")
    if failed:
        raise SystemExit("\n".join(failed))


def codes(options, work: Path) -> None:
    """The first matrices, whose inputs no rounding has changed yet, with --compat: equal codes and groups.

    Where sums of another precision round one weight the other way, the rest of its row sees another error: a set has no such
    row or a few, so the share is that of all sets.
    """
    apart = {tool: [] for tool in options.tools}
    for number, windows in enumerate(texts_of(options)[0]):
        ours = quantise(options, windows, work / str(number), "--search", "none", "--compat", "autogptq")
        stored = load_file(ours / "model.safetensors")
        plain = autogptq.dequantised(stored, options.bits, options.group_size)
        model, named = opened(options, windows)
        layer = model.model.layers[0]
        inputs = inputs_of(layer.get_submodule(SETS[0][0]), [lambda values=values: output(layer, values) for values in named])
        for tool, short in itertools.product(options.tools, SETS[0]):
            name, linear = f"model.layers.0.{short}", copy.deepcopy(layer.get_submodule(short))
            solving = TOOLS[tool](linear, options)
            for value in inputs:
                solving.add(value)
            groups = solving.finish()
            step = stored[name + ".scales"].float()[stored[name + ".g_idx"].long()].t()
            differ = (linear.weight - plain[name + ".weight"]).abs() > step / 2
            print(f"set {number + 1}, {tool}, {name}: {int(differ.sum())} of {differ.numel()} codes differ, in "
                  f"{int(differ.any(1).sum())} rows", flush=True)
            apart[tool].append(float(differ.double().mean()))
            assert torch.equal(groups.int(), stored[name + ".g_idx"]), name
    for tool, shares in apart.items():
        share = sum(shares) / len(shares)
        print(f"{1 - share:.5%} of the codes are {tool}'s")
        assert share < 1e-3, tool


def load(options, work: Path) -> None:
    windows = texts_of(options)[0][0]
    out, window = quantise(options, windows, work / "ours"), windows[0][:128]
    plain = autogptq.dequantised(load_file(out / "model.safetensors"), options.bits, options.group_size)
    logits = with_weights(options, plain)(input_ids=torch.tensor([window])).logits[0].double()
    meant = torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(window[1:])[:, None])[:, 0]
    (work / "window.ids").write_text(" ".join(map(str, window)))
    (work / "ours.yaml").write_text(f"model: {out}\n")
    answer = run(options.program, "score", str(work / "ours.yaml"), "--ids", str(work / "window.ids"), "--backend", "cpu",
                 "--set", "context.kv_cache=f32", "--json")
    found = torch.tensor(json.loads(answer)["logprobs"][1:], dtype=torch.float64)
    worst = float((found - meant).abs().max())
    print(f"{label(options)}: AutoGPTQ's reader, largest difference of a log-probability {worst:.2e}")
    assert worst < 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.quantize")
    parser.add_argument("what", choices=("compare", "rows", "codes", "load"))
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    parser.add_argument("--base", default="models/airophin-mini-f16")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=["autogptq"])
    parser.add_argument("--rows", nargs="+", metavar="BITS:GROUP", default=["4:32", "4:64", "3:32"])
    parser.add_argument("--calibration", nargs="+", help="texts; default: drawn as tools.mini draws them")
    parser.add_argument("--held-out", nargs="+", help="with --calibration: other texts, to measure on")
    parser.add_argument("--measured", type=int, default=16384, help="tokens to measure on")
    parser.add_argument("--layers", type=int, help="quantise the first ones only")
    parser.add_argument("--sets", type=int, default=8, help="each model is made on so many sets of windows")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group-size", type=int, default=32)
    parser.add_argument("--order", default="act")
    parser.add_argument("--damp", type=float, default=0.01)
    parser.add_argument("--asym", action="store_true")
    parser.add_argument("--mse", action="store_true")
    parser.set_defaults(interrupted=False)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores in what it starts with &
    with tempfile.TemporaryDirectory() as work:
        {"compare": compare, "rows": rows, "codes": codes, "load": load}[options.what](options, Path(work))


main()
