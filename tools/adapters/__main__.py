"""python -m tools.adapters (write | verify) [--only NAME ...] [--program build/release/bin/ropewalk]

`write` trains and saves the adapters of variants.py and writes what PEFT computes with them, also over a quantised model, to
tests/fixtures/adapters. `verify` lets ropewalk combine two of them and PEFT read the result.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from .variants import ALONE_SCALE, COMBINED, LINEARS, QUANTISED, VARIANTS, Variant

ROOT = Path("tests/fixtures/adapters")
SAMPLES = 24  # values compared of each changed tensor


def base_of(variant: Variant):
    folder = Path(variant.base)
    if not (folder / "quantize_config.json").exists():
        return AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), torch_dtype=torch.float32)
    missing, unexpected = model.load_state_dict(dequantised(folder), strict=False)
    assert missing in ([], ["lm_head.weight"]) and not unexpected, (missing, unexpected)
    return model


def text_ids(variant: Variant) -> list[int]:
    """What is trained on and measured with."""
    if variant.base.startswith("tests/fixtures"):
        return json.loads(Path(variant.base, "expected.json").read_text())["ids"]
    import sentencepiece
    tokenizer = sentencepiece.SentencePieceProcessor(str(Path(variant.base, "tokenizer.model")))
    return [1] + tokenizer.encode(Path("tests/fixtures/airophin-mini/text.txt").read_text())


def train(model, ids: list[int], steps: int) -> None:
    """A few steps on windows of the text: enough that every matrix moves."""
    window = min(len(ids), 128)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    for step in range(steps):
        start = step * 61 % max(len(ids) - window, 1)
        batch = torch.tensor([ids[start:start + window]])
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def randomise(model) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)


def logprobs(model, ids: list[int]) -> list[float]:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    chosen = torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    return [round(x, 6) for x in chosen.tolist()]


def sampled(merged, base) -> dict:
    """Every tensor that the adapter changed: its norm, and values at even distances."""
    before, result = base.state_dict(), {}
    for name, tensor in merged.state_dict().items():
        if name in before and torch.equal(tensor, before[name]):
            continue
        flat = tensor.flatten().double()
        step = max(len(flat) // SAMPLES, 1)
        result[name] = {"norm": float(flat.norm()), "step": step,
                        "values": [float(f"{x:.9g}") for x in flat[::step][:SAMPLES].tolist()]}
    return result


def write_expected(folder: Path, variant: Variant, model, adapters: list) -> None:
    ids = text_ids(variant)[:96]
    found = logprobs(model, ids)  # unmerged: by PEFT's own forward pass
    expected = {"about": variant.about, "base": variant.base, "adapters": adapters, "ids": ids, "logprobs": found}
    if variant.merges:
        expected["tensors"] = sampled(model.merge_and_unload(), base_of(variant))
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in expected.items())
    (folder / "expected.json").write_text("{\n" + lines + "\n}\n")


def write_variant(variant: Variant) -> None:
    torch.manual_seed(7)
    folder = ROOT / variant.name
    folder.mkdir(parents=True, exist_ok=True)
    model = get_peft_model(base_of(variant), LoraConfig(task_type="CAUSAL_LM", **variant.config))
    model.train()
    if variant.steps:
        train(model, text_ids(variant), variant.steps)
    else:
        randomise(model)
    model.eval()
    model.to(getattr(torch, variant.dtype))
    model.save_pretrained(folder, safe_serialization=not variant.binary, **variant.save)
    (folder / "README.md").unlink(missing_ok=True)
    # What counts is what was saved: rounded, and read again.
    again = PeftModel.from_pretrained(base_of(variant), folder).to(torch.float32).eval()
    write_expected(folder, variant, again, [[variant.name, 1.0]])
    print("wrote", folder, flush=True)


def combined_model(parts):
    variants = {variant.name: variant for variant in VARIANTS}
    first = variants[parts[0][0]]
    model = PeftModel.from_pretrained(base_of(first), ROOT / first.name, adapter_name=first.name)
    for name, _ in parts[1:]:
        model.load_adapter(ROOT / name, adapter_name=name)
    model = model.to(torch.float32).eval()
    for layer in model.modules():
        for name, scale in parts:
            if isinstance(getattr(layer, "scaling", None), dict) and name in layer.scaling:
                layer.scaling[name] *= scale
    model.base_model.set_adapter([name for name, _ in parts])
    return first, model


def write_combined() -> None:
    name, parts = COMBINED
    first, model = combined_model(parts)
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    about = Variant(name, "two adapters at once, scaled", {}, base=first.base)
    write_expected(folder, about, model, [list(part) for part in parts])
    print("wrote", folder, flush=True)


def dequantised(folder: Path) -> dict[str, torch.Tensor]:
    """Weights of a 4-bit v1 GPTQ file in f32: scale * (code - zero - 1), by the group that g_idx names."""
    stored = load_file(folder / "model.safetensors")
    shifts = torch.arange(0, 32, 4)
    plain = {name: value.float() for name, value in stored.items() if name.endswith((".weight", ".bias"))}
    for name in [name.removesuffix(".qweight") for name in stored if name.endswith(".qweight")]:
        words, zeros = stored[name + ".qweight"], stored[name + ".qzeros"]
        codes = (words[:, None, :] >> shifts[None, :, None] & 15).reshape(-1, words.shape[1])  # (K, N)
        zero = (zeros[:, :, None] >> shifts & 15).reshape(zeros.shape[0], -1) + 1              # (G, N)
        groups = stored[name + ".g_idx"].long()
        plain[name + ".weight"] = (stored[name + ".scales"].float()[groups] * (codes - zero[groups])).t().contiguous()
    return plain


def write_quantised() -> None:
    name, base, adapters = QUANTISED
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    variants = {variant.name: variant for variant in VARIANTS}
    ids = text_ids(variants[adapters[0]])[:96]
    expected = {"about": "adapters over the dequantised weights of a GPTQ model with act-order", "base": base, "ids": ids}
    for adapter in ["none", *adapters, *LINEARS]:
        model = base_of(variants[adapters[0]])
        model.load_state_dict(dequantised(Path(base)), strict=True)
        if adapter in LINEARS:
            model = PeftModel.from_pretrained(model, ROOT / adapters[1])
            for name, layer in model.named_modules():
                if isinstance(getattr(layer, "scaling", None), dict):
                    layer.scaling["default"] *= ALONE_SCALE if name.endswith(adapter) else 0
        elif adapter != "none":
            model = PeftModel.from_pretrained(model, ROOT / adapter)
        expected[adapter] = logprobs(model.to(torch.float32).eval(), ids)
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in expected.items())
    (folder / "expected.json").write_text("{\n" + lines + "\n}\n")
    print("wrote", folder, flush=True)


def verify(program: str) -> None:
    """PEFT reads what `ropewalk adapter combine` wrote and computes the same."""
    name, parts = COMBINED
    expected = json.loads((ROOT / name / "expected.json").read_text())
    with tempfile.TemporaryDirectory() as work:
        out = Path(work, "combined")
        names = [f"{ROOT / part}:{scale}" for part, scale in parts]
        subprocess.run([program, "adapter", "combine", *names, "--out", str(out)], check=True)
        first = next(variant for variant in VARIANTS if variant.name == parts[0][0])
        model = PeftModel.from_pretrained(base_of(first), out).eval()
        found = logprobs(model, expected["ids"])
        worst = max(abs(a - b) for a, b in zip(found, expected["logprobs"]))
        print(f"combined: largest difference of a log-probability {worst:.2e}")
        assert worst < 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.adapters")
    parser.add_argument("what", choices=("write", "verify"))
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    options = parser.parse_args()
    torch.set_num_threads(1)  # one thread: the order of additions stays the same
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if options.what == "verify":
        return verify(options.program)
    for variant in VARIANTS:
        if not options.only or variant.name in options.only:
            write_variant(variant)
    if not options.only or COMBINED[0] in options.only:
        write_combined()
    if not options.only or QUANTISED[0] in options.only:
        write_quantised()


main()
