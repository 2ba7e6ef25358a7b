"""python -m tools.adapters.shapes [--layers 4] [--rank 64] [--program P]: what a merge at 13B shapes takes.

The base has zeros for weights, so its file is full of holes and costs no disk; the adapter changes all seven
linear layers and is random. Prints peak memory, seconds and bytes a second of `ropewalk adapter merge`.
"""
from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

HIDDEN, INNER, VOCAB, HEADS = 5120, 13824, 32000, 40
LINEARS = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (HIDDEN, HIDDEN), "self_attn.v_proj": (HIDDEN, HIDDEN),
           "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN),
           "mlp.down_proj": (HIDDEN, INNER)}


def write_header(file, shapes: dict[str, tuple], kind: str, size: int) -> int:
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + int(np.prod(shape)) * size
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    file.write(len(text).to_bytes(8, "little") + text)
    return at


def write_base(folder: Path, layers: int) -> None:
    shapes = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "lm_head.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for i in range(layers):
        shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in LINEARS.items()}
        shapes |= {f"model.layers.{i}.{name}.weight": (HIDDEN,) for name in ("input_layernorm", "post_attention_layernorm")}
    folder.mkdir()
    with open(folder / "model.safetensors", "wb") as file:
        file.truncate(file.tell() + write_header(file, shapes, "F16", 2) + file.tell())
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER,
        "num_hidden_layers": layers, "num_attention_heads": HEADS, "vocab_size": VOCAB, "rms_norm_eps": 1e-5}))


def write_adapter(folder: Path, layers: int, rank: int) -> None:
    shapes = {}
    for i in range(layers):
        for name, (rows, cols) in LINEARS.items():
            module = f"base_model.model.model.layers.{i}.{name}"
            shapes |= {f"{module}.lora_A.weight": (rank, cols), f"{module}.lora_B.weight": (rows, rank)}
    folder.mkdir()
    rng = np.random.default_rng(0)
    with open(folder / "adapter_model.safetensors", "wb") as file:
        write_header(file, shapes, "F16", 2)
        for shape in shapes.values():
            file.write((rng.standard_normal(shape) * 0.01).astype(np.float16).tobytes())
    (folder / "adapter_config.json").write_text(json.dumps(
        {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "base_model_name_or_path": "base"}))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.adapters.shapes")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        write_base(Path(work, "base"), options.layers)
        write_adapter(Path(work, "adapter"), options.layers, options.rank)
        start = time.time()
        result = subprocess.run([options.program, "adapter", "merge", f"{work}/base", "--adapter", f"{work}/adapter", "--out",
                                 f"{work}/out", "--json"], check=True, capture_output=True, text=True)
        seconds = time.time() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        written = json.loads(result.stdout)["bytes"]
        print(f"{options.layers} layers, rank {options.rank}: peak {peak:.0f} MiB, {seconds:.1f} s, "
              f"{written / 1e9:.2f} GB written, {written / seconds / 1e6:.0f} MB/s")


main()
