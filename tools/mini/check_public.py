"""Checks `gptq.py` and a written checkpoint against GPTQModel, a public implementation (github.com/ModelCloud/GPTQModel).

Needs its own environment with `gptqmodel` (tools/README.md); runs on the CPU. Prints one JSON line per check:
`python -m tools.mini.check_public [MODEL_DIR]`.
"""

from __future__ import annotations

import json
import pathlib
import sys

import torch
from gptqmodel import BACKEND, GPTQModel
from gptqmodel.quantization import QuantizeConfig
from gptqmodel.quantization.gptq import GPTQ

from . import export, gptq, perplexity, quantize, tokenizer


def check_algorithm(directory: pathlib.Path) -> None:
    """The same matrices and the same inputs to both quantisers, act-order, group 32, block = group."""
    half = export.read_tensors(directory.with_name(directory.name + "-f16"))
    torch.manual_seed(0)
    for name in ("model.layers.0.self_attn.q_proj", "model.layers.4.mlp.down_proj"):
        weight = half[name + ".weight"]
        outputs, inputs = weight.shape
        # Correlated inputs of unequal size, so that order and error compensation matter.
        rows = (
            torch.randn(2048, inputs)
            @ (torch.randn(inputs, inputs) / inputs**0.5)
            * torch.rand(inputs).add(0.1)
        )
        hessian = rows.double().T @ rows.double()
        ours = gptq.quantise(weight, hessian, quantize.GROUP_SIZE, quantize.DAMP)

        linear = torch.nn.Linear(inputs, outputs, bias=False)
        linear.weight.data.copy_(weight)
        config = QuantizeConfig(
            bits=4,
            group_size=quantize.GROUP_SIZE,
            desc_act=True,
            act_group_aware=False,
            sym=True,
            damp_percent=quantize.DAMP,
            damp_auto_increment=0.0,
        )
        public = GPTQ(linear, config)
        public.quantizer.configure(perchannel=True, bits=gptq.BITS, sym=True)  # its default here is sym=False
        public.add_batch(rows[None], linear(rows)[None])
        dequantised, _, _, group_of_input, *_ = public.quantize(blocksize=quantize.GROUP_SIZE)
        theirs = dequantised.double()
        scale = ours.scales.double()[ours.group_of_input.long()].T  # [N, K]
        steps = ((ours.dequantised().double() - theirs) / scale).abs()
        error = lambda w: float(
            (((weight.double() - w) @ hessian) * (weight.double() - w)).sum()
            / ((weight.double() @ hessian) * weight.double()).sum()
        )
        print(
            json.dumps(
                {
                    "matrix": name,
                    "same_g_idx": bool(torch.equal(ours.group_of_input.long(), group_of_input.long().cpu())),
                    "codes_equal": round(float((steps < 0.5).double().mean()), 5),
                    "output_error": {
                        "ours": round(error(ours.dequantised().double()), 6),
                        "gptqmodel": round(error(theirs), 6),
                        "round_to_nearest": round(
                            gptq.output_error(
                                weight, gptq.round_to_nearest(weight, quantize.GROUP_SIZE), hessian
                            ),
                            6,
                        ),
                    },
                }
            ),
            flush=True,
        )


def check_file(directory: pathlib.Path) -> None:
    """GPTQModel loads the directory and its logits are those of transformers on our dequantised weights."""
    sp = tokenizer.load(directory / "tokenizer.model")
    ids = torch.tensor([perplexity.held_out_ids(sp, 512)])
    expected = export.logits_of(directory)(ids)
    loaded = GPTQModel.load(str(directory), device="cpu", backend=BACKEND.TORCH, dtype=torch.float32)
    with torch.no_grad():
        found = loaded.model(ids).logits.float()
    print(
        json.dumps(
            {
                "directory": directory.name,
                "largest_logit": round(float(expected.abs().max()), 3),
                "largest_difference": round(float((found - expected).abs().max()), 4),
                "same_first_choice": round(
                    float((found.argmax(-1) == expected.argmax(-1)).double().mean()), 4
                ),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    root = pathlib.Path(__file__).resolve().parents[2] / "models"
    quantised = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "airophin-mini"
    check_algorithm(quantised)
    check_file(quantised)
