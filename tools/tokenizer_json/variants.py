"""The tokenizers of tests/fixtures/bpe: one for each family's pipeline and for each switch of a component."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from .texts import TRAINING

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA_3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES
QWEN_2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES
QWEN_3_5 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + SPACES
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + CONTRACTIONS +
         r"?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + CONTRACTIONS +
         r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + SPACES)
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + SPACES)
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
DEEPSEEK_LLM = (
    r"[\r\n]",
    "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386"
    "\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b"
    "\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe"
    "\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128"
    "\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b"
    "\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"
    "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943]+",
    "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", r"\s+$", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+")
DEEPSEEK_V3 = (r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
               r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|""" + SPACES)
CATEGORIES = r"\p{Lu}+|\p{Nd}|\p{P}|\p{S}+|\p{M}|\P{L}"
ODD = r"^\s*#[^\n]*|\u0041\x{42}+?|a{2}|b{2,3}?|c{3,}|(?:de|fg)*h|\d+|[\t\r\n]|.\s$"

SPECIAL = {"special": True, "normalized": False}


@dataclass
class Variant:
    name: str
    tokenizer: Tokenizer
    legacy_merges: bool = False
    vocabulary: int = 460
    texts: str = "all"                                # or "few"
    config: dict = field(default_factory=dict)        # tokenizer_config.json
    initial: list[str] = field(default_factory=list)  # tokens at the front of the vocabulary
    added: list[AddedToken] = field(default_factory=list)
    finish: Callable[[Tokenizer], None] | None = None  # after training

    def train(self) -> None:
        byte_level = "ByteLevel" in self.tokenizer.pre_tokenizer.__repr__() if self.tokenizer.pre_tokenizer else False
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary, show_progress=False, special_tokens=self.initial,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if byte_level else [], limit_alphabet=256 if byte_level else 90,
            max_token_length=16)
        self.tokenizer.train_from_iterator(TRAINING.splitlines(keepends=True), trainer)
        text = json.loads(self.tokenizer.to_str())
        text["added_tokens"] = []  # the trainer's: the vocabulary keeps them
        self.tokenizer = Tokenizer.from_str(json.dumps(text))
        for token in self.added:
            (self.tokenizer.add_special_tokens if token.special else self.tokenizer.add_tokens)([token])
        if self.finish:
            self.finish(self.tokenizer)


def special(*names: str, **flags: bool) -> list[AddedToken]:
    return [AddedToken(name, special=True, normalized=False, **flags) for name in names]


def byte_level(*before, **options) -> pre_tokenizers.PreTokenizer:
    last = pre_tokenizers.ByteLevel(**{"add_prefix_space": False, "use_regex": False, **options})
    return pre_tokenizers.Sequence([*before, last]) if before else last


def split(pattern: str, behavior: str = "isolated", invert: bool = False, regex: bool = True) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern) if regex else pattern, behavior, invert)


def of_bytes(name: str, pre_tokenizer, normalizer=None, model: dict | None = None, **rest) -> Variant:
    tokenizer = Tokenizer(models.BPE(**(model or {})))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return Variant(name, tokenizer, **rest)


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def of_characters(name: str, decoder, pre_tokenizer=None, normalizer=None, fallback: bool = True, fuse: bool = True, **rest) -> Variant:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse, byte_fallback=fallback))
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoder
    initial = ["<unk>", "<s>", "</s>"] + (BYTES if fallback else [])
    return Variant(name, tokenizer, initial=initial, vocabulary=rest.pop("vocabulary", 640 if fallback else 380), **rest)


def llama_decoder(strip: bool = True) -> decoders.Decoder:
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strip else []))


def llama_normalizer() -> normalizers.Normalizer:
    return normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])


def front(token: str, *before) -> Callable[[Tokenizer], None]:
    def finish(tokenizer: Tokenizer) -> None:
        template = processors.TemplateProcessing(single=f"{token} $A", pair=f"{token} $A {token}:1 $B:1",
                                                 special_tokens=[(token, tokenizer.token_to_id(token))])
        tokenizer.post_processor = processors.Sequence([*before, template]) if before else template
    return finish


