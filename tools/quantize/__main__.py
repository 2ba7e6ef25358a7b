"""python -m tools.quantize (compare | rows | codes | load) [--program P] [--base DIR] [--tools T...] [--bits 4] ...

`compare` quantises the base with ropewalk and with the solvers of other tools, on the same windows of tokens, and prints the
errors of all matrices beside each other and how far the models are from the base on other text. `rows` does it for several
settings and prints a table; it fails where a bar is missed (BARS). `codes` counts which codes are the same. `load` quantises
with ropewalk and lets AutoGPTQ's reader open the result: transformers' log-probabilities with these weights against ropewalk's.
"""
from __future__ import annotations

import argparse
import copy
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from . import autogptq, gptqmodel, texts

TOOLS = {"autogptq": autogptq.Solver, "gptqmodel": gptqmodel.Solver}
# The errors over the tool's: mean and max with the same settings, mean with our defaults; perplexities over the tool's.
BARS = {"mean": 1.005, "max": 1.03, "best": 0.95, "perplexity": 1.005}

SETS = (("self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj"), ("self_attn.o_proj",),
        ("mlp.up_proj", "mlp.gate_proj"), ("mlp.down_proj",))


class Caught(Exception):
    """Ends a forward pass where what it was for is known."""


def run(program: str, *arguments: str) -> str:
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def skipped(options) -> list[str]:
    """Of ropewalk's options: the layers behind the first --layers stay dense."""
    layers = json.loads(Path(options.base, "config.json").read_text())["num_hidden_layers"]
    return [word for layer in range(options.layers or layers, layers) for word in ("--skip", f"layers.{layer}.*")]


def quantise(options, work: Path, name: str, *more: str) -> tuple[Path, Path]:
    """The folder that ropewalk made, and the windows that it took."""
    out, ids = work / name, work / (name + ".ids")
    files = options.calibration or [texts.write_windows(work / "windows.ids", options.samples, options.length)]
    calibration = [word for file in files for word in ("--calibration", str(file))]
    run(options.program, "quantize", options.base, "--out", str(out), *calibration, "--samples", str(options.samples),
        "--length", str(options.length), "--bits", str(options.bits), "--group-size", str(options.group_size),
        "--order", options.order, "--dump-calibration", str(ids), "--backend", "cpu", "--set", "context.kv_cache=f32",
        *skipped(options), *more)
    return out, ids


def error_of(weight: torch.Tensor, rounded: torch.Tensor, hessian: torch.Tensor) -> float:
    """tr(D H D^T) / tr(W H W^T)"""
    difference = (weight - rounded).double()
    return float(((difference @ hessian) * difference).sum() / ((weight.double() @ hessian) * weight.double()).sum())


def inputs_of(linear, calls) -> list[torch.Tensor]:
    """What a linear layer reads, for each of the calls that run it."""
    found = []

    def catch(_, arguments):
        found.append(arguments[0])
        raise Caught

    hook = linear.register_forward_pre_hook(catch)
    for call in calls:
        try:
            call()
        except Caught:
            pass
    hook.remove()
    return found


def solve_set(layer, names, calls, solver, options) -> dict[str, float]:
    """Rounds linear layers that read the same values, in place. Returns their errors."""
    linears = {name: layer.get_submodule(name) for name in names}
    inputs = inputs_of(linears[names[0]], calls)
    x = torch.cat([value.reshape(-1, value.shape[-1]) for value in inputs]).double()
    hessian, errors = x.t() @ x, {}
    for name, linear in linears.items():
        before, solving = linear.weight.data.clone(), solver(linear, options)
        for value in inputs:
            solving.add(value)
        solving.finish()
        errors[name] = error_of(before, linear.weight.data, hessian)
    return errors


def opened(options, windows: list[list[int]]):
    """The base, and the arguments of its first layer for each window."""
    model = AutoModelForCausalLM.from_pretrained(options.base, torch_dtype=torch.float32).eval()
    model.config.use_cache = False
    named = []

    def catch(_, arguments, others):
        named.append(dict(others, hidden_states=arguments[0]) if arguments else others)
        raise Caught

    hook = model.model.layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    for window in windows:
        try:
            model(input_ids=torch.tensor([window]))
        except Caught:
            pass
    hook.remove()
    return model, named


def output(layer, values):
    result = layer(**values)
    return result[0] if isinstance(result, tuple) else result


def windows_in(ids: Path) -> list[list[int]]:
    return [[int(x) for x in line.split()] for line in ids.read_text().splitlines()]


