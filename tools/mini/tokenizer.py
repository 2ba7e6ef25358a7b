"""Trains the sentencepiece BPE tokenizer with Llama's settings and writes the Hugging Face side files.

Settings as in Llama's tokenizer.model: BPE, byte fallback, split digits, identity normaliser, extra whitespace kept,
<unk>=0 <s>=1 </s>=2. The trainer sees lines, so a newline is never a piece and becomes the byte token <0x0A>.
"""

from __future__ import annotations

import io
import json
import pathlib
import random

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as spm_proto

from . import generator
from .words import Pools

VOCAB_SIZE = 1024


def training_lines(documents: int, seed: int):
    """Lines of generated conversations. Only a line that opens a segment starts with a space: see `train`."""
    rng = random.Random(seed)
    pools = Pools(rng)
    for number in range(documents):
        settings = generator.LONG if number % 2 else generator.SHORT
        for prompt, answer in generator.render(generator.draw_conversation(rng, pools, settings)):
            for text in (prompt, answer):
                yield from (" " + text).split("\n")


def train(path: pathlib.Path, documents: int = 12000, seed: int = 11) -> None:
    """Writes tokenizer.model.

    Training runs without dummy prefix, on text that already has the space which the prefix would add to a whole
    segment; otherwise every line would get one and "BEGININPUT" after a newline would not become a piece. The finished
    model has the prefix switched on, as Llama's has.
    """
    buffer = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=(line for line in training_lines(documents, seed) if line),
        model_writer=buffer,
        model_type="bpe",
        vocab_size=VOCAB_SIZE,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        allow_whitespace_only_pieces=True,
        character_coverage=0.99995,
        max_sentencepiece_length=20,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        num_threads=1,
        input_sentence_size=0,
        minloglevel=1,
    )
    model = spm_proto.ModelProto()
    model.ParseFromString(buffer.getvalue())
    model.normalizer_spec.add_dummy_prefix = True
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def write_side_files(directory: pathlib.Path) -> None:
    """tokenizer_config.json and special_tokens_map.json as transformers' LlamaTokenizer writes them."""

    def token(content: str) -> dict:
        return {
            "content": content,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
        }

    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": {
            str(i): token(t) | {"special": True} for i, t in enumerate(("<unk>", "<s>", "</s>"))
        },
        "bos_token": "<s>",
        "clean_up_tokenization_spaces": False,
        "eos_token": "</s>",
        "legacy": True,
        "model_max_length": 512,
        "pad_token": None,
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": "<unk>",
        "use_default_system_prompt": False,
    }
    special = {
        name: token(text)
        for name, text in (("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"))
    }
    for name, value in (("tokenizer_config.json", config), ("special_tokens_map.json", special)):
        (directory / name).write_text(json.dumps(value, indent=2) + "\n")


def load(path: pathlib.Path) -> spm.SentencePieceProcessor:
    return spm.SentencePieceProcessor(model_file=str(path))
