"""python -m tools.adapters.nf4: what bitsandbytes makes of weights that it rounds to NF4 and back.

Writes tests/fixtures/adapters/nf4/expected.json: values at even distances of two tensors of the bundled f16 model after
quantize_4bit with double quantisation and dequantize_4bit, and their norms. Needs bitsandbytes, on a CPU.
"""
from __future__ import annotations

import json
from pathlib import Path

import bitsandbytes.functional as bnb
import torch
from safetensors.torch import load_file

BASE = "models/airophin-mini-f16"
NAMES = ["model.layers.0.self_attn.q_proj.weight", "model.layers.4.mlp.down_proj.weight"]
SAMPLES = 512


def main() -> None:
    weights = load_file(Path(BASE, "model.safetensors"))
    tensors = {}
    for name in NAMES:
        quantized, state = bnb.quantize_4bit(weights[name], blocksize=64, compress_statistics=True, quant_type="nf4")
        flat = bnb.dequantize_4bit(quantized, state).flatten().float()
        step = len(flat) // SAMPLES
        tensors[name] = {"norm": float(flat.double().norm()), "step": step,
                         "values": [float(f"{x:.9g}") for x in flat[::step][:SAMPLES].tolist()]}
    folder = Path("tests/fixtures/adapters/nf4")
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in tensors.items())
    (folder / "expected.json").write_text("{\n" + lines + "\n}\n")


main()
