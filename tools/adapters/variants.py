"""Which adapters are made: each shows one thing that adapter_config.json can say."""
from __future__ import annotations

from dataclasses import dataclass, field

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass
class Variant:
    name: str
    about: str
    config: dict                       # of peft.LoraConfig
    steps: int = 0                     # of training; 0: random matrices
    dtype: str = "float32"             # as saved
    base: str = "models/airophin-mini-f16"
    binary: bool = False               # adapter_model.bin
    save: dict = field(default_factory=dict)  # of save_pretrained()
    merges: bool = True                # PEFT can put it into the base's weights


VARIANTS = [
    Variant("lora", "50 steps of training, q and v, alpha twice the rank",
            dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]), steps=50),
    Variant("rslora-patterns", "rsLoRA, ranks and alphas by pattern, all linear layers of two layers",
            dict(r=4, lora_alpha=3, use_rslora=True, target_modules=LINEARS, layers_to_transform=[0, 3],
                 rank_pattern={r"layers.0.*q_proj": 6, "down_proj": 2},
                 alpha_pattern={r"^model\.layers\.3\..*": 5, "gate_proj": 1}), dtype="bfloat16"),
    Variant("dora", "DoRA, trained, so that magnitudes differ from the norms",
            dict(r=2, lora_alpha=4, use_dora=True, target_modules=["q_proj", "down_proj"],
                 layers_to_transform=[1, 4]), steps=20),
    Variant("tables", "low-rank changes of both tables, norms saved whole",
            dict(r=2, lora_alpha=2, target_modules=["embed_tokens", "lm_head", "up_proj"],
                 modules_to_save=["norm", "input_layernorm"]), steps=10,
            save=dict(save_embedding_layers=False)),
    Variant("tokens", "single rows of the table of embeddings, f16, adapter_model.bin",
            dict(r=2, lora_alpha=2, target_modules=["o_proj"], trainable_token_indices=[5, 700, 33]), steps=10,
            dtype="float16", binary=True),
    Variant("bias", "biases of the base replaced and biases of lora_B added",
            dict(r=3, lora_alpha=6, target_modules=["q_proj", "o_proj", "gate_proj"], bias="all", lora_bias=True),
            steps=10, base="tests/fixtures/models/dense-bias"),
    Variant("dora-linears", "DoRA on all linear layers of two layers, ranks by pattern",
            dict(r=3, lora_alpha=5, use_dora=True, target_modules=LINEARS, layers_to_transform=[0, 2],
                 rank_pattern={"down_proj": 2, "k_proj": 5}), steps=20, dtype="bfloat16"),
    Variant("dora-bias", "DoRA, and biases of the base replaced, also those of layers without a low-rank change",
            dict(r=2, lora_alpha=4, use_dora=True, target_modules=["q_proj", "o_proj", "up_proj"], bias="all"),
            steps=10, base="tests/fixtures/models/dense-bias"),
    Variant("lora-bias", "biases of lora_B where the base has none, so that it cannot be merged",
            dict(r=2, lora_alpha=3, target_modules=["v_proj", "gate_proj", "down_proj"], lora_bias=True,
                 layers_to_transform=[2, 3]), steps=20, merges=False),
    Variant("dora-gptq-bias", "DoRA and replaced biases over quantised weights with act-order",
            dict(r=2, lora_alpha=4, use_dora=True, target_modules=LINEARS, bias="all"),
            steps=10, base="tests/fixtures/models/qwen2-gptq-act", merges=False),
]
# Two others at once with these scales: no weights of its own, only what comes out.
COMBINED = ("combined", [("lora", 1.0), ("rslora-patterns", -0.75)])
# Adapters on the bundled model as it is quantised: with PEFT over its dequantised weights.
QUANTISED = ("gptq", "models/airophin-mini", ["lora", "rslora-patterns", "dora", "dora-linears", "lora-bias"])
# The second of them again, so much stronger and on one kind of layer alone.
ALONE_SCALE = 20