def quantise_by(solver, options, windows: list[list[int]], out: Path) -> dict[str, float]:
    """The errors by matrix; the model with its rounded weights in f32 goes to `out`."""
    model, named, errors = *opened(options, windows), {}
    for index, layer in enumerate(model.model.layers[:options.layers]):
        calls = [lambda values=values: output(layer, values) for values in named]
        for names in SETS:
            for name, error in solve_set(layer, names, calls, solver, options).items():
                errors[f"model.layers.{index}.{name}"] = error
        for values in named:
            values["hidden_states"] = output(layer, values)
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    save_dense({name: value for name, value in model.state_dict().items() if name not in tied}, options.base, out)
    return errors


def save_dense(tensors: dict[str, torch.Tensor], base: str, out: Path) -> None:
    out.mkdir()
    for file in Path(base).iterdir():
        if file.suffix in (".json", ".model"):
            shutil.copy(file, out)
    save_file({name: value.float().contiguous() for name, value in tensors.items()}, out / "model.safetensors",
              metadata={"format": "pt"})


def distance(options, work: Path, folder: Path) -> dict:
    """On text that it was not quantised on: mean KL divergence of the base from the model, and both perplexities."""
    configs = []
    for name, model in (("base", Path(options.base).resolve()), (folder.name, folder)):
        configs.append(work / f"{name}.yaml")
        configs[-1].write_text(f"model: {model}\n")
    kind = "--ids" if options.held_out.endswith(".ids") else "--text"
    answer = run(options.program, "compare", *map(str, configs), kind, options.held_out, "--context", str(options.length),
                 "--backend", "cpu", "--json")
    return json.loads(answer)


def errors_of(folder: Path) -> dict[str, float]:
    report = json.loads((folder / "ropewalk-quantize.json").read_text())
    return {matrix["name"]: matrix["error"] for matrix in report["matrices"]}


def timed(what: str, action):
    start = time.time()
    result = action()
    print(f"  {what}: {time.time() - start:.0f} s", flush=True)
    return result


def summary(ratios: list[float]) -> str:
    return (f"mean {sum(ratios) / len(ratios):.4f}, median {ratios[len(ratios) // 2]:.4f}, min {ratios[0]:.4f}, "
            f"max {ratios[-1]:.4f}")


def compare(options, work: Path) -> dict[str, dict[str, float]]:
    """What BARS bound, by tool."""
    search = "mse" if options.mse else "none"
    asym = ("--asym", "--zeros", "v2") if options.asym else ()
    label = f"{options.bits} bits, groups of {options.group_size}, {options.order}{', asym' if options.asym else ''}"
    print(f"{label}, search {search}", flush=True)
    # Both tools find a group's range when its block of 128 columns begins.
    ours, ids = timed("ours", lambda: quantise(options, work, "ours", "--search", search, "--compat", "autogptq", *asym))
    best, _ = timed("our defaults", lambda: quantise(options, work, "best", *asym))
    windows = windows_in(ids)
    plain, default, answer, found_by = errors_of(ours), errors_of(best), {}, {}
    apart = {"same settings": distance(options, work, ours), "our defaults": distance(options, work, best)}
    for tool in options.tools:
        theirs = timed(tool, lambda: quantise_by(TOOLS[tool], options, windows, work / tool))
        apart[tool] = distance(options, work, work / tool)
        for other, errors in found_by.items():
            print(f"  errors over {other}'s of {tool}: {summary(sorted(theirs[name] / errors[name] for name in theirs))}")
        found_by[tool] = theirs
        ratios, better = (sorted(found[name] / theirs[name] for name in theirs) for found in (plain, default))
        print(f"  errors over {tool}'s, {len(ratios)} matrices on {sum(map(len, windows))} tokens: same settings "
              f"{summary(ratios)}; our defaults {summary(better)}")
        for name in sorted(theirs, key=lambda name: plain[name] / theirs[name])[-3:]:
            print(f"    {name}: ours {plain[name]:.6f}, {tool} {theirs[name]:.6f}")
        perplexity = {what: found["perplexity_b"] for what, found in apart.items()}
        answer[tool] = {"mean": sum(ratios) / len(ratios), "max": ratios[-1], "best": sum(better) / len(better),
                        "most": better[-1], "base": apart[tool]["perplexity_a"], "theirs": perplexity[tool],
                        "same": perplexity["same settings"], "default": perplexity["our defaults"],
                        "perplexity": max(perplexity["same settings"], perplexity["our defaults"]) / perplexity[tool]}
    for what, found in apart.items():
        print(f"  {what}: KL from the base {found['kl_mean']:.5f}, perplexity {found['perplexity_b']:.3f}, the base's "
              f"{found['perplexity_a']:.3f}", flush=True)
    return answer


