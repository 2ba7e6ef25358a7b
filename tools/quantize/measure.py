"""How far models are from the one that they were made of, and what of a difference between two of them is chance.

A rounded model is one of many that are equally good: other calibration windows, or one code in a thousand, give other
perplexities. So models are made on several sets of windows, all are measured on the same other windows, and every figure has
an interval: two standard errors, of the sets and of the measured windows together.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import kl_div


@dataclass
class Interval:
    mean: float  # of logarithms of ratios
    error: float  # its standard error
    single: float  # the standard deviation of one set's

    @property
    def value(self) -> float:
        return math.exp(self.mean)

    @property
    def low(self) -> float:
        return math.exp(self.mean - 2 * self.error)

    @property
    def high(self) -> float:
        return math.exp(self.mean + 2 * self.error)

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} .. {self.high:.4f}; one set ±{self.single:.4f})"


def interval(differences: torch.Tensor) -> Interval:
    """(sets, windows) differences of logarithms."""
    def spread(values: torch.Tensor) -> float:
        return float(values.std()) if len(values) > 1 else 0.0

    sets, windows = differences.mean(1), differences.mean(0)
    error = math.hypot(spread(sets) / math.sqrt(len(sets)), spread(windows) / math.sqrt(len(windows)))
    return Interval(float(differences.mean()), error, spread(sets))


def measured(base, models: dict, windows: list[list[int]]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """By model: each window's mean negative log-likelihood, and its mean KL divergence of the base from the model."""
    def log_probabilities(model, ids):
        return torch.log_softmax(model(input_ids=ids).logits[0, :-1], -1)

    losses, apart = ({name: [] for name in ("base", *models)} for _ in range(2))
    for window in windows:
        ids = torch.tensor([window])
        meant = log_probabilities(base, ids)
        for name, model in (("base", base), *models.items()):
            found = meant if model is base else log_probabilities(model, ids)
            losses[name].append(-found.gather(1, ids[0, 1:, None]).double().mean())
            apart[name].append(kl_div(found, meant, log_target=True, reduction="none").sum(-1).double().mean())
    return {name: (torch.stack(losses[name]), torch.stack(apart[name])) for name in losses}
