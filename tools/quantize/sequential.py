"""A whole model, quantised by another tool's solver: layer by layer, each set of matrices on what the rounded ones before it
compute."""
from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM

SETS = (("self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj"), ("self_attn.o_proj",),
        ("mlp.up_proj", "mlp.gate_proj"), ("mlp.down_proj",))


class Caught(Exception):
    """Ends a forward pass where what it was for is known."""


def dense(base: str):
    return AutoModelForCausalLM.from_pretrained(base, torch_dtype=torch.float32).eval()


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
    model = dense(options.base)
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


def quantised(solver, options, windows: list[list[int]]):
    """The model with rounded weights in f32, and the errors by matrix."""
    model, named, errors = *opened(options, windows), {}
    for index, layer in enumerate(model.model.layers[:options.layers]):
        calls = [lambda values=values: output(layer, values) for values in named]
        for names in SETS:
            for name, error in solve_set(layer, names, calls, solver, options).items():
                errors[f"model.layers.{index}.{name}"] = error
        for values in named:
            values["hidden_states"] = output(layer, values)
    return model, errors