def rows(options, work: Path) -> None:
    lines, missed = [], []
    for row in options.rows:
        options.bits, options.group_size = map(int, row.split(":"))
        (work / row).mkdir()
        for tool, found in compare(options, work / row).items():
            name = f"{tool}, {options.bits} bits, groups of {options.group_size}"
            lines.append(f"| {name} | {found['mean']:.4f} | {found['max']:.4f} | {found['best']:.4f} | {found['most']:.4f} | "
                         f"{found['base']:.3f} | {found['theirs']:.3f} | {found['same']:.3f} | {found['default']:.3f} |")
            missed += [f"{name}: {what} {found[what]:.4f}, the bar is {bar}" for what, bar in BARS.items() if found[what] > bar]
    print("\n| tool | mean | max | defaults: mean | max | perplexity of the base | the tool | same settings | defaults |")
    print("|---|---|---|---|---|---|---|---|---|", *lines, sep="\n")
    if missed:
        raise SystemExit("\n".join(missed))


def codes(options, work: Path) -> None:
    """The first matrices, whose inputs no rounding has changed yet, with --compat: equal codes and groups."""
    ours, ids = quantise(options, work, "ours", "--search", "none", "--compat", "autogptq")
    stored = load_file(ours / "model.safetensors")
    plain = autogptq.dequantised(stored, options.bits, options.group_size)
    model, named = opened(options, windows_in(ids))
    layer = model.model.layers[0]
    inputs = inputs_of(layer.get_submodule(SETS[0][0]), [lambda values=values: output(layer, values) for values in named])
    for tool in options.tools:
        for short in SETS[0]:
            name, linear = f"model.layers.0.{short}", copy.deepcopy(layer.get_submodule(short))
            solving = TOOLS[tool](linear, options)
            for value in inputs:
                solving.add(value)
            groups = solving.finish()
            step = stored[name + ".scales"].float()[stored[name + ".g_idx"].long()].t()
            apart = (linear.weight - plain[name + ".weight"]).abs() > step / 2
            print(f"{name}: {float(1 - apart.double().mean()):.5%} of the codes are {tool}'s")
            assert apart.double().mean() < 1e-3 and torch.equal(groups.int(), stored[name + ".g_idx"]), name


def load(options, work: Path) -> None:
    out, ids = quantise(options, work, "ours")
    window = windows_in(ids)[0][:128]
    plain = autogptq.dequantised(load_file(out / "model.safetensors"), options.bits, options.group_size)
    model = AutoModelForCausalLM.from_pretrained(options.base, torch_dtype=torch.float32).eval()
    model.load_state_dict(plain, strict=False)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([window])).logits[0].double()
    meant = torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(window[1:])[:, None])[:, 0]
    (work / "window.ids").write_text(" ".join(map(str, window)))
    (work / "ours.yaml").write_text(f"model: {out}\n")
    answer = run(options.program, "score", str(work / "ours.yaml"), "--ids", str(work / "window.ids"), "--backend", "cpu",
                 "--set", "context.kv_cache=f32", "--json")
    found = torch.tensor(json.loads(answer)["logprobs"][1:], dtype=torch.float64)
    worst = float((found - meant).abs().max())
    print(f"{options.bits} bits, groups of {options.group_size}, {options.order}: AutoGPTQ's reader, largest difference of a "
          f"log-probability {worst:.2e}")
    assert worst < 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.quantize")
    parser.add_argument("what", choices=("compare", "rows", "codes", "load"))
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    parser.add_argument("--base", default="models/airophin-mini-f16")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=["autogptq"])
    parser.add_argument("--rows", nargs="+", metavar="BITS:GROUP", default=["4:32", "4:64", "3:32"])
    parser.add_argument("--calibration", nargs="+", help="default: as texts.py says, for the bundled models")
    parser.add_argument("--held-out", default=str(texts.MEASURED))
    parser.add_argument("--layers", type=int, help="quantise the first ones only")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group-size", type=int, default=32)
    parser.add_argument("--order", default="act")
    parser.add_argument("--damp", type=float, default=0.01)
    parser.add_argument("--asym", action="store_true")
    parser.add_argument("--mse", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as work:
        {"compare": compare, "rows": rows, "codes": codes, "load": load}[options.what](options, Path(work))


main()
