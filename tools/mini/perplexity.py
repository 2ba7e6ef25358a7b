"""Perplexity by window length on a held-out stream of token ids: disjoint windows, every target but the first scored."""

from __future__ import annotations

import math
import random

import torch
import torch.nn.functional as F

from . import generator
from .documents import encode
from .words import Pools

TAIL = 64  # tokens at a window's end, reported apart: there the window's length shows


def held_out_documents(count: int, seed: int = 31337) -> list[list[tuple[str, str]]]:
    """(prompt, answer) pairs of `count` documents made of words that training never saw."""
    rng = random.Random(seed)
    pools = Pools(rng, held_out=True)
    return [generator.render(generator.draw_conversation(rng, pools, generator.LONG)) for _ in range(count)]


def held_out_ids(sp, length: int) -> list[int]:
    """The documents' ids in the training form (<s> prompt answer </s> ...), one after the other, `length` of them."""
    ids: list[int] = []
    for pairs in held_out_documents(length // 100 + 1):
        ids += encode(sp, pairs)[0]
        if len(ids) >= length:
            return ids[:length]
    raise ValueError(f"too few documents for {length} tokens")


def by_window(logits_of, ids: list[int], lengths: tuple[int, ...]) -> dict[int, tuple[float, float]]:
    """length -> (perplexity of all targets, perplexity of each window's last 64 targets); a short last window is dropped."""
    table = {}
    for length in lengths:
        total, count, tail_total, tail_count = 0.0, 0, 0.0, 0
        for start in range(0, len(ids) - length + 1, length):
            window = torch.tensor(ids[start : start + length])
            with torch.no_grad():
                losses = F.cross_entropy(
                    logits_of(window[None])[0, :-1].float(), window[1:], reduction="none"
                ).double()
            total, count = total + float(losses.sum()), count + len(losses)
            tail_total, tail_count = tail_total + float(losses[-TAIL:].sum()), tail_count + len(
                losses[-TAIL:]
            )
        table[length] = (math.exp(total / count), math.exp(tail_total / tail_count))
    return table
