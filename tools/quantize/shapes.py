"""python -m tools.quantize.shapes [--hidden 5120] [--inner 13824] [--program P]: what the widest layer of a 13B model takes.

A model of one layer with random weights, of which `ropewalk quantize` rounds down_proj alone, on 512 tokens. Prints peak memory
and seconds.
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

VOCAB, HEAD = 1024, 128


def write_model(folder: Path, hidden: int, inner: int) -> None:
    layer = "model.layers.0."
    shapes = {"model.embed_tokens.weight": (VOCAB, hidden), "lm_head.weight": (VOCAB, hidden), "model.norm.weight": (hidden,),
              layer + "mlp.gate_proj.weight": (inner, hidden), layer + "mlp.up_proj.weight": (inner, hidden),
              layer + "mlp.down_proj.weight": (hidden, inner), layer + "input_layernorm.weight": (hidden,),
              layer + "post_attention_layernorm.weight": (hidden,)}
    shapes |= {f"{layer}self_attn.{name}_proj.weight": (hidden, hidden) for name in "qkvo"}
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
        "num_hidden_layers": 1, "num_attention_heads": hidden // HEAD, "vocab_size": VOCAB, "rms_norm_eps": 1e-5}))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.quantize.shapes")
    parser.add_argument("--hidden", type=int, default=5120)
    parser.add_argument("--inner", type=int, default=13824)
    parser.add_argument("--program", default="build/release/bin/ropewalk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        write_model(Path(work, "base"), options.hidden, options.inner)
        rng = np.random.default_rng(1)
        Path(work, "w.ids").write_text("".join(" ".join(map(str, rng.integers(0, VOCAB, 64))) + "\n" for _ in range(8)))
        skipped = [word for name in ("self_attn.*", "gate_proj", "up_proj") for word in ("--skip", name)]
        start = time.time()
        result = subprocess.run([options.program, "quantize", f"{work}/base", "--out", f"{work}/out", "--calibration",
                                 f"{work}/w.ids", "--length", "64", "--backend", "cpu", "--json", *skipped],
                                check=True, capture_output=True, text=True)
        matrix = json.loads(result.stdout.splitlines()[0])
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"down_proj {options.hidden} x {options.inner}: peak {peak:.0f} MiB, {time.time() - start:.1f} s, of them "
              f"{matrix['seconds']:.1f} s for rounding and its errors; error {matrix['error']:.5f}, rtn "
              f"{matrix['rtn_error']:.5f}")


main()
