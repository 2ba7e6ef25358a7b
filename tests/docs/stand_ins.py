"""What a reader of the documents has and this tree has not: models, adapters and texts by the names that the documents use.

Large models are stood in for by the first layer of the bundled ones, which have their form.
"""

import json
import shutil
import struct
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
QUANTISED = TREE / "models/airophin-mini"
DENSE = TREE / "models/airophin-mini-f16"

# Folders that documents name, and whose first layer stands in for them.
MODELS = {
    "models/airophin-13b": QUANTISED,
    "models/airo-13b-gptq": QUANTISED,
    "llama-2-13b": DENSE,
    "airophin-13b": QUANTISED,
}
ADAPTERS = ["my-lora", "airo-adapter", "story-adapter"]

# `hf download NAME [--revision R] [--local-dir DIR]`: puts the bundled model where the real one puts a download.
HF = f"""#!/usr/bin/env bash
set -eu
[ "$1" = download ] || {{ echo "hf: no $1 here" >&2; exit 2; }}
name=$2 revision=main folder=
shift 2
while [ $# -gt 0 ]; do
  case $1 in
    --revision) revision=$2; shift 2 ;;
    --local-dir) folder=$2; shift 2 ;;
    *) echo "hf: no option $1 here" >&2; exit 2 ;;
  esac
done
if [ -z "$folder" ]; then
  cache=$HF_HOME/hub/models--${{name//\\//--}}
  folder=$cache/snapshots/0123456789abcdef0123456789abcdef01234567
  mkdir -p "$cache/refs"
  printf 0123456789abcdef0123456789abcdef01234567 > "$cache/refs/$revision"
fi
mkdir -p "$folder"
cp {QUANTISED}/* "$folder"
"""


def copy_first_layer(source: Path, folder: Path) -> None:
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] = 1
    (folder / "config.json").write_text(json.dumps(config))
    raw = (source / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    tensors = json.loads(raw[8 : 8 + size])
    kept, data = {}, b""
    for name, tensor in tensors.items():
        if name != "__metadata__" and (".layers." not in name or ".layers.0." in name):
            begin, end = tensor["data_offsets"]
            kept[name] = {**tensor, "data_offsets": [len(data), len(data) + end - begin]}
            data += raw[8 + size + begin : 8 + size + end]
    write_safetensors(folder / "model.safetensors", kept, data)


def write_safetensors(file: Path, header: dict, data: bytes) -> None:
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_adapter(folder: Path, width: int) -> None:
    """A LoRA of rank 2 on q_proj of a model of one layer, in PEFT's form, that changes a little."""
    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "bias": "none"}
    config["base_model_name_or_path"] = "llama-2-13b"
    (folder / "adapter_config.json").write_text(json.dumps(config))
    header, data = {}, b""
    for name, shape in (("lora_A", [2, width]), ("lora_B", [width, 2])):
        values = [0.01 * (index % 7 - 3) for index in range(2 * width)]
        raw = struct.pack(f"<{len(values)}f", *values)
        key = f"base_model.model.model.layers.0.self_attn.q_proj.{name}.weight"
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    write_safetensors(folder / "adapter_model.safetensors", header, data)


def write_texts(folder: Path) -> None:
    prose = (TREE / "docs/plugins.md").read_text() + (TREE / "docs/cli.md").read_text()
    prose = prose[:45000]  # some more than 8192 tokens
    (folder / "book.txt").write_text(prose)
    (folder / "some-text.txt").write_text(prose[:4000])
    (folder / "report.txt").write_text("In 1899 the ropewalk was rebuilt by Ann Reeve.\n")
    (folder / "ids.txt").write_text("1 926 955 63 985 960\n")
    (folder / "other.yaml").write_text("model: llama-2-13b\nbackend: cpu\n")
    questions = [
        {"custom_id": f"q-{n}", "method": "POST", "url": "/v1/chat/completions",
         "body": {"messages": [{"role": "user", "content": f"What is {n} and {n}?"}], "max_tokens": 8}}
        for n in range(6)
    ]  # fmt: skip
    (folder / "questions.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))


def lay_out(folder: Path, build: Path) -> None:
    """Fills the empty folder. `build` is there as build/release."""
    (folder / "build").mkdir()
    (folder / "build/release").symlink_to(build)
    for name in ("configs", "core", "deploy", "docs", "plugins", "scripts", "tests", "tools"):
        if (TREE / name).exists():
            (folder / name).symlink_to(TREE / name)
    for source in (QUANTISED, DENSE):
        shutil.copytree(source, folder / "models" / source.name)
    for name, source in MODELS.items():
        copy_first_layer(source, folder / name)
    config = json.loads((DENSE / "config.json").read_text())
    for name in ADAPTERS:
        write_adapter(folder / name, config["hidden_size"])
    write_texts(folder)
    tools = folder / "bin"
    tools.mkdir()
    (tools / "hf").write_text(HF)
    (tools / "hf").chmod(0o755)
