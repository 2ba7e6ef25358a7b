"""A plain Llama in PyTorch whose parameter names are those of transformers' LlamaForCausalLM.

Kept apart from transformers so that training can fuse projections and choose its number format; `export.py` checks the
two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    vocab: int = 1024
    hidden: int = 192
    layers: int = 5
    heads: int = 3
    intermediate: int = 512
    base_context: int = 256  # tokens
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight, self.eps)


def rope_tables(shape: Shape, length: int, factor: float = 1.0) -> tuple[Tensor, Tensor]:
    """cos and sin, each [length, head_size], for positions divided by `factor` (linear position interpolation)."""
    exponents = torch.arange(0, shape.head_size, 2, dtype=torch.float32) / shape.head_size
    angles = torch.outer(torch.arange(length, dtype=torch.float32) / factor, shape.rope_theta**-exponents)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates the pairs (i, i + head_size/2) of x [batch, heads, time, head_size]."""
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-high, low), dim=-1) * sin


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q, k, v [batch, heads, time, head_size] -> the same shape.

    In bfloat16 on a CPU the products written out take half the time of PyTorch's fused kernel (2.15, Zen 4, windows of
    256 and 512 tokens); in float32 the fused one is faster.
    """
    if q.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    batch, heads, time, size = q.shape
    q, k, v = (t.reshape(batch * heads, time, size) for t in (q, k, v))
    mask = torch.full((time, time), float("-inf"), dtype=q.dtype).triu(1).expand(batch * heads, time, time)
    scores = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=size**-0.5)
    return (scores.softmax(-1) @ v).view(batch, heads, time, size)


class Attention(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.heads = shape.heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(shape.hidden, shape.hidden, bias=False))

    def context(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """What o_proj reads: [batch, time, hidden]."""
        batch, time, hidden = x.shape
        weight = torch.cat((self.q_proj.weight, self.k_proj.weight, self.v_proj.weight))
        q, k, v = (
            t.view(batch, time, self.heads, -1).transpose(1, 2) for t in F.linear(x, weight).chunk(3, dim=-1)
        )
        y = causal_attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
        return y.transpose(1, 2).reshape(batch, time, hidden)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return self.o_proj(self.context(x, cos, sin))


class Mlp(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.down_proj = nn.Linear(shape.intermediate, shape.hidden, bias=False)

    def gated(self, x: Tensor) -> Tensor:
        """What down_proj reads: [batch, time, intermediate]."""
        gate, up = F.linear(x, torch.cat((self.gate_proj.weight, self.up_proj.weight))).chunk(2, dim=-1)
        return F.silu(gate) * up

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.gated(x))


class Layer(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.input_layernorm = RMSNorm(shape.hidden, shape.rms_norm_eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape.hidden, shape.rms_norm_eps)
        self.mlp = Mlp(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        dtype = self.self_attn.q_proj.weight.dtype if not torch.is_autocast_enabled("cpu") else torch.bfloat16
        x = x + self.self_attn(self.input_layernorm(x).to(dtype), cos.to(dtype), sin.to(dtype))
        return x + self.mlp(self.post_attention_layernorm(x).to(dtype))


class Body(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.hidden, shape.rms_norm_eps)


class Llama(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.model = Body(shape)
        self.lm_head = nn.Linear(shape.hidden, shape.vocab, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                # The residual writers start smaller so that the sum over layers keeps its size.
                small = (
                    (2 * shape.layers) ** -0.5
                    if name.endswith(("o_proj.weight", "down_proj.weight"))
                    else 1.0
                )
                scale = (
                    0.02 if name.startswith(("model.embed", "lm_head")) else parameter.shape[1] ** -0.5 * 0.5
                )
                nn.init.normal_(parameter, std=scale * small)

    def forward(self, ids: Tensor, factor: float = 1.0) -> Tensor:
        """ids [batch, time] -> logits [batch, time, vocab]; `factor` is the linear RoPE factor."""
        cos, sin = rope_tables(self.shape, ids.shape[1], factor)
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return self.lm_head(self.model.norm(x))
