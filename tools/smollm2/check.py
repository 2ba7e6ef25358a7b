"""python -m tools.smollm2.check PROGRAM MODEL [--long]: a converted SmolLM2 on Ropewalk and on transformers.

A reply in the model's own chat format, and the log-probabilities of a text. With --long the model is also quantised in
act-order by AutoGPTQ, which saves it, and compared with transformers on the weights that AutoGPTQ reads from its file.
"""
from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.simplefilter("ignore", FutureWarning)  # AutoGPTQ's, of torch's names since then

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

QUESTION, ANSWER = "What is the capital of France? Answer in one sentence.", "The capital of France is Paris."
TEXT = Path("docs/design.md")
TOKENS, TOLERANCE = 400, 1e-3
SETTINGS = {"bits": 4, "group_size": 64, "desc_act": True, "sym": True}


class Ropewalk:
    def __init__(self, program: str, work: Path):
        self.program, self.work = program, work

    def run(self, command: str, model: Path, *arguments: str) -> str:
        config = self.work / "model.yaml"
        config.write_text(f"model: {model.resolve()}\nprompt: {{format: auto}}\nsampling: []\n"
                          "context: {length: 512, kv_cache: f32}\nbackend: cpu\n")
        return subprocess.run([self.program, command, str(config), *arguments], check=True, capture_output=True,
                              text=True).stdout

    def logprobs(self, model: Path, ids: list[int]) -> torch.Tensor:
        file = self.work / "text.ids"
        file.write_text(" ".join(map(str, ids)))
        found = json.loads(self.run("score", model, "--ids", str(file), "--json"))["logprobs"]
        return torch.tensor(found[1:], dtype=torch.float64)


def logprobs(model, ids: list[int]) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    return torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def expect_equal(what: str, ropewalk: Ropewalk, folder: Path, model, ids: list[int]) -> None:
    worst = float((ropewalk.logprobs(folder, ids) - logprobs(model, ids)).abs().max())
    print(f"{what}: log-probabilities of {len(ids)} tokens differ by at most {worst:.1e}", flush=True)
    assert worst < TOLERANCE


def expect_reply(ropewalk: Ropewalk, folder: Path, model, tokenizer) -> None:
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}], add_generation_prompt=True,
                                           return_tensors="pt", return_dict=True)
    ids = model.generate(prompt["input_ids"], attention_mask=prompt["attention_mask"], max_new_tokens=32, do_sample=False,
                         pad_token_id=0)
    theirs = tokenizer.decode(ids[0, prompt["input_ids"].shape[1]:], skip_special_tokens=True)
    ours = ropewalk.run("run", folder, "--prompt", QUESTION, "--max-new-tokens", "32").strip()
    print(f"chat: {ours}", flush=True)
    assert ours == theirs == ANSWER, theirs


def quantise(folder: Path, out: Path, ids: list[int]) -> dict[str, torch.Tensor]:
    """By AutoGPTQ, solver, packer and writer; the weights that its own layers make of the file."""
    from tools.fixtures import autogptq
    settings, quantiser = autogptq.load_tool()
    source = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    windows = [torch.tensor([ids[i:i + 128]]) for i in range(0, len(ids) - 127, 128)]
    tool = quantiser(source, False, settings(**SETTINGS))
    forward = LlamaDecoderLayer.forward
    LlamaDecoderLayer.forward = lambda *given, **named: (forward(*given, **named),)  # a tuple, as when AutoGPTQ was written
    tool.quantize([{"input_ids": window, "attention_mask": torch.ones_like(window)} for window in windows], use_triton=False,
                  cache_examples_on_gpu=False)
    LlamaDecoderLayer.forward = forward
    tool.save_quantized(str(out), use_safetensors=True)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / file, out)
    return autogptq.dequantised(out, SETTINGS["bits"], SETTINGS["group_size"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.smollm2.check")
    parser.add_argument("program")
    parser.add_argument("model", type=Path)
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    ids = tokenizer.encode(TEXT.read_text())
    with tempfile.TemporaryDirectory() as work:
        ropewalk = Ropewalk(options.program, Path(work))
        expect_reply(ropewalk, options.model, model, tokenizer)
        expect_equal("f16", ropewalk, options.model, model, ids[:TOKENS])
        if not options.long:
            return
        if not importlib.util.find_spec("auto_gptq"):
            print("skipped: auto_gptq is not installed, see tools/fixtures/README.md")
            return
        quantised = Path(work, "gptq")
        missing, unexpected = model.load_state_dict(quantise(options.model, quantised, ids[TOKENS:]), strict=False)
        assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
        expect_equal("GPTQ by AutoGPTQ, act-order", ropewalk, quantised, model, ids[:TOKENS])


main()
