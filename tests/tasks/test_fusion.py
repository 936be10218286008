"""`fuse(a, b, …)` against the formula of AdapterFusion, in two stages, saved, and written with."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import pefc

from ..blocks.formulas import Formula, Tensors, Values, bottleneck
from ..blocks.models import KINDS, Kind
from ..blocks.models import computed as block_output
from ..blocks.test_formulas import Calls, assert_close, first
from ..models import perturb, words
from .models import MODELS, computed, tasked, train

MEMBERS = {
    "red": ("adapter(r=2, act=gelu) on {}", bottleneck("sequential", functional.gelu, 1)),
    "green": ("adapter(parallel, r=3, scale=2) on {}", bottleneck("parallel", torch.relu, 2)),
    "blue": ("pfeiffer(r=2) on {} as adapter", bottleneck("pfeiffer", torch.relu, 1)),
}
"""Tasks, each with its formula."""
TASKS = tuple(MEMBERS)
WRITERS = ("llama", "gpt2", "t5")


def spec(blocks: str = "ffn", tasks: tuple[str, ...] = TASKS) -> str:
    lines = [f"task {task} {{ {MEMBERS[task][0].format(blocks)} }}" for task in tasks]
    return "\n".join([*lines, f"fuse({', '.join(tasks)}) on {blocks}\n"])


def part(model: nn.Module, path: str) -> dict[str, Tensor]:
    return dict(model.get_submodule(path).named_parameters())


def mixture(t: Tensors, parts: dict[str, Tensors]) -> Formula:
    """y + Σ pᵢ V uᵢ with p = softmax over the tasks of Q(y) · K(uᵢ), at each token."""

    def formula(at: Values, _: Tensors) -> Tensor:
        changes = [MEMBERS[task][1](at, tensors) - at.y for task, tensors in parts.items()]
        query = at.y @ t["Q.weight"].T + t["Q.bias"]
        keys = [change @ t["K.weight"].T + t["K.bias"] for change in changes]
        scores = torch.stack([(query * key).sum(-1) for key in keys])
        weights = scores.exp() / scores.exp().sum(0)
        mixed = zip(weights, changes, strict=True)
        return at.y + sum(weight[..., None] * (change @ t["V"].T) for weight, change in mixed)

    return formula


def assert_fused(kind: Kind, model: nn.Module, members: dict[str, tuple[str, ...]]) -> None:
    """Every block of the role ffn gives the mixture of its members, which are named by path."""
    blocks = [block for block in kind.blocks if block.role == "ffn"]
    base = kind.build().double()
    calls = Calls(model, {m for b in blocks for m in (b.exit, b.x.module, b.residual.module)})
    with torch.no_grad():
        block_output(model)
        for block in blocks:
            y = first(base.get_submodule(block.exit)(**calls.given[block.exit]))
            norm = (lambda z: z) if block.norm is None else base.get_submodule(block.norm)
            at = Values(calls.value(block.x), y, calls.value(block.residual), norm)
            parts = {t: part(model, f"{block.exit}.{t}.adapter") for t in members[block.exit]}
            formula = mixture(part(model, f"{block.exit}.fusion.fuse"), parts)
            found = first(calls.returned[block.exit])
            assert (found - y).abs().max() > 1e-2
            assert_close(found, formula(at, {}))
    for handle in calls.handles:
        handle.remove()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_fusion_is_its_formula(kind: Kind) -> None:
    model = pefc.apply(spec(), kind.build().double())
    moved(model)
    exits = {block.exit: TASKS for block in kind.blocks if block.role == "ffn"}
    assert_fused(kind, model, exits)
    weights = pefc.gates(model)
    assert {path.removesuffix(".fusion.fuse") for path in weights} == set(exits)
    for value in weights.values():
        assert value.shape[-1] == 3
        torch.testing.assert_close(value.sum(-1), torch.ones_like(value[..., 0]))


def moved(model: nn.Module) -> nn.Module:
    """Everything that pefc has added, away from where it starts."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(f".{word}." in name for word in ("fusion", *MEMBERS)):
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise.to(parameter), alpha=0.3)
    return model


