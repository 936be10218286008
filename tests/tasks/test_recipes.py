"""The recipes that name several methods, on every kind of model."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pefc

from .models import MODELS, close, computed, tasked, train
from .unipelt import INPUTS, NAME

LABELS = {
    "mam(len=3, mlp=5)": {"prefix", "parallel_adapter"},
    "unipelt(len=3)": {"prefix", "pfeiffer", "lora"},
    "houlsby(r=3)": {"adapter"},
    "pfeiffer(r=3) on ffn": {"pfeiffer"},
    "p_tuning_v2(len=3)": {"prefix"},
}
TUNED = {"houlsby": ("norm", "ln_", "layernorm"), "p_tuning_v2": ("lm_head",)}
"""Words in the names of the parameters of the model that train."""
TIED = ("gpt2", "t5")
"""The head of these is the embedding, which `tune` refuses to train."""
SEED = 2
"""Of a start at which no bottleneck of width 1 is shut for all texts: it would not train."""
CASES = [
    (name, call)
    for name in ("llama", "gpt2", "bert", "t5")
    for call in LABELS
    if (name, call) not in {(tied, "p_tuning_v2(len=3)") for tied in TIED}
]


@pytest.mark.parametrize(("name", "call"), CASES)
def test_a_recipe_is_planned_trained_saved_and_loaded(name: str, call: str, tmp_path: Path) -> None:
    base = MODELS[name]()
    plan = pefc.plan(call, base)
    assert {planned.label for planned in plan.attachments} == LABELS[call]
    names = dict(base.named_parameters())
    torch.manual_seed(SEED)
    model = pefc.apply(call, base)
    assert model is base
    start = {key: p.clone() for key, p in model.named_parameters()}
    before, after = train(model, steps=3)
    assert after < before
    tuned = TUNED.get(call.partition("(")[0], ())
    for key, parameter in model.named_parameters():
        trains = key not in names or any(word in key.lower() for word in tuned)
        assert parameter.requires_grad == trains, key
        assert torch.equal(parameter, start[key]) != trains, key
    pefc.save(model, tmp_path, resume=True)
    loaded = pefc.load(MODELS[name](), tmp_path)
    assert torch.equal(computed(loaded), computed(model))


@pytest.mark.parametrize("name", TIED)
def test_a_tied_head_is_not_trained(name: str) -> None:
    with pytest.raises(pefc.SpecError, match="tied-tune"):
        pefc.plan("p_tuning_v2(len=3)", MODELS[name]())


def mam(name: str, model: nn.Module, plan: pefc.Plan) -> nn.Module:
    """A model without pefc that reads the tensors of one with `mam`, arXiv:2110.04366.

    Keys and values of a prefix come of one network for all layers, a bottleneck beside each
    feed-forward block has the scale 4.
    """
    base = MODELS[name]().double()
    base.set_attn_implementation(NAME)
    t = dict(model.named_parameters())
    hidden = torch.tanh(t["prefix.E"] @ t["prefix.down.weight"].T + t["prefix.down.bias"])
    table = hidden @ t["prefix.up.weight"].T + t["prefix.up.bias"]
    homes = [planned.home for planned in plan.attachments if planned.label == "prefix"]
    heads = 2 if name == "llama" else 4
    rows = table.view(3, len(homes), 2, heads, 6).permute(1, 2, 3, 0, 4)
    for home, (keys, values) in zip(homes, rows, strict=True):
        base.get_submodule(home).behind_gate = [keys[None], values[None]]
    for planned in plan.attachments:
        if planned.label == "parallel_adapter":
            _beside(base, planned.home, t)
    return base


def _beside(base: nn.Module, home: str, t: dict[str, Tensor]) -> None:
    number = next(part for part in home.split(".") if part.isdigit())
    source = INPUTS[home.replace(f".{number}.", ".{}.", 1)].format(number)
    down, up = (
        [t[f"{home}.parallel_adapter.{name}.{part}"] for part in ("weight", "bias")]
        for name in ("down", "up")
    )
    seen: list[Tensor] = []
    base.get_submodule(source).register_forward_pre_hook(lambda _, given: seen.append(given[0]))

    def hook(_module: nn.Module, _given: object, y: Tensor) -> Tensor:
        return y + 4 * ((seen.pop() @ down[0].T + down[1]).relu() @ up[0].T + up[1])

    base.get_submodule(home).register_forward_hook(hook)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "t5"])
@torch.no_grad()
def test_mam_is_that_of_its_paper(name: str) -> None:
    model = tasked(name, "mam(len=3, mlp=5)")
    plan = pefc.plan("mam(len=3, mlp=5)", MODELS[name]())
    close(computed(model), computed(mam(name, model, plan)))
    defaults = pefc.plan("mam", MODELS[name]()).attachments
    shapes = {t.name: t.shape for planned in defaults for t in planned.tensors}
    assert shapes["E"] == (30, 24)
    assert shapes["down.weight"] == (12, 24)
    assert next(t.shape for t in defaults[0].tensors if t.name == "down.weight") == (800, 24)
