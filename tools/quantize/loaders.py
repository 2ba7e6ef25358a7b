"""python -m tools.quantize.loaders [--program P] [--base DIR]: AutoGPTQ, GPTQModel and transformers with optimum open what
ropewalk wrote.

Quantises the base in several forms and compares logits with those of transformers on weights that this file dequantises
itself (packed.py), in f32. A form that a loader refuses is printed with its reason.
"""
from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import traceback
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPTQConfig
from transformers.utils import logging

from . import autogptq
from .packed import dequantised

BOUND = 1e-3  # relative, of the logits' norm
FORMS = (("4 bits g32 act", []), ("4 bits g64 static", ["--group-size", "64", "--order", "static"]),
         ("8 bits g32 act", ["--bits", "8"]), ("4 bits one group, none", ["--group-size", "-1", "--order", "none"]),
         ("3 bits g32 act", ["--bits", "3"]), ("3 bits g32 act, v2", ["--bits", "3", "--zeros", "v2"]),
         ("2 bits g32 gar", ["--bits", "2", "--order", "gar"]), ("4 bits g32 act, asym v2", ["--asym", "--zeros", "v2"]),
         ("4 bits g32 act, asym v1", ["--asym", "--zeros", "v1"]),
         # 192 inputs: a group of 128 and one of 64
         ("4 bits g128 act, short", ["--group-size", "128", "--allow-short-group"]),
         ("4 bits g128 gar, short", ["--group-size", "128", "--allow-short-group", "--order", "gar"]))

# GPTQModel 5.6.12 makes v2 of v1's zero points when it loads. At 3 bits it adds 4 instead of 1 to those in the first and the
# third of three words.
MISREAD = {("3 bits g32 act", "GPTQModel"), ("3 bits g32 act", "transformers")}


def by_autogptq(folder: Path, base: str, bits: int, group_size: int, v2: bool):
    """With the weights that its packed layers compute with. Its package insists on a GPU, its layers do not."""
    if v2:
        raise ValueError("it knows v1 only")
    model = AutoModelForCausalLM.from_pretrained(base, torch_dtype=torch.float32)
    model.load_state_dict(autogptq.dequantised(load_file(folder / "model.safetensors"), bits, group_size), strict=False)
    return model


def by_gptqmodel(folder: Path):
    from gptqmodel import BACKEND, GPTQModel
    return GPTQModel.load(str(folder), device="cpu", backend=BACKEND.TORCH, dtype=torch.float32).model


def by_transformers(folder: Path, bits: int):
    return AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, device_map="cpu",
                                                quantization_config=GPTQConfig(bits=bits, backend="torch"))


def logits_of(model, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids).logits[0].double()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.quantize.loaders")
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    parser.add_argument("--base", default="models/airophin-mini-f16")
    parser.add_argument("--calibration", default="tests/fixtures/airophin-mini/text.txt")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of forms")
    names = ("AutoGPTQ", "GPTQModel", "transformers")
    parser.add_argument("--loaders", nargs="+", choices=names, default=names[1:],
                        help="AutoGPTQ alone: transformers would import it, and it asks for other packages")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    failed = []
    for number, (form, settings) in enumerate(FORMS):
        if options.only is not None and number not in options.only:
            continue
        with tempfile.TemporaryDirectory() as work:
            out, ids = Path(work, "out"), Path(work, "w.ids")
            subprocess.run([options.program, "quantize", options.base, "--out", str(out), "--calibration", options.calibration,
                            "--samples", "8", "--length", "256", "--backend", "cpu", "--dump-calibration", str(ids), *settings],
                           check=True, capture_output=True)
            window = torch.tensor([[int(x) for x in ids.read_text().splitlines()[0].split()][:128]])
            number_of = lambda option, usual: int(settings[settings.index(option) + 1]) if option in settings else usual
            bits, group_size, v2 = number_of("--bits", 4), number_of("--group-size", 32), "v2" in settings
            plain = AutoModelForCausalLM.from_pretrained(options.base, torch_dtype=torch.float32).eval()
            plain.load_state_dict(dequantised(out, bits, 0 if v2 else 1), strict=False)
            meant = logits_of(plain, window)
            loaders = {"AutoGPTQ": lambda: by_autogptq(out, options.base, bits, group_size, v2),
                       "GPTQModel": lambda: by_gptqmodel(out), "transformers": lambda: by_transformers(out, bits)}
            for loader in options.loaders:
                try:
                    found = logits_of(loaders[loader]().eval(), window)
                    error = float((found - meant).norm() / meant.norm())
                    misread = (form, loader) in MISREAD
                    print(f"{form}: {loader} {error:.1e}{', misread as known' if misread else ''}", flush=True)
                    if (error < BOUND) == misread:
                        failed.append(f"{form}: {loader}")
                except Exception as refusal:  # what a loader refuses is told, not hidden
                    if os.environ.get("TRACE"):
                        traceback.print_exc()
                    print(f"{form}: {loader} refuses it: {type(refusal).__name__}: {str(refusal).splitlines()[0][:160]}", flush=True)
    assert not failed, failed


main()