# Both units of a bottleneck are shut for all of these texts, in one layer of T5.
@pytest.mark.filterwarnings("ignore:.*trained-in-vain")
@pytest.mark.parametrize("name", MODELS)
def test_two_stages(name: str, tmp_path: Path) -> None:
    """Tasks are trained alone and saved, loaded side by side, and then a fusion of them trains."""
    for task in TASKS:
        alone = pefc.apply(MEMBERS[task][0].format("ffn"), MODELS[name]())
        before, after = train(alone)
        assert after < before
        pefc.save(alone, tmp_path / task)
    model = MODELS[name]()
    for task in TASKS:
        pefc.load(model, tmp_path / task, task=task)
    pefc.apply("fuse(red, green, blue) on ffn", model)
    start = {key: p.clone() for key, p in model.named_parameters()}
    before, after = train(model)
    assert after < before
    for key, parameter in model.named_parameters():
        trains = ".fusion.fuse." in key
        assert parameter.requires_grad == trains, key
        assert (parameter.grad is not None) == trains, key
        # A bias of the keys adds the same to the score of each task.
        assert torch.equal(parameter, start[key]) == (not trains), key


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_values_start_as_they_are_and_are_held_there(name: str) -> None:
    model = pefc.apply(spec("ffn, attn"), MODELS[name]()).double()
    values = [p for key, p in model.named_parameters() if key.endswith(".fuse.V")]
    assert len(values) == 4
    identity = torch.eye(24, dtype=torch.double)
    for value in values:
        torch.testing.assert_close(value.detach(), identity + 1e-6, rtol=0, atol=1e-7)
    expected = sum(0.01 * float((value.detach() - identity).square().sum()) for value in values)
    assert float(pefc.regularizer(model).detach()) == pytest.approx(expected, rel=1e-12)
    perturb(model)
    expected = sum(0.01 * float((value.detach() - identity).square().sum()) for value in values)
    loss = pefc.regularizer(model)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-12)
    loss.backward()
    for value in values:
        torch.testing.assert_close(value.grad, 0.02 * (value.detach() - identity))
    others = [p for key, p in model.named_parameters() if not key.endswith(".fuse.V")]
    assert all(p.grad is None for p in others)


def test_what_adds_nothing_to_the_loss_adds_zero() -> None:
    model = pefc.apply("adapter on ffn", MODELS["llama"]())
    assert float(pefc.regularizer(model).detach()) == 0


@pytest.mark.parametrize("name", MODELS)
def test_a_fused_model_is_saved_and_loaded(name: str, tmp_path: Path) -> None:
    model = moved(tasked(name, spec("ffn, attn")))
    pefc.save(model, tmp_path)
    loaded = pefc.load(MODELS[name]().double(), tmp_path)
    assert torch.equal(computed(loaded), computed(model))
    state = loaded.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    for task in (None, *TASKS, "fusion"):
        for each in (loaded, model):
            pefc.set_task(each, task)
        assert torch.equal(computed(loaded), computed(model))


@pytest.mark.parametrize("name", WRITERS)
@torch.no_grad()
def test_a_fused_model_writes_the_same_with_a_cache_and_without(name: str) -> None:
    model = moved(tasked(name, spec()))
    given = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}
    cached, full = (model.generate(words(), use_cache=use, **given) for use in (True, False))
    assert torch.equal(cached, full)
    texts = [cached]
    for task in ("red", None):
        pefc.set_task(model, task)
        texts.append(model.generate(words(), **given))
    assert not any(torch.equal(cached, other) for other in texts[1:])


def test_members_may_have_gates() -> None:
    """A gate of a task multiplies its change, which is what the fusion weighs."""
    gated = (
        "task red { gate(unipelt) { adapter(r=2) on ffn } }\ntask green { adapter(r=2) on ffn }\n"
    )
    model = moved(tasked("llama", f"{gated}fuse(red, green) on ffn"))
    with torch.no_grad():
        before = computed(model)
        for layer in model.model.layers:
            layer.mlp.red.adapter.gate.bias.fill_(-40.0)
        shut = computed(model)
        for layer in model.model.layers:
            layer.mlp.red.adapter.up.weight.zero_()
            layer.mlp.red.adapter.up.bias.zero_()
        torch.testing.assert_close(computed(model), shut, rtol=0, atol=1e-12)
        assert (shut - before).abs().max() > 1e-3
