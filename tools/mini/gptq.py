"""GPTQ for one weight matrix: the published algorithm, its file packing, and the way back.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers" (2022), with the
grouping and the activation order that GPTQ-for-LLaMa and AutoGPTQ added. Everything is symmetric 4-bit here: codes are
0..15 and the zero point is 8, so weight = scale * (code - 8).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BITS = 4
CODES_PER_WORD = 32 // BITS
ZERO = 1 << (BITS - 1)
LARGEST_CODE = (1 << BITS) - 1


@dataclass
class Quantised:
    """K = inputs, N = outputs, G = groups. Rows of `codes` are in the layer's own input order."""

    codes: Tensor  # uint8 [K, N]
    scales: Tensor  # float16 [G, N]
    group_of_input: Tensor  # int32 [K], the file's g_idx

    def dequantised(self) -> Tensor:
        """float32 [N, K], as nn.Linear holds it."""
        groups = self.group_of_input.long()
        return (self.scales.float()[groups] * (self.codes.float() - ZERO)).T.contiguous()


def inverse_factor(hessian: Tensor, damp: float) -> Tensor:
    """Upper Cholesky factor of the inverse of the damped Hessian [K, K]; its row k drives the error of column k."""
    damped = hessian + damp * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=hessian.dtype)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True)


def symmetric_scale(weights: Tensor) -> Tensor:
    """One scale per row of weights [N, group]: the largest magnitude spans half the codes; rounded as it is stored."""
    largest = weights.abs().amax(1).clamp_min(1e-5)
    return (2 * largest / LARGEST_CODE).half().double()


def nearest_codes(weights: Tensor, scale: Tensor) -> Tensor:
    return torch.clamp(torch.round(weights / scale) + ZERO, 0, LARGEST_CODE)


def quantise(
    weight: Tensor, hessian: Tensor, group_size: int, damp: float = 0.01, act_order: bool = True
) -> Quantised:
    """weight [N, K], hessian [K, K] = sum of x xT over the calibration inputs of this layer.

    Columns are taken in falling order of their Hessian diagonal (act_order), in blocks of one group: the group's scale is
    taken when all earlier columns have already passed their error on, which needs no later correction.
    """
    weight, hessian = weight.double().clone(), hessian.double().clone()
    outputs, inputs = weight.shape
    unused = hessian.diagonal() == 0
    hessian[unused, unused] = 1
    weight[:, unused] = 0
    order = (
        torch.argsort(hessian.diagonal(), descending=True, stable=True) if act_order else torch.arange(inputs)
    )
    weight = weight[:, order]
    factor = inverse_factor(hessian[order][:, order], damp)

    codes = torch.zeros(outputs, inputs, dtype=torch.float64)
    scales = torch.zeros(inputs // group_size, outputs, dtype=torch.float64)
    for start in range(0, inputs, group_size):
        end = start + group_size
        block, corner = weight[:, start:end].clone(), factor[start:end, start:end]
        scale = symmetric_scale(block)
        scales[start // group_size] = scale
        errors = torch.zeros_like(block)
        for i in range(group_size):
            codes[:, start + i] = nearest_codes(block[:, i], scale)
            rounded = scale * (codes[:, start + i] - ZERO)
            errors[:, i] = (block[:, i] - rounded) / corner[i, i]
            block[:, i:] -= torch.outer(errors[:, i], corner[i, i:])
        weight[:, end:] -= errors @ factor[start:end, end:]
    back = torch.argsort(order)
    groups = (torch.arange(inputs, dtype=torch.int32) // group_size)[back]
    return Quantised(codes[:, back].T.contiguous().to(torch.uint8), scales.half(), groups)


def round_to_nearest(weight: Tensor, group_size: int) -> Quantised:
    """No error compensation and no order: what GPTQ has to beat."""
    weight = weight.double()
    scale = torch.stack([symmetric_scale(g) for g in weight.split(group_size, dim=1)])  # [G, N]
    groups = torch.arange(weight.shape[1], dtype=torch.int32) // group_size
    codes = nearest_codes(weight, scale[groups.long()].T)
    return Quantised(codes.T.contiguous().to(torch.uint8), scale.half(), groups)


def output_error(weight: Tensor, quantised: Quantised, hessian: Tensor) -> float:
    """Squared error of the layer's outputs on the calibration inputs, relative to the squared outputs."""
    weight = weight.double()
    difference = weight - quantised.dequantised().double()
    return float(
        ((difference @ hessian.double()) * difference).sum() / ((weight @ hessian.double()) * weight).sum()
    )


def pack_words(codes: Tensor) -> Tensor:
    """Eight codes of consecutive rows [K, N] to one int32 word [K/8, N], the lowest row in the lowest nibble."""
    rows, columns = codes.shape
    grouped = codes.long().view(rows // CODES_PER_WORD, CODES_PER_WORD, columns)
    shifts = (torch.arange(CODES_PER_WORD) * BITS).view(1, -1, 1)
    words = (grouped << shifts).sum(1)
    return torch.where(words >= 1 << 31, words - (1 << 32), words).int()


def unpack_words(words: Tensor) -> Tensor:
    """The inverse of `pack_words`: int32 [K/8, N] -> uint8 [K, N]."""
    shifts = (torch.arange(CODES_PER_WORD) * BITS).view(1, -1, 1)
    codes = (words.long().unsqueeze(1) >> shifts) & LARGEST_CODE
    return codes.reshape(-1, words.shape[1]).to(torch.uint8)


def file_tensors(prefix: str, quantised: Quantised) -> dict[str, Tensor]:
    """AutoGPTQ's tensors of version 1, which stores zero points less one."""
    groups, outputs = quantised.scales.shape
    zeros = torch.full((outputs, groups), ZERO - 1)
    return {
        f"{prefix}.qweight": pack_words(quantised.codes),
        f"{prefix}.qzeros": pack_words(zeros).T.contiguous(),
        f"{prefix}.scales": quantised.scales.contiguous(),
        f"{prefix}.g_idx": quantised.group_of_input.clone(),
    }


def from_file_tensors(prefix: str, tensors: dict[str, Tensor]) -> Tensor:
    """float32 [N, K] from AutoGPTQ's tensors, zero points read from the file."""
    codes = unpack_words(tensors[f"{prefix}.qweight"]).float()
    zeros = unpack_words(tensors[f"{prefix}.qzeros"].T.contiguous()).T.float() + 1
    groups = tensors[f"{prefix}.g_idx"].long()
    scales = tensors[f"{prefix}.scales"].float()
    return (scales[groups] * (codes - zeros[groups])).T.contiguous()
