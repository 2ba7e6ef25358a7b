"""python -m tools.quantize.shapes [--hidden 5120] [--inner 13824] [--all] ... : what a layer of a larger model takes.

A model of one layer with random weights and full shapes, of which `ropewalk quantize` rounds down_proj alone, the widest, or
with --all every matrix. Prints peak memory, which does not depend on the number of layers, and seconds. With --tokens N also the
CPU time of the whole model calibrated on N tokens, from runs of one layer at two numbers of tokens.
"""
from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VOCAB = 1024


def write_model(folder: Path, options) -> None:
    hidden, inner, keys = options.hidden, options.inner, options.kv_heads * options.head
    layer = "model.layers.0."
    shapes = {"model.embed_tokens.weight": (VOCAB, hidden), "lm_head.weight": (VOCAB, hidden), "model.norm.weight": (hidden,),
              layer + "mlp.gate_proj.weight": (inner, hidden), layer + "mlp.up_proj.weight": (inner, hidden),
              layer + "mlp.down_proj.weight": (hidden, inner), layer + "input_layernorm.weight": (hidden,),
              layer + "post_attention_layernorm.weight": (hidden,)}
    shapes |= {f"{layer}self_attn.{name}_proj.weight": (keys if name in "kv" else hidden, hidden) for name in "qkvo"}
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + int(np.prod(shape)) * 2
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    folder.mkdir()
    rng = np.random.default_rng(0)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            values = rng.standard_normal(shape, dtype=np.float32) / np.sqrt(shape[-1]) if len(shape) == 2 else np.ones(shape)
            file.write(values.astype(np.float16).tobytes())
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": 1, "num_attention_heads": hidden // options.head, "num_key_value_heads": options.kv_heads,
        "max_position_embeddings": 8192, "vocab_size": VOCAB, "rms_norm_eps": 1e-5}))


@dataclass
class Run:
    wall: float  # seconds
    cpu: float  # of all threads
    peak: float  # MiB


def quantise(work: Path, options, samples: int) -> Run:
    """One run of the program over `samples` windows of random ids."""
    rng = np.random.default_rng(1)
    ids = work / f"{samples}.ids"
    ids.write_text("".join(" ".join(map(str, rng.integers(0, VOCAB, options.length))) + "\n" for _ in range(samples)))
    dense = () if options.all else ("self_attn.*", "gate_proj", "up_proj")
    skipped = [word for name in dense for word in ("--skip", name)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    result = subprocess.run([options.program, "quantize", str(work / "base"), "--out", str(work / f"out-{samples}"),
                             "--calibration", str(ids), "--samples", str(samples), "--length", str(options.length),
                             "--backend", "cpu", "--json", *skipped], check=True, capture_output=True, text=True)
    wall, after = time.time() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    print(result.stderr.strip())
    for line in result.stdout.splitlines()[:-1]:
        matrix = json.loads(line)
        print(f"{matrix['matrix'].removeprefix('model.layers.0.')}: {matrix['seconds']:.1f} s for rounding and its errors, "
              f"error {matrix['error']:.5f}, rtn {matrix['rtn_error']:.5f}")
    run = Run(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024)
    print(f"{options.hidden} x {options.inner}, {samples * options.length} tokens, {os.cpu_count()} cores: peak {run.peak:.0f} "
          f"MiB, {run.wall:.1f} s, {run.cpu:.1f} s of CPU time", flush=True)
    return run


def extrapolate(few: Run, many: Run, tokens: tuple[int, int], options) -> None:
    """A layer's CPU time is a + b tokens: factors and columns, forward pass and Hessians."""
    b = (many.cpu - few.cpu) / (tokens[1] - tokens[0])
    a = few.cpu - b * tokens[0]
    total = options.layers * (a + b * options.tokens)
    print(f"{options.layers} layers, {options.tokens} tokens: {options.layers} x ({a:.1f} s + {1000 * b:.3f} ms x "
          f"{options.tokens}) = {total / 60:.0f} min of CPU time, {total / 60 / os.cpu_count():.0f} min on {os.cpu_count()} "
          "cores")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.quantize.shapes")
    parser.add_argument("--hidden", type=int, default=5120)
    parser.add_argument("--inner", type=int, default=13824)
    parser.add_argument("--head", type=int, default=128)
    parser.add_argument("--kv-heads", type=int, default=40)
    parser.add_argument("--layers", type=int, default=40, help="of the whole model, for the arithmetic")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--tokens", type=int, help="of the whole model's calibration: a second run over a fourth of the samples "
                        "tells what a token costs")
    parser.add_argument("--all", action="store_true", help="round every matrix of the layer, not down_proj alone")
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_model(work / "base", options)
        samples = [options.samples] if not options.tokens else [max(1, options.samples // 4), options.samples]
        runs = [quantise(work, options, count) for count in samples]
        if options.tokens:
            extrapolate(*runs, (samples[0] * options.length, samples[1] * options.length), options)


main()
