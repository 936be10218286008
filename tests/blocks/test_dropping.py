"""AdapterDrop in whole models: how many layers are left out, and that they cost nothing."""

import pytest
import torch
from torch import Tensor, nn

import pefc

from ..models import llama, output, perturb, sdpa, words

INSIDE = "adapter(r=2) on attn, ffn\n  lora(r=2) on ffn\n  prefix(len=2) on attn\n"
SPEC = f"adapterdrop(0..3) {{\n  {INSIDE}}}\n"
FIXED = f"adapterdrop(1..3, eval=2) {{\n  {INSIDE}}}\n"
LAYERS = 4


def model_with(spec: str) -> nn.Module:
    model = pefc.apply(spec, llama(layers=LAYERS))
    perturb(model)
    return model


def parts(model: nn.Module, layer: int) -> dict[str, Tensor]:
    """What was added to a layer."""
    layers = model.get_submodule(f"model.layers.{layer}")
    return {name: p for name, p in layers.named_parameters() if p.requires_grad}


def spoil(model: nn.Module, layers: range) -> None:
    """Values that no call may touch."""
    with torch.no_grad():
        for layer in layers:
            for tensor in parts(model, layer).values():
                tensor.fill_(float("nan"))


def dropped_at(model: nn.Module) -> int:
    """How many layers were left out at a step of training, as gradients show."""
    model.zero_grad()
    output(model).square().mean().backward()
    used = [all(p.grad is not None for p in parts(model, n).values()) for n in range(LAYERS)]
    some = [any(p.grad is not None for p in parts(model, n).values()) for n in range(LAYERS)]
    assert used == some == sorted(used)
    return used.count(False)


def test_the_number_is_drawn_from_the_range_at_each_step() -> None:
    model = model_with(SPEC).train()
    drawn = [dropped_at(model) for _ in range(40)]
    assert set(drawn) == {0, 1, 2, 3}
    again = model_with(SPEC).train()
    assert [dropped_at(again) for _ in range(40)] == drawn


def test_evaluation_keeps_all_layers_or_leaves_out_a_fixed_number() -> None:
    model = model_with(SPEC)
    whole = pefc.apply(INSIDE, llama(layers=LAYERS))
    whole.load_state_dict(model.state_dict())
    expected = output(whole)
    assert torch.equal(output(model), expected)
    fixed = model_with(FIXED)
    later = pefc.apply(
        "adapter(r=2) on attn, ffn in layers 2..3\n"
        "lora(r=2) on ffn in layers 2..3\nprefix(len=2) on attn in layers 2..3",
        llama(layers=LAYERS),
    )
    state = {n: t for n, t in fixed.state_dict().items() if n in later.state_dict()}
    later.load_state_dict(state)
    assert torch.equal(output(fixed), output(later))
    fixed.train()
    assert {dropped_at(fixed) for _ in range(20)} == {1, 2, 3}
    assert torch.equal(output(fixed.eval()), output(later))


def test_what_is_dropped_does_not_run() -> None:
    model = model_with(FIXED)
    expected = output(model)
    spoil(model, range(2))
    assert torch.equal(output(model), expected)
    spoil(model, range(2, 4))
    assert not torch.isfinite(output(model)).any()


@pytest.mark.parametrize("build", [llama, sdpa], ids=lambda build: build.__name__)
def test_all_layers_may_be_left_out(build: object) -> None:
    base = build()
    spec = "adapterdrop(2..2, eval=2) {\n  adapter(r=2) on ffn\n  lora(r=2) on ffn\n}\n"
    model = pefc.apply(spec, build())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.fill_(float("nan"))
        expected = output(base)
        assert torch.equal(output(model), expected)
        assert torch.equal(output(model.train()), output(base.train()))


def test_a_selection_of_layers_alone_drops_nothing_later() -> None:
    model = pefc.apply("adapter(r=2) on ffn in layers 2..3", llama(layers=LAYERS)).train()
    perturb(model)
    assert [bool(parts(model, layer)) for layer in range(LAYERS)] == [False, False, True, True]
    output(model).square().mean().backward()
    assert all(p.grad is not None for n in (2, 3) for p in parts(model, n).values())


def test_what_is_dropped_is_saved_and_loaded(tmp_path: object) -> None:
    model = model_with(FIXED)
    pefc.save(model, tmp_path)
    fresh = pefc.load(llama(layers=LAYERS), tmp_path)
    assert torch.equal(output(fresh), output(model))
    state = model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in fresh.state_dict().items())
    spoil(fresh, range(2))
    assert torch.equal(output(fresh), output(model))
    model.train()
    fresh = pefc.load(llama(layers=LAYERS), tmp_path).train()
    assert [dropped_at(model) for _ in range(6)] == [dropped_at(fresh) for _ in range(6)]


def test_two_blocks_draw_numbers_of_their_own() -> None:
    spec = (
        "adapterdrop(0..3) {\n  adapter(r=2) on ffn\n}\n"
        "adapterdrop(0..3) {\n  adapter(r=2) on ffn as second\n}\n"
    )
    model = pefc.apply(spec, llama(layers=LAYERS)).train()
    perturb(model)
    pairs = set()
    for _ in range(20):
        model.zero_grad()
        output(model, words(rows=1)).square().mean().backward()
        nets = [model.get_submodule(f"model.layers.{n}.mlp") for n in range(LAYERS)]
        without = (
            sum(getattr(net, label).up.weight.grad is None for net in nets)
            for label in ("adapter", "second")
        )
        pairs.add(tuple(without))
    assert len({a for a, _ in pairs}) > 1
    assert any(a != b for a, b in pairs)
