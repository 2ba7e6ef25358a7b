"""Writes and reads checkpoint directories in the form transformers and AutoGPTQ write."""

from __future__ import annotations

import json
import pathlib

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from . import gptq, quantize, tokenizer
from .model import Llama, Shape

ROPE_FACTOR = 2.0


def config_of(shape: Shape) -> dict:
    """config.json; max_position_embeddings is the context after interpolation, in tokens."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": shape.head_size,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": int(shape.base_context * ROPE_FACTOR),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.heads,
        "pretraining_tp": 1,
        "rms_norm_eps": shape.rms_norm_eps,
        "rope_scaling": {"type": "linear", "factor": ROPE_FACTOR},
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "use_cache": True,
        "vocab_size": shape.vocab,
    }


def quantisation_config() -> dict:
    return {
        "bits": gptq.BITS,
        "group_size": quantize.GROUP_SIZE,
        "damp_percent": quantize.DAMP,
        "desc_act": True,
        "static_groups": False,
        "sym": True,
        "true_sequential": True,
        "lm_head": False,
        "quant_method": "gptq",
        "checkpoint_format": "gptq",
        "model_name_or_path": None,
        "model_file_base_name": "model",
    }


def _write_json(path: pathlib.Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def _write_directory(
    directory: pathlib.Path, config: dict, tensors: dict[str, Tensor], tokenizer_path: pathlib.Path
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    save_file(
        {k: v.contiguous() for k, v in tensors.items()},
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )
    (directory / "model.safetensors").chmod(0o644)  # save_file leaves it to its owner alone
    _write_json(directory / "config.json", config)
    _write_json(
        directory / "generation_config.json",
        {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2},
    )
    (directory / "tokenizer.model").write_bytes(tokenizer_path.read_bytes())
    tokenizer.write_side_files(directory)


def write_half(directory: pathlib.Path, model: Llama, tokenizer_path: pathlib.Path) -> None:
    tensors = {name: value.half() for name, value in model.state_dict().items()}
    _write_directory(directory, config_of(model.shape), tensors, tokenizer_path)


def write_quantised(
    directory: pathlib.Path, model: Llama, matrices: dict[str, gptq.Quantised], tokenizer_path: pathlib.Path
) -> None:
    """`model` gives the tensors that stay dense: embeddings, norms, lm_head."""
    tensors = {}
    for name, value in model.state_dict().items():
        prefix = name.removesuffix(".weight")
        tensors |= gptq.file_tensors(prefix, matrices[prefix]) if prefix in matrices else {name: value.half()}
    config = config_of(model.shape) | {"quantization_config": quantisation_config()}
    _write_directory(directory, config, tensors, tokenizer_path)
    _write_json(directory / "quantize_config.json", quantisation_config())


def read_tensors(directory: pathlib.Path) -> dict[str, Tensor]:
    """float32 tensors by transformers' names, dequantised where the directory holds GPTQ tensors."""
    stored = load_file(directory / "model.safetensors")
    dense = {name: value.float() for name, value in stored.items() if name.endswith(".weight")}
    for name in stored:
        if name.endswith(".qweight"):
            prefix = name.removesuffix(".qweight")
            dense[prefix + ".weight"] = gptq.from_file_tensors(prefix, stored)
    return dense


def as_transformers(directory: pathlib.Path):
    """transformers' own Llama in float32, built from the directory's config.json and dequantised tensors.

    The reference for everything that has to agree: it shares no forward code with `model.py`.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    config = json.loads((directory / "config.json").read_text())
    config.pop("quantization_config", None)
    config["torch_dtype"] = "float32"
    model = LlamaForCausalLM(LlamaConfig(**config)).float().eval()
    missing, unexpected = model.load_state_dict(read_tensors(directory), strict=False)
    if missing or unexpected:
        raise ValueError(f"{directory}: missing tensors {missing}, unexpected tensors {unexpected}")
    return model


def logits_of(directory: pathlib.Path):
    """A function from ids [1, time] to logits [1, time, vocab], computed by transformers."""
    model = as_transformers(directory)

    def logits(ids: Tensor) -> Tensor:
        with torch.no_grad():
            return model(ids).logits

    return logits
