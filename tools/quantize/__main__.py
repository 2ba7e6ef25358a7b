"""python -m tools.quantize (compare | rows | load) [--program P] [--base DIR] [--bits 4] [--group-size 32] [--order act]

`compare` quantises the base with ropewalk and with AutoGPTQ's solver, on the same windows of tokens, and prints the errors
of all matrices beside each other and how far both models are from the base on other text. `rows` does it for several settings
and prints a table; it fails where a bar is missed (BARS). `load` quantises with ropewalk
and lets AutoGPTQ's reader open the result: transformers' log-probabilities with these weights against ropewalk's.
"""
from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from . import autogptq

# Of `rows`. The last two are coarser than the 4-bit lattice that SmolLM2's weights lie on.
ROWS = ({"bits": 4, "group_size": 32}, {"bits": 4, "group_size": 64}, {"bits": 3, "group_size": 32})
# The errors over AutoGPTQ's: mean and max with the same settings, mean with our defaults; perplexities over AutoGPTQ's.
BARS = {"mean": 1.005, "max": 1.03, "best": 0.95, "perplexity": 1.005}

SETS = (("self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj"), ("self_attn.o_proj",),
        ("mlp.up_proj", "mlp.gate_proj"), ("mlp.down_proj",))


def run(program: str, *arguments: str) -> str:
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def quantise(options, work: Path, name: str, *more: str) -> tuple[Path, Path]:
    """The folder that ropewalk made, and the windows that it took."""
    out, ids = work / name, work / (name + ".ids")
    run(options.program, "quantize", options.base, "--out", str(out), "--calibration", options.calibration,
        "--samples", str(options.samples), "--length", str(options.length), "--bits", str(options.bits),
        "--group-size", str(options.group_size), "--order", options.order, "--dump-calibration", str(ids),
        "--backend", "cpu", "--set", "context.kv_cache=f32", *more)
    return out, ids


def error_of(weight: torch.Tensor, rounded: torch.Tensor, hessian: torch.Tensor) -> float:
    """tr(D H D^T) / tr(W H W^T)"""
    difference = (weight - rounded).double()
    return float(((difference @ hessian) * difference).sum() / ((weight.double() @ hessian) * weight.double()).sum())


def solve_set(layer, names, batches, options) -> dict[str, float]:
    """AutoGPTQ's solver on some linear layers of a decoder layer; `batches` run the layer. The weights are replaced."""
    linears = {name: layer.get_submodule(name) for name in names}
    solvers, hooks, inputs = {}, [], []
    for name, linear in linears.items():
        solver = autogptq.solver()(linear)
        solver.quantizer.configure(options.bits, perchannel=True, sym=not options.asym, mse=options.mse)
        solvers[name] = solver
        hooks.append(linear.register_forward_hook(lambda _, x, y, solver=solver: solver.add_batch(x[0].data, y.data)))
    first = next(iter(linears.values()))
    hooks.append(first.register_forward_hook(lambda _, x, y: inputs.append(x[0].reshape(-1, x[0].shape[-1]))))
    for batch in batches:
        batch()
    for hook in hooks:
        hook.remove()
    x = torch.cat(inputs).double()
    hessian, errors = x.t() @ x, {}
    for name, linear in linears.items():
        before = linear.weight.data.clone()
        solvers[name].fasterquant(percdamp=options.damp, group_size=options.group_size,
                                  actorder=options.order in ("act", "static"), static_groups=options.order == "static")
        errors[name] = error_of(before, linear.weight.data, hessian)
    return errors


def quantise_by_autogptq(options, windows: list[list[int]], out: Path) -> dict[str, float]:
    """The errors by matrix; the model with its rounded weights in f32 goes to `out`."""
    model = AutoModelForCausalLM.from_pretrained(options.base, torch_dtype=torch.float32).eval()
    model.config.use_cache = False
    calls, errors = [], {}

    class Caught(Exception):
        pass

    def catch(_, arguments, named):
        calls.append((arguments, named))
        raise Caught

    hook = model.model.layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    for window in windows:
        try:
            model(input_ids=torch.tensor([window]))
        except Caught:
            pass
    hook.remove()
    hidden = [arguments[0] if arguments else named.pop("hidden_states") for arguments, named in calls]
    for index, layer in enumerate(model.model.layers):
        def output(i):
            result = layer(hidden[i], **calls[i][1])
            return result[0] if isinstance(result, tuple) else result
        for names in SETS:
            batches = [lambda i=i: output(i) for i in range(len(hidden))]
            for name, error in solve_set(layer, names, batches, options).items():
                errors[f"model.layers.{index}.{name}"] = error
        hidden = [output(i) for i in range(len(hidden))]
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
    answer = run(options.program, "compare", *map(str, configs), "--text", options.held_out, "--context",
                 str(options.length), "--backend", "cpu", "--json")
    return json.loads(answer)


