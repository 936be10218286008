"""Where the values of architectures pass, stated by hand, in the second layer of each stack."""

from pefc.compiler.model.ports import (
    AttentionPorts,
    BlockPorts,
    Entry,
    Exit,
    Projection,
    TokenPorts,
)
from pefc.compiler.model.sites import Site, SiteTable


def block_site(table: SiteTable, path: str) -> Site:
    return next(s for s in table.sites if s.path == path and s.kind == "block")


def block(table: SiteTable, path: str) -> BlockPorts:
    ports = block_site(table, path).block
    assert ports is not None
    return ports


def attention(table: SiteTable, path: str) -> AttentionPorts:
    ports = block_site(table, path).attention
    assert ports is not None
    return ports


def maps(around: str, **paths: str) -> tuple[tuple[str, Projection], ...]:
    return tuple((role, Projection(f"{around}.{path}", None)) for role, path in paths.items())


def hidden(module: str, name: str = "hidden_states") -> Entry:
    return Entry(module, 0, name)


LAYER = "model.layers.1"
GPT = "transformer.h.1"
BERT = "encoder.layer.1"
VIT = "vit.layers.1"
BLOCKS: dict[str, dict[str, BlockPorts]] = {
    "llama": {
        f"{LAYER}.self_attn": BlockPorts(
            32,
            Exit(f"{LAYER}.self_attn", 0),
            hidden(f"{LAYER}.self_attn"),
            hidden(f"{LAYER}.input_layernorm"),
        ),
        f"{LAYER}.mlp": BlockPorts(
            32,
            Exit(f"{LAYER}.mlp", None),
            hidden(f"{LAYER}.mlp", "x"),
            hidden(f"{LAYER}.post_attention_layernorm"),
        ),
    },
    "gemma3": {
        f"{LAYER}.self_attn": BlockPorts(
            32,
            Exit(f"{LAYER}.post_attention_layernorm", None),
            hidden(f"{LAYER}.self_attn"),
            hidden(f"{LAYER}.input_layernorm", "x"),
        ),
    },
    "gpt2": {
        f"{GPT}.attn": BlockPorts(
            32,
            Exit(f"{GPT}.attn", 0),
            hidden(f"{GPT}.attn"),
            hidden(f"{GPT}.ln_1", "input"),
        ),
        f"{GPT}.mlp": BlockPorts(
            32,
            Exit(f"{GPT}.mlp", None),
            hidden(f"{GPT}.mlp"),
            hidden(f"{GPT}.ln_2", "input"),
        ),
    },
    "bert": {
        f"{BERT}.attention": BlockPorts(
            32,
            Exit(f"{BERT}.attention.output.dropout", None),
            hidden(f"{BERT}.attention"),
            hidden(f"{BERT}.attention"),
            f"{BERT}.attention.output.LayerNorm",
        ),
        f"{BERT}.output.dropout": BlockPorts(
            32,
            Exit(f"{BERT}.output.dropout", None),
            hidden(f"{BERT}.intermediate"),
            hidden(f"{BERT}.intermediate"),
            f"{BERT}.output.LayerNorm",
        ),
    },
    "t5": {
        f"{stack}.block.1.layer.{place}.{name}": BlockPorts(
            32,
            Exit(f"{stack}.block.1.layer.{place}.dropout", None),
            hidden(f"{stack}.block.1.layer.{place}.{name}"),
            hidden(f"{stack}.block.1.layer.{place}"),
        )
        for stack, place, name in (
            ("encoder", 0, "SelfAttention"),
            ("encoder", 1, "DenseReluDense"),
            ("decoder", 0, "SelfAttention"),
            ("decoder", 1, "EncDecAttention"),
            ("decoder", 2, "DenseReluDense"),
        )
    },
    "vit": {
        f"{VIT}.attention": BlockPorts(
            32,
            Exit(f"{VIT}.attention", 0),
            hidden(f"{VIT}.attention"),
            hidden(f"{VIT}.layernorm_before", "input"),
        ),
        f"{VIT}.mlp": BlockPorts(
            32,
            Exit(f"{VIT}.mlp", None),
            hidden(f"{VIT}.mlp"),
            hidden(f"{VIT}.layernorm_after", "input"),
        ),
    },
    # two branches of one stream, added to each other first
    "gpt-neox": {
        f"gpt_neox.layers.1.{name}": BlockPorts(
            32,
            Exit(f"gpt_neox.layers.1.{out}", None),
            hidden(f"gpt_neox.layers.1.{name}"),
            hidden("gpt_neox.layers.1.input_layernorm", "input"),
        )
        for name, out in (("attention", "post_attention_dropout"), ("mlp", "post_mlp_dropout"))
    },
    # the sum is made inside the module
    "bloom": {
        f"{GPT}.mlp": BlockPorts(
            32,
            Exit(f"{GPT}.mlp.dense_4h_to_h", None),
            hidden(f"{GPT}.mlp"),
            hidden(f"{GPT}.post_attention_layernorm", "input"),
        ),
    },
}
SELF = f"{LAYER}.self_attn"
LLAMA_MAPS = maps(SELF, q="q_proj", k="k_proj", v="v_proj", o="o_proj")
ATTENTIONS: dict[str, dict[str, AttentionPorts]] = {
    "llama": {SELF: AttentionPorts(SELF, "interface", 32, 4, 2, 8, hidden(SELF), LLAMA_MAPS)},
    "mistral": {SELF: AttentionPorts(SELF, "interface", 32, 4, 2, 8, hidden(SELF), LLAMA_MAPS)},
    "qwen3": {SELF: AttentionPorts(SELF, "interface", 32, 4, 2, 16, hidden(SELF), LLAMA_MAPS)},
    "gpt2": {
        f"{GPT}.attn": AttentionPorts(
            f"{GPT}.attn",
            "interface",
            32,
            4,
            4,
            8,
            hidden(f"{GPT}.attn"),
            (
                ("q", Projection(f"{GPT}.attn.c_attn", ((0, 32),))),
                ("k", Projection(f"{GPT}.attn.c_attn", ((32, 64),))),
                ("v", Projection(f"{GPT}.attn.c_attn", ((64, 96),))),
                ("o", Projection(f"{GPT}.attn.c_proj", None)),
            ),
        )
    },
    "bert": {
        f"{BERT}.attention": AttentionPorts(
            f"{BERT}.attention.self",
            "interface",
            32,
            4,
            4,
            8,
            hidden(f"{BERT}.attention"),
            maps(
                f"{BERT}.attention",
                q="self.query",
                k="self.key",
                v="self.value",
                o="output.dense",
            ),
        )
    },
    "t5": {
        path: AttentionPorts(
            path, "interface", 32, 4, 4, 8, hidden(path), maps(path, q="q", k="k", v="v", o="o")
        )
        for path in (
            "encoder.block.1.layer.0.SelfAttention",
            "decoder.block.1.layer.0.SelfAttention",
            "decoder.block.1.layer.1.EncDecAttention",
        )
    },
    "vit": {
        f"{VIT}.attention": AttentionPorts(
            f"{VIT}.attention",
            "interface",
            32,
            4,
            4,
            8,
            hidden(f"{VIT}.attention"),
            maps(f"{VIT}.attention", q="q_proj", k="k_proj", v="v_proj", o="o_proj"),
        )
    },
}
TOKENS = {
    "llama": TokenPorts("model", "model.embed_tokens", 32),
    "gpt2": TokenPorts("transformer", "transformer.wte", 32),
    "bert": TokenPorts("", "embeddings.word_embeddings", 32),
    "bert-mlm": TokenPorts("bert", "bert.embeddings.word_embeddings", 32),
    "t5": TokenPorts("encoder", "encoder.embed_tokens", 32, "decoder"),
    "bart": TokenPorts("model.encoder", "model.encoder.embed_tokens", 32, "model.decoder"),
    "vit": None,
}