def without(characters: str) -> Callable[[Tokenizer], None]:
    """Leaves out the tokens of some bytes, as vocabularies do whose training texts had not all 256."""
    def finish(tokenizer: Tokenizer) -> None:
        model = json.loads(tokenizer.to_str())["model"]
        names = [name for name in model["vocab"] if not set(name) & set(characters)]
        merges = [tuple(pair) for pair in model["merges"] if not set(pair[0] + pair[1]) & set(characters)]
        tokenizer.model = models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges)
    return finish


def families() -> Iterator[Variant]:
    yield of_bytes("gpt-2", byte_level(use_regex=True), added=special("<|endoftext|>"), legacy_merges=True)
    yield of_bytes("gpt-2-prefix", byte_level(use_regex=True, add_prefix_space=True), added=special("<|endoftext|>"))
    yield of_bytes("smollm2", byte_level(pre_tokenizers.Digits(individual_digits=True), use_regex=True),
                   added=special("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
                   config={"tokenizer_class": "GPT2Tokenizer", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>"})
    yield of_bytes("llama-3", byte_level(split(LLAMA_3)), model={"ignore_merges": True},
                   added=special("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"),
                   finish=front("<|begin_of_text|>", processors.ByteLevel(trim_offsets=True)),
                   config={"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"})
    yield of_bytes("qwen2", byte_level(split(QWEN_2)), normalizers.NFC(),
                   added=special("<|endoftext|>", "<|im_start|>", "<|im_end|>") + [AddedToken("<tool_call>", normalized=False)],
                   config={"tokenizer_class": "Qwen2Tokenizer", "bos_token": None, "eos_token": "<|im_end|>", "add_bos_token": False})
    yield of_bytes("qwen3.5", byte_level(split(QWEN_3_5)), normalizers.NFC(), texts="few", added=special("<|im_end|>"))
    yield of_bytes("o200k", byte_level(split(O200K)), added=special("<|endoftext|>", "<|end|>", "<|user|>"))
    yield of_bytes("tekken", byte_level(split(TEKKEN)), added=special("<s>", "</s>", "[INST]", "[/INST]"), finish=front("<s>"))
    yield of_bytes("cl100k", byte_level(split(CL100K, "removed", True)), texts="few")
    yield of_bytes("deepseek-llm", byte_level(*map(split, DEEPSEEK_LLM), pre_tokenizers.Digits(individual_digits=True)),
                   normalizers.Sequence([]), added=special("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"), finish=front("<｜begin▁of▁sentence｜>"))
    yield of_bytes("deepseek-v3", byte_level(*map(split, DEEPSEEK_V3)), normalizers.Sequence([]),
                   added=special("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>") + [AddedToken("<｜User｜>"), AddedToken("<｜Assistant｜>")])
    yield of_characters("llama-2", llama_decoder(), normalizer=llama_normalizer(), added=special("<unk>", "<s>", "</s>"), finish=front("<s>"),
                        legacy_merges=True, config={"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"})
    yield of_characters("llama-2-metaspace", llama_decoder(), pre_tokenizers.Metaspace("▁", "first", False),
                        added=special("<unk>", "<s>", "</s>"), finish=front("<s>"))
    yield of_characters("mistral", llama_decoder(), pre_tokenizers.Metaspace("▁", "always", False),
                        added=special("<unk>", "<s>", "</s>", "[INST]", "[/INST]"), finish=front("<s>"))
    yield of_characters("phi-3", llama_decoder(), normalizer=llama_normalizer(), finish=front("<s>"),
                        added=special("<unk>", "<s>") + special("</s>", "<|end|>", "<|user|>", rstrip=True))
    yield of_characters("gemma", llama_decoder(False), split(" ", "merged_with_previous", regex=False), normalizers.Replace(" ", "▁"),
                        added=special("<unk>", "<s>", "</s>", "<start_of_turn>", "<end_of_turn>") +
                        [AddedToken(run * n, normalized=False) for run in ("\n", "▁") for n in range(2 if run == "▁" else 1, 9)],
                        finish=front("<s>"))
    yield of_characters("yi", llama_decoder(), normalizer=normalizers.Replace(" ", "▁"), texts="few",
                        added=special("<unk>", "<|startoftext|>", "<|endoftext|>"))


def switches() -> Iterator[Variant]:
    for behavior in ("isolated", "removed", "contiguous", "merged_with_previous", "merged_with_next"):
        for invert in (False, True):
            name = f"split-{behavior.replace('_', '-')}{'-inverted' if invert else ''}"
            yield of_bytes(name, byte_level(split(r"\s|[aeiou]", behavior, invert)), texts="few", vocabulary=300)
    yield of_bytes("split-text", byte_level(split("ro", "merged_with_next", regex=False)), texts="few", vocabulary=300)
    yield of_bytes("split-categories", byte_level(split(CATEGORIES)), texts="few", vocabulary=300)
    yield of_bytes("split-odd", byte_level(split(ODD)), texts="few", vocabulary=300)
    yield of_bytes("digits-runs", byte_level(pre_tokenizers.Digits(individual_digits=False)), texts="few", vocabulary=300)
    # The bytes 00 and 0D: with others cut characters would decode otherwise (docs/tokenizers.md).
    yield of_bytes("bytes-missing", byte_level(), texts="few", vocabulary=420, finish=without("Āč"))
    yield of_bytes("no-pieces", byte_level(), texts="few", vocabulary=420)
    characters = {"texts": "few", "fallback": False}
    yield of_characters("unknown-fused", decoders.Metaspace("▁", "always"), pre_tokenizers.Metaspace("▁", "always"), **characters)
    yield of_characters("unknown-apart", decoders.Metaspace("▁", "first"), pre_tokenizers.Metaspace("▁", "first"), fuse=False, **characters)
    yield of_characters("metaspace-never", decoders.Metaspace("▁", "never"), pre_tokenizers.Metaspace("▁", "never", False), **characters)
    dropped = of_characters("unknown-dropped", decoders.Fuse(), pre_tokenizers.Digits(individual_digits=True), **characters)
    dropped.tokenizer.model.unk_token = None
    dropped.initial = []
    yield dropped
    ignoring = of_characters("ignore-merges", llama_decoder(), pre_tokenizers.Metaspace("▁", "always"), texts="few")
    ignoring.tokenizer.model.ignore_merges = True
    yield ignoring
    flags = [AddedToken("STRIP", lstrip=True, rstrip=True, normalized=False), AddedToken("LEFT", lstrip=True, normalized=False),
             AddedToken("RIGHT", rstrip=True, normalized=False), AddedToken("WORD", single_word=True, normalized=False),
             AddedToken("WORD BOTH", single_word=True, lstrip=True, rstrip=True, normalized=False), AddedToken("Café", normalized=True),
             AddedToken("normal", normalized=True, single_word=True), AddedToken("a b", normalized=True, lstrip=True),
             AddedToken("longest", normalized=False), AddedToken("longest of all", normalized=False), AddedToken("  ", normalized=False)]
    flagged = special("<s>", "</s>", "<|end|>") + flags
    yield of_bytes("added-flags", byte_level(split(LLAMA_3)), normalizers.NFC(), added=flagged, texts="added", vocabulary=300)
    yield of_characters("added-flags-prepend", llama_decoder(), normalizer=llama_normalizer(), added=flagged, texts="added", vocabulary=500)
    yield of_characters("added-flags-metaspace", llama_decoder(), pre_tokenizers.Metaspace("▁", "first"), added=flagged, texts="added", vocabulary=500)


def variants() -> list[Variant]:
    return [*families(), *switches()]
