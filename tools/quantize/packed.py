"""The weights of a GPTQ folder in f32, read without any of the loaders that are compared."""
from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file


def unpacked(words: torch.Tensor, bits: int, count: int) -> torch.Tensor:
    """Codes of the bit streams that run down the columns of int32 words: (words, N) -> (count, N)."""
    stream = (words.long() & 0xFFFFFFFF)[:, None, :] >> torch.arange(32)[None, :, None] & 1  # (words, 32, N)
    stream = stream.reshape(-1, bits, words.shape[1])[:count]
    return (stream << torch.arange(bits)[None, :, None]).sum(1)


def dequantised(folder: Path, bits: int, offset: int) -> dict[str, torch.Tensor]:
    """f32 weights under their dense names: scale * (code - zero - offset), by the group that g_idx names."""
    stored = load_file(folder / "model.safetensors")
    plain = {name: value.float() for name, value in stored.items() if name.endswith(".weight")}
    for name in [name.removesuffix(".qweight") for name in stored if name.endswith(".qweight")]:
        groups = stored[name + ".g_idx"].long()
        codes = unpacked(stored[name + ".qweight"], bits, len(groups))
        zeros = unpacked(stored[name + ".qzeros"].t().contiguous(), bits, codes.shape[1]).t() + offset
        plain[name + ".weight"] = (stored[name + ".scales"].float()[groups] * (codes - zeros[groups])).t().contiguous()
    return plain