def errors_of(folder: Path) -> dict[str, float]:
    report = json.loads((folder / "ropewalk-quantize.json").read_text())
    return {matrix["name"]: matrix["error"] for matrix in report["matrices"]}


def compare(options, work: Path) -> dict[str, float]:
    """What BARS bound."""
    search = "mse" if options.mse else "none"
    asym = ("--asym", "--zeros", "v2") if options.asym else ()
    ours, ids = quantise(options, work, "ours", "--search", search, *asym)
    best, _ = quantise(options, work, "best", *asym)
    windows = [[int(x) for x in line.split()] for line in ids.read_text().splitlines()]
    theirs = quantise_by_autogptq(options, windows, work / "theirs")
    found, default = errors_of(ours), errors_of(best)
    ratios = sorted(found[name] / theirs[name] for name in theirs)
    better = sorted(default[name] / theirs[name] for name in theirs)
    label = f"{options.bits} bits, groups of {options.group_size}, {options.order}{', asym' if options.asym else ''}"
    print(f"{label}, search {search}: {len(ratios)} matrices on {sum(map(len, windows))} tokens")
    for name, row in (("same settings", ratios), ("our defaults", better)):
        print(f"  {name}: error over AutoGPTQ's mean {sum(row) / len(row):.4f}, median {row[len(row) // 2]:.4f}, "
              f"min {row[0]:.4f}, max {row[-1]:.4f}")
    apart = {what: distance(options, work, folder)
             for what, folder in (("AutoGPTQ", work / "theirs"), ("same settings", ours), ("our defaults", best))}
    for what, answer in apart.items():
        print(f"  {what}: KL from the base {answer['kl_mean']:.5f}, perplexity {answer['perplexity_b']:.3f}, the base's "
              f"{answer['perplexity_a']:.3f}", flush=True)
    perplexity = {what: answer["perplexity_b"] for what, answer in apart.items()}
    return {"mean": sum(ratios) / len(ratios), "max": ratios[-1], "best": sum(better) / len(better), "most": better[-1],
            "perplexity": max(perplexity["same settings"], perplexity["our defaults"]) / perplexity["AutoGPTQ"],
            "base": apart["AutoGPTQ"]["perplexity_a"]} | perplexity


def rows(options, work: Path) -> None:
    lines, missed = [], []
    for number, row in enumerate(ROWS):
        for name, value in row.items():
            setattr(options, name, value)
        (work / str(number)).mkdir()
        found = compare(options, work / str(number))
        lines.append(f"| {options.bits} bits, groups of {options.group_size} | {found['mean']:.4f} | {found['max']:.4f} | "
                     f"{found['best']:.4f} | {found['most']:.4f} | {found['base']:.3f} | {found['AutoGPTQ']:.3f} | "
                     f"{found['same settings']:.3f} | {found['our defaults']:.3f} |")
        missed += [f"{row}: {name} {found[name]:.4f}, the bar is {bar}" for name, bar in BARS.items() if found[name] > bar]
    print("\n| | mean | max | defaults: mean | max | perplexity of the base | AutoGPTQ | same settings | defaults |")
    print("|---|---|---|---|---|---|---|---|---|", *lines, sep="\n")
    if missed:
        raise SystemExit("\n".join(missed))


def load(options, work: Path) -> None:
    out, ids = quantise(options, work, "ours")
    window = [int(x) for x in ids.read_text().splitlines()[0].split()][:128]
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
    parser.add_argument("what", choices=("compare", "rows", "load"))
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    parser.add_argument("--base", default="models/airophin-mini-f16")
    parser.add_argument("--calibration", default="tests/fixtures/airophin-mini/text.txt")
    parser.add_argument("--held-out", default="tests/fixtures/airophin-mini/recall.jsonl")
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
        {"compare": compare, "rows": rows, "load": load}[options.what](options, Path(work))


main()
