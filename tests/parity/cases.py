"""What is compared with HF PEFT: each method, on layers of every shape and storage order."""

from peft import (
    FourierFTConfig,
    GraloraConfig,
    HRAConfig,
    IA3Config,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    MissConfig,
    RoadConfig,
    VeraConfig,
)

from .models import gpt2, llama, rectangles
from .pair import Case

LORA = {"lora_A.default.weight": "lora.A", "lora_B.default.weight": "lora.B"}
DORA = {
    "lora_A.default.weight": "dora.A",
    "lora_B.default.weight": "dora.B",
    "lora_magnitude_vector.default.weight": "dora.m",
}
IA3 = {"ia3_l.default": "ia3.l"}
VERA = {
    "vera_lambda_d.default": "vera.d",
    "vera_lambda_b.default": "vera.e",
    "vera_A.default": "/vera.A",
    "vera_B.default": "/vera.B",
}
GRALORA = {"gralora_A.default": "gralora.A", "gralora_B.default": "gralora.B"}
LOHA = {
    "hada_w1_a.default": "loha.A1",
    "hada_w1_b.default": "loha.B1",
    "hada_w2_a.default": "loha.A2",
    "hada_w2_b.default": "loha.B2",
}
LOKR = {
    "lokr_w1.default": "lokr.C",
    "lokr_w1_a.default": "lokr.C1",
    "lokr_w1_b.default": "lokr.C2",
    "lokr_w2.default": "lokr.D",
    "lokr_w2_a.default": "lokr.D1",
    "lokr_w2_b.default": "lokr.D2",
}
ROAD = {"road_theta.default": "road.t", "road_alpha.default": "road.a"}
BOTH = ["wide", "tall"]
FUSED = ["c_attn", "c_fc"]
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

CASES = (
    Case(
        "lora-rectangles",
        rectangles,
        "lora(r=4, alpha=10) on wide, tall",
        LoraConfig(r=4, lora_alpha=10, target_modules=BOTH),
        LORA,
    ),
    Case(
        "lora-gpt2",
        gpt2,
        'lora(r=4, alpha=10) on "attn.c_attn", "mlp.c_fc"',
        LoraConfig(r=4, lora_alpha=10, target_modules=FUSED, fan_in_fan_out=True),
        LORA,
    ),
    Case(
        "lora-llama",
        llama,
        "lora(r=4, alpha=10) on linear",
        LoraConfig(r=4, lora_alpha=10, target_modules=LINEARS),
        LORA,
    ),
    Case(
        "rslora-rectangles",
        rectangles,
        "rslora(r=4, alpha=10) on wide, tall as lora",
        LoraConfig(r=4, lora_alpha=10, use_rslora=True, target_modules=BOTH),
        LORA,
    ),
    Case(
        "rslora-llama",
        llama,
        "lora(r=4, alpha=10, stable) on linear",
        LoraConfig(r=4, lora_alpha=10, use_rslora=True, target_modules=LINEARS),
        LORA,
    ),
    Case(
        "dora-rectangles",
        rectangles,
        "dora(r=4, alpha=10) on wide, tall",
        LoraConfig(r=4, lora_alpha=10, use_dora=True, target_modules=BOTH),
        DORA,
    ),
    Case(
        "dora-gpt2",
        gpt2,
        'dora(r=4, alpha=10) on "attn.c_attn", "mlp.c_fc"',
        LoraConfig(r=4, lora_alpha=10, use_dora=True, target_modules=FUSED, fan_in_fan_out=True),
        DORA,
    ),
    Case(
        "dora-llama",
        llama,
        "dora(r=4, alpha=10) on linear",
        LoraConfig(r=4, lora_alpha=10, use_dora=True, target_modules=LINEARS),
        DORA,
    ),
    Case(
        "ia3-rectangles",
        rectangles,
        "ia3(output) on wide; ia3(input) on tall",
        IA3Config(target_modules=BOTH, feedforward_modules=["tall"]),
        IA3,
    ),
    Case(
        "ia3-gpt2",
        gpt2,
        'ia3(output) on "attn.c_attn"; ia3(input) on "mlp.c_fc"',
        IA3Config(target_modules=FUSED, feedforward_modules=["c_fc"], fan_in_fan_out=True),
        IA3,
    ),
    Case(
        "ia3-llama",
        llama,
        "ia3(output) on attn.{k,v}; ia3(input) on ffn.down",
        IA3Config(
            target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]
        ),
        IA3,
    ),
    Case(
        "vera-rectangles",
        rectangles,
        "vera(r=6) on wide, tall",
        VeraConfig(r=6, target_modules=BOTH),
        VERA,
    ),
    Case(
        "vera-llama",
        llama,
        "vera(r=6) on attn.{q,k,v,o}, ffn",
        VeraConfig(r=6, target_modules=LINEARS),
        VERA,
    ),
    Case(
        "fourierft-rectangles",
        rectangles,
        "fourierft(n=30, scale=20) on wide, tall",
        FourierFTConfig(n_frequency=30, scaling=20, target_modules=BOTH),
        {"fourierft_spectrum.default": "fourierft.c"},
    ),
    Case(
        "gralora-llama",
        llama,
        "gralora(r=4, alpha=6, k=2) on linear",
        GraloraConfig(r=4, alpha=6, gralora_k=2, target_modules=LINEARS),
        GRALORA,
    ),
    Case(
        "hra-rectangles",
        rectangles,
        "hra(r=4) on wide, tall",
        HRAConfig(r=4, target_modules=BOTH),
        {"hra_u.default": "hra.U"},
    ),
    Case(
        "loha-rectangles",
        rectangles,
        "loha(r=3, alpha=5) on wide, tall",
        LoHaConfig(r=3, alpha=5, target_modules=BOTH),
        LOHA,
    ),
    Case(
        "lokr-rectangles",
        rectangles,
        "lokr(r=2, alpha=5) on wide, tall",
        LoKrConfig(r=2, alpha=5, target_modules=BOTH),
        LOKR,
    ),
    Case(
        "lokr-small-factors",
        rectangles,
        "lokr(r=1, alpha=5, factor=8, both) on wide, tall",
        LoKrConfig(r=1, alpha=5, decompose_factor=8, decompose_both=True, target_modules=BOTH),
        LOKR,
    ),
    Case(
        "miss-rectangles",
        rectangles,
        "miss(r=7) on wide, tall",
        MissConfig(r=7, target_modules=BOTH),
        {"miss_block.default": "miss.D"},
    ),
    Case(
        "road-llama",
        llama,
        "road(group=4) on linear",
        RoadConfig(variant="road_1", group_size=4, target_modules=LINEARS),
        ROAD,
    ),
)

# In training the change sees dropout(x): equal seeds give both sides the same mask.
DROPPED = (
    Case(
        "lora-dropout",
        rectangles,
        "lora(r=4, alpha=10, dropout=0.4) on wide, tall",
        LoraConfig(r=4, lora_alpha=10, lora_dropout=0.4, target_modules=BOTH),
        LORA,
    ),
    Case(
        "dora-dropout",
        rectangles,
        "dora(r=4, alpha=10, dropout=0.4) on wide, tall",
        LoraConfig(r=4, lora_alpha=10, lora_dropout=0.4, use_dora=True, target_modules=BOTH),
        DORA,
    ),
    Case(
        "vera-dropout",
        rectangles,
        "vera(r=6, dropout=0.4) on wide, tall",
        VeraConfig(r=6, vera_dropout=0.4, target_modules=BOTH),
        VERA,
    ),
)
