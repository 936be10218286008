"""The words of other tools, above all of HF PEFT, and what they are here."""

from collections.abc import Collection

ARGUMENTS = {
    "target_modules": "what it names stands behind the method: `on attn.q, attn.v`, or `on q_proj`",
    "exclude_modules": "write `except` in the selector: `on linear except ffn.down`",
    "feedforward_modules": "write a statement of its own: `ia3(input) on ffn.down`",
    "layers_to_transform": "write `in layers 0..5` behind the selector",
    "layers_pattern": "write `in layers 0..5` behind the selector",
    "modules_to_save": "write a statement of its own: `tune on head`",
    "trainable_token_indices": "write a statement of its own: `tune on embed`",
    "bias": "write a statement of its own: `tune bias on linear`",
    "use_dora": "write `dora` in the place of the method",
    "use_rslora": "write `rslora` in the place of the method",
    "init_lora_weights": "an initial value is a method here: `pissa`, `olora`, or `lora` itself",
    "rank_pattern": "write a statement for each rank",
    "alpha_pattern": "write a statement for each alpha",
    "fan_in_fan_out": "leave it out: how weights are stored is seen in the model",
    "task_type": "leave it out: heads are seen in the model, and `tune on head` trains one",
    "inference_mode": "leave it out: `model.eval()` and `torch.no_grad()` do it",
}
"""Arguments of configurations that are no parameters of methods here."""
METHODS = {
    "prefix_tuning": "prefix",
    "prompt_tuning": "prompt",
    "ptuning": "p_tuning",
    "bottleneck": "adapter",
}
SELECTORS = {
    "all-linear": "linear",
    "all_linear": "linear",
    "lm_head": "head",
    "score": "head",
    "classifier": "head",
    "embeddings": "embed",
    "embed_tokens": "embed",
    "word_embeddings": "embed",
    "wte": "embed",
    "layernorm": "norm",
    "layer_norm": "norm",
    "layers": "layer",
}
_FAMILIES = {
    "attention": "attn",
    "self_attn": "attn",
    "self_attention": "attn",
    "cross_attention": "xattn",
    "mlp": "ffn",
    "feed_forward": "ffn",
    "feedforward": "ffn",
}
_ROLES = {
    "attn.q": "q query q_proj query_proj wq to_q",
    "attn.k": "k key k_proj key_proj wk to_k",
    "attn.v": "v value v_proj value_proj wv to_v",
    "attn.o": "o out_proj o_proj wo to_out",
    "ffn.gate": "gate gate_proj w1",
    "ffn.up": "up up_proj fc1 w3",
    "ffn.down": "down down_proj fc2 w2",
}
VALUES = {"True": "true", "False": "false"}


def meant(word: str, known: Collection[str]) -> str | None:
    """The term of a selector that a word of another tool means, if a model knows it."""
    family, dot, role = word.partition(".")
    roles = {name: found for found, names in _ROLES.items() for name in names.split()}
    found = SELECTORS.get(word) or roles.get(word)
    if found is None and family in _FAMILIES:
        found = f"{_FAMILIES[family]}{dot}{role}"
    return found if found is not None and found in known else None
