"""Quantises a whole model in true sequential order: every layer sees the inputs that the quantised layers before it make."""

from __future__ import annotations

import copy
import json

import torch
from torch import Tensor

from . import generator, gptq
from .documents import Windows
from .model import Llama, rope_tables

GROUP_SIZE = 32
DAMP = 0.01
PARTS = (  # projections that read one input and therefore share a Hessian, in the order AutoGPTQ quantises them
    ("self_attn", ("k_proj", "v_proj", "q_proj")),
    ("self_attn", ("o_proj",)),
    ("mlp", ("up_proj", "gate_proj")),
    ("mlp", ("down_proj",)),
)


def calibration_ids(sp, windows: int = 256, length: int = 512, seed: int = 4711) -> Tensor:
    """Windows of fresh training text [windows, length]."""
    source = Windows(sp, length, seed)
    return torch.from_numpy(source.batch(windows, generator.LONG)[0])


def halved(model: Llama) -> Llama:
    """The model as its float16 file holds it, computed in float32."""
    rounded = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in rounded.parameters():
            parameter.copy_(parameter.half().float())
    return rounded


@torch.no_grad()
def quantise_model(
    model: Llama, ids: Tensor, rope_factor: float, report=print
) -> tuple[Llama, dict[str, gptq.Quantised]]:
    """(the model with dequantised weights, its quantised matrices by parameter prefix)."""
    result = halved(model)
    cos, sin = rope_tables(result.shape, ids.shape[1], rope_factor)
    hidden = result.model.embed_tokens(ids)
    matrices: dict[str, gptq.Quantised] = {}
    for number, layer in enumerate(result.model.layers):
        for part, names in PARTS:
            rows = inputs_of(layer, names[0], hidden, cos, sin).flatten(0, 1).double()
            hessian = rows.T @ rows
            for name in names:
                linear = getattr(getattr(layer, part), name)
                quantised = gptq.quantise(linear.weight, hessian, GROUP_SIZE, DAMP)
                plain = gptq.output_error(
                    linear.weight, gptq.round_to_nearest(linear.weight, GROUP_SIZE), hessian
                )
                error = gptq.output_error(linear.weight, quantised, hessian)
                prefix = f"model.layers.{number}.{part}.{name}"
                report(
                    json.dumps(
                        {"matrix": prefix, "gptq": round(error, 6), "round_to_nearest": round(plain, 6)}
                    )
                )
                matrices[prefix] = quantised
                linear.weight.copy_(quantised.dequantised())
        hidden = layer(hidden, cos, sin)
    return result, matrices


def inputs_of(layer, name: str, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """What the projection `name` of this layer reads when the layer reads `hidden` [windows, time, hidden size]."""
    normed = layer.input_layernorm(hidden)
    if name in ("q_proj", "k_proj", "v_proj"):
        return normed
    if name == "o_proj":
        return layer.self_attn.context(normed, cos, sin)
    after = layer.post_attention_layernorm(hidden + layer.self_attn(normed, cos, sin))
    return layer.mlp.gated(after) if name == "down_proj" else after
