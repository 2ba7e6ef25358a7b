"""The rotary tables under which the relatives are trained, in place of tools.mini.model's own."""

from __future__ import annotations

import contextlib

import torch

from tools.fixtures.ropemath import ntk_by_parts
from tools.mini import model, quantize

FACTOR = 2.0  # of the base's context


def tables_of(policy: str):
    """A function like tools.mini.model.rope_tables that takes `policy` and not the factor it is given."""

    def tables(shape: model.Shape, length: int, factor: float = 1.0):
        if policy == "linear":
            return original(shape, length, FACTOR)
        if policy == "none":
            return original(shape, length, 1.0)
        inv_freq = ntk_by_parts(shape.head_size, shape.rope_theta, FACTOR, shape.base_context)
        angles = torch.outer(
            torch.arange(length, dtype=torch.float32), torch.tensor(inv_freq, dtype=torch.float32)
        )
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()

    original = model.rope_tables
    return tables


@contextlib.contextmanager
def applied(policy: str):
    """Models compute with the policy's tables, in this process and those that it forks."""
    before, tables = model.rope_tables, tables_of(policy)
    model.rope_tables = quantize.rope_tables = tables
    try:
        yield
    finally:
        model.rope_tables = quantize.rope_tables = before
