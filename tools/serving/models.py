"""Models for a measure of speed: a shape of 1.1B for both servers, and the bundled shape for the peer.

Weights are random numbers of 4 bits in groups of 32, here as GPTQ, there as q4_0; embeddings and head are f16 in both.
The head's rows of the first 300 ids are zero, so that greedy replies consist of words and never of single bytes, which a
server would hold back.
"""

import json
import pathlib
import shutil
import struct

import gguf
import numpy

from .prompts import FIRST_WORD

# vocabulary, hidden, inner, layers, heads, heads of keys and values, context
SHAPES = {"mini": (1024, 192, 512, 5, 3, 3, 512), "tinyllama-1.1b": (32000, 2048, 5632, 22, 32, 4, 2048)}
GROUP, SCALE = 32, 0.004
BUNDLED = pathlib.Path(__file__).parents[2] / "models/airophin-mini"


def linears(shape):
    """(our name, the peer's name, rows in, columns out) of a layer."""
    _, hidden, inner, _, heads, kv_heads, _ = shape
    kv = hidden // heads * kv_heads
    return [("self_attn.q_proj", "attn_q", hidden, hidden), ("self_attn.k_proj", "attn_k", hidden, kv),
            ("self_attn.v_proj", "attn_v", hidden, kv), ("self_attn.o_proj", "attn_output", hidden, hidden),
            ("mlp.gate_proj", "ffn_gate", hidden, inner), ("mlp.up_proj", "ffn_up", hidden, inner),
            ("mlp.down_proj", "ffn_down", inner, hidden)]


def tables(shape, random):
    embedding = (random.standard_normal((shape[0], shape[1]), numpy.float32) * 0.02).astype(numpy.float16)
    head = (random.standard_normal((shape[0], shape[1]), numpy.float32) * 0.02).astype(numpy.float16)
    head[:FIRST_WORD] = 0
    return embedding, head


def write_gptq(name, folder):
    """A checkpoint folder that `ropewalk serve` loads."""
    shape = SHAPES[name]
    vocabulary, hidden, inner, layers, heads, kv_heads, context = shape
    random = numpy.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"):
        shutil.copy(BUNDLED / file, folder / file)
    quantization = {"bits": 4, "group_size": GROUP, "desc_act": False, "sym": True, "quant_method": "gptq",
                    "checkpoint_format": "gptq", "lm_head": False}
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": hidden,
        "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "max_position_embeddings": context, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": False, "torch_dtype": "float16", "vocab_size": vocabulary,
        "bos_token_id": 1, "eos_token_id": 2, "quantization_config": quantization}))
    embedding, head = tables(shape, random)
    ones = numpy.ones(hidden, numpy.float16)
    tensors = {"model.embed_tokens.weight": embedding, "lm_head.weight": head, "model.norm.weight": ones}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        tensors[prefix + "input_layernorm.weight"] = tensors[prefix + "post_attention_layernorm.weight"] = ones
        for ours, _, rows, columns in linears(shape):
            tensors[prefix + ours + ".qweight"] = random.integers(-2**31, 2**31, (rows // 8, columns), numpy.int32)
            tensors[prefix + ours + ".qzeros"] = numpy.full((rows // GROUP, columns // 8), 0x77777777, numpy.int32)
            tensors[prefix + ours + ".scales"] = numpy.full((rows // GROUP, columns), SCALE, numpy.float16)
            tensors[prefix + ours + ".g_idx"] = numpy.arange(rows, dtype=numpy.int32) // GROUP
    write_safetensors(tensors, folder / "model.safetensors")


def write_safetensors(tensors, path):
    names = {numpy.dtype(numpy.float16): "F16", numpy.dtype(numpy.int32): "I32"}
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.tobytes())


def write_gguf(name, path):
    """A file that llama.cpp's server loads."""
    vocabulary, hidden, inner, layers, heads, kv_heads, context = shape = SHAPES[name]
    random = numpy.random.default_rng(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(context)
    out.add_embedding_length(hidden)
    out.add_block_count(layers)
    out.add_feed_forward_length(inner)
    out.add_head_count(heads)
    out.add_head_count_kv(kv_heads)
    out.add_rope_dimension_count(hidden // heads)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(vocabulary)
    out.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    kind = gguf.TokenType
    control = [("<unk>", kind.UNKNOWN), ("<s>", kind.CONTROL), ("</s>", kind.CONTROL)]
    tokens = control + [(f"<0x{i:02X}>", kind.BYTE) for i in range(256)]
    tokens += [(f"\u2581w{i}", kind.NORMAL) for i in range(len(tokens), vocabulary)]
    out.add_tokenizer_model("llama")
    out.add_token_list([text for text, _ in tokens])
    out.add_token_scores([0.0] * vocabulary)
    out.add_token_types([token_kind for _, token_kind in tokens])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    embedding, head = tables(shape, random)
    out.add_tensor("token_embd.weight", embedding)
    out.add_tensor("output.weight", head)
    ones = numpy.ones(hidden, numpy.float32)
    out.add_tensor("output_norm.weight", ones)
    for layer in range(layers):
        out.add_tensor(f"blk.{layer}.attn_norm.weight", ones)
        out.add_tensor(f"blk.{layer}.ffn_norm.weight", ones)
        for _, theirs, rows, columns in linears(shape):
            # A block of q4_0: the scale as f16, then 32 codes; a code c stands for (c - 8) * scale.
            blocks = random.integers(0, 256, (columns, rows // GROUP, 2 + GROUP // 2), numpy.uint8)
            blocks[..., :2] = numpy.frombuffer(numpy.float16(SCALE).tobytes(), numpy.uint8)
            out.add_tensor(f"blk.{layer}.{theirs}.weight", blocks.reshape(columns, -1),
                           raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
