"""What users do with a model goes on working around blocks, attentions and tokens: taking out,
copies, files, and attempts that fail.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pefc
from pefc.compiler.link import program
from pefc.compiler.link.live import install as live
from pefc.compiler.link.live import patcher as patching
from pefc.compiler.link.live.patcher import Patching
from pefc.compiler.plan import planner as planning
from pefc.runtime.calls.adapterdrop import Drop
from pefc.runtime.calls.token_positions import TextPart
from pefc.runtime.patched.captures import Aside, Tap
from pefc.runtime.patched.tensors import Tensors

from ..laws.snapshots import Snapshot
from ..laws.test_failed_apply import Broken, failing_at
from ..models import bert, gpt2, llama, perturb, sdpa
from ..runtime.prompt_models import t5
from .models import computed, vit

FAMILIES = {
    "blocks": """
        adapter(r=2) on attn, xattn?
        pfeiffer(r=2, init=bert) on ffn
        compacter(r=4, n=2) on attn, ffn
        loreft(r=2) on layer
        direft(r=2) on ffn
        lora(r=2) on ffn
    """,
    "dropped": """
        adapterdrop(0..1, eval=1) {
          parallel_adapter(r=2) on ffn
          lora(r=2) on ffn
        }
    """,
    "attention": """
        prefix(len=2) on attn
        prefix(len=2, init=zero) on attn as gated
        prefix(len=2, mlp=4) on attn as moved
        llama_adapter(len=2) on attn
        lora(r=2) on attn
    """,
    "tokens": """
        prompt(len=2, init=vocab)
        p_tuning(len=2, h=4)
        p_tuning(len=2, h=4, encoder=lstm) as recurrent
    """,
}
BUILDERS = (llama, gpt2, bert, t5, vit, sdpa)
CASES = [
    (build, family)
    for build in BUILDERS
    for family in FAMILIES
    if build is not vit or family != "tokens"
]
RULE = pytest.mark.parametrize(
    ("build", "family"), CASES, ids=[f"{build.__name__}-{family}" for build, family in CASES]
)
_FRESH: dict[str, nn.Module] = {build.__name__: build() for build in BUILDERS}


@pytest.fixture(scope="module", autouse=True)
def _models_are_read_once() -> Iterator[None]:
    """Copies have the sites of what they are copies of."""
    found = {name: planning.find_sites(model) for name, model in _FRESH.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "find_sites", lambda model: found[_NAMES[type(model).__name__]])
        yield


_NAMES = {type(model).__name__: name for name, model in _FRESH.items()}


def fresh(build: Callable[[], nn.Module]) -> nn.Module:
    return deepcopy(_FRESH[build.__name__])


def value(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return computed(model)


def attached(build: Callable[[], nn.Module], family: str) -> nn.Module:
    model = pefc.apply(FAMILIES[family], fresh(build))
    perturb(model)
    return model


@RULE
def test_what_is_taken_out_leaves_no_trace(build: Callable[[], nn.Module], family: str) -> None:
    model = fresh(build)
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index % 2 == 0)
    before, expected = Snapshot.of(model), value(model)
    pefc.apply(FAMILIES[family], model)
    perturb(model)
    assert not torch.equal(value(model), expected)
    pefc.remove(model)
    before.assert_same(model)
    assert torch.equal(value(model), expected)


@RULE
def test_a_copy_is_a_model_of_its_own(build: Callable[[], nn.Module], family: str) -> None:
    model = attached(build, family)
    before = value(model)
    copy = deepcopy(model)
    assert torch.equal(value(copy), before)
    assert not _wires(model) & _wires(copy)
    perturb(copy, seed=8)
    assert torch.equal(value(model), before)
    changed = value(copy)
    assert not torch.equal(changed, before)
    pefc.remove(model)
    assert torch.equal(value(copy), changed)
    assert torch.equal(value(model), value(fresh(build)))
    pefc.remove(copy)
    assert torch.equal(value(copy), value(fresh(build)))


def _wires(model: nn.Module) -> set[int]:
    """Whatever a patched module holds that is not shared on purpose, by identity."""
    return {
        id(held)
        for module in model.modules()
        for name, wire in vars(module).items()
        if name.startswith("pefc_")
        for held in (wire if isinstance(wire, tuple) else (wire,))
        if isinstance(held, Tap | TextPart | Aside | Drop)
    }


@RULE
def test_what_is_saved_loads(build: Callable[[], nn.Module], family: str, tmp_path: Path) -> None:
    model = attached(build, family)
    pefc.save(model, tmp_path / "whole", resume=True)
    loaded = pefc.load(fresh(build), tmp_path / "whole")
    assert torch.equal(value(loaded), value(model))
    state = model.state_dict()
    assert list(loaded.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    pefc.save(model, tmp_path / "folded")
    folded = pefc.load(fresh(build), tmp_path / "folded")
    expected = value(model)
    assert (value(folded) - expected).abs().max() <= 1e-5 * expected.abs().max()
    pefc.save(folded, tmp_path / "again")
    for name in ("spec.peft", "adapter.safetensors"):
        first, second = (tmp_path / folder / name for folder in ("folded", "again"))
        assert first.read_bytes() == second.read_bytes()


STEPS: dict[str, tuple[object, str]] = {
    "materials": (program, "materialize"),
    "a tensor": (Tensors, "place"),
    "a child": (Patching, "add_child"),
    "a flag": (torch.Tensor, "requires_grad_"),
    "a class": (patching, "patched_class"),
    "a wire": (Patching, "_set"),
    "the record": (live, "remember"),
}
EVERYTHING = """
adapterdrop(0..1) {
  adapter(form=parallel, r=2) on attn
  lora(r=2) on ffn
}
loreft(r=2) on layer
pfeiffer(r=2) on ffn
prefix(len=2, mlp=4) on attn
prompt(len=2)
tune on norm?
"""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("build", [llama, sdpa], ids=lambda build: build.__name__)
def test_a_failure_at_any_step_leaves_the_model_as_it_was(
    build: Callable[[], nn.Module], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fresh(build)
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index % 3 > 0)
    before, expected = Snapshot.of(model), value(model)
    plan = pefc.compile(EVERYTHING, model).plan
    owner, name = STEPS[step]
    function = getattr(owner, name)
    calls: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing_at(function, -1, calls))
        pefc.Program(plan, model).apply()
    pefc.remove(model)
    before.assert_same(model)
    total = len(calls)
    for number in sorted({0, total // 2, total - 1}):
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing_at(function, number, calls))
            with pytest.raises(Broken):
                pefc.Program(plan, model).apply()
        before.assert_same(model)
    assert total
    assert torch.equal(value(model), expected)
