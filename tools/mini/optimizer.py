"""Muon for the hidden matrices, AdamW for everything else.

Muon (Keller Jordan et al., 2024): momentum, then the nearest orthogonal matrix by a Newton-Schulz iteration.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # the published quintic coefficients


def orthogonalised(matrices: Tensor, steps: int = 5) -> Tensor:
    """[count, rows, columns] -> the same shape with all singular values near 1, computed in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.transpose(1, 2) if tall else x).float()


class Muon:
    def __init__(self, parameters: list[Tensor], momentum: float = 0.95):
        """Parameters of one shape are orthogonalised together."""
        self.momentum = momentum
        self.groups: dict[tuple, list[int]] = {}
        self.parameters = parameters
        self.buffers = [torch.zeros_like(p) for p in parameters]
        for i, p in enumerate(parameters):
            self.groups.setdefault(tuple(p.shape), []).append(i)

    @torch.no_grad()
    def step(self, gradients: list[Tensor], rate: float) -> None:
        for shape, members in self.groups.items():
            updates = []
            for i in members:
                self.buffers[i].lerp_(gradients[i], 1 - self.momentum)
                updates.append(gradients[i].lerp(self.buffers[i], self.momentum))  # Nesterov
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            for i, update in zip(members, orthogonalised(torch.stack(updates))):
                self.parameters[i].mul_(1 - rate * 0.01).add_(update, alpha=-rate * scale)


class AdamW:
    def __init__(
        self, parameters: list[Tensor], betas: tuple[float, float] = (0.9, 0.95), eps: float = 1e-10
    ):
        self.parameters, self.betas, self.eps, self.count = parameters, betas, eps, 0
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self, gradients: list[Tensor], rate: float) -> None:
        self.count += 1
        b1, b2 = self.betas
        for p, g, m, v in zip(self.parameters, gradients, self.first, self.second):
            m.lerp_(g, 1 - b1)
            v.mul_(b2).addcmul_(g, g, value=1 - b2)
            denominator = (v / (1 - b2**self.count)).sqrt_().add_(self.eps)
            p.addcdiv_(m, denominator, value=-rate / (1 - b1**self.count))
