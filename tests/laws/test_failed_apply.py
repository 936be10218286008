"""A failure at any step of `apply` leaves the model as it was."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

import pefc
from pefc.compiler.link import program
from pefc.compiler.link.live import install as live
from pefc.compiler.link.live import patcher as patching
from pefc.runtime.patched.tensors import Tensors

from ..models import gpt2, llama, output, plain
from .snapshots import Snapshot

SPEC = "lora(r=2) on attn.{q,v}; vera(r=2) on ffn; ia3 on attn.o; tune on norm"

STEPS: dict[str, tuple[object, str]] = {
    "materials": (program, "materialize"),
    "a tensor": (Tensors, "place"),
    "a child": (patching.Patching, "add_child"),
    "a flag": (torch.Tensor, "requires_grad_"),
    "a class": (patching, "patched_class"),
    "the record": (live, "remember"),
}


class Broken(BaseException):
    """What happens in the middle: an interrupt as well as an error."""


def failing_at(
    function: Callable[..., object], number: int, calls: list[int]
) -> Callable[..., object]:
    def wrapper(*args: object, **kwargs: object) -> object:
        calls.append(len(calls))
        if calls[-1] == number:
            raise Broken
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("build", [llama, gpt2, plain], ids=lambda build: build.__name__)
def test_a_failure_at_any_step_leaves_the_model_as_it_was(
    build: Callable[[], nn.Module], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build()
    spec = SPEC if build is not plain else SPEC.replace("; tune on norm", "")
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index % 3 > 0)
    before = Snapshot.of(model)
    values = output(model)
    compiled = pefc.compile(spec, model)
    owner, name = STEPS[step]
    function = getattr(owner, name)
    calls: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing_at(function, -1, calls))
        pefc.Program(compiled.plan, model).apply()
    pefc.remove(model)
    total = len(calls)
    assert total
    for number in sorted({0, 1, total // 2, total - 2, total - 1} & set(range(total))):
        calls.clear()
        drawn = torch.get_rng_state()
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing_at(function, number, calls))
            with pytest.raises(Broken):
                pefc.Program(compiled.plan, model).apply()
        before.assert_same(model)
        assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.equal(output(model), values)
    pefc.apply(spec, model)


@pytest.mark.parametrize("carries", [False, True])
def test_an_interrupted_draw_has_drawn_nothing(
    carries: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = llama()
    if carries:
        pefc.apply("task a { ia3 on attn.k }", model)
    spec = "task b { lora(r=2) on attn.q }"
    before = torch.get_rng_state()
    calls: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "uniform_", failing_at(torch.Tensor.uniform_, 1, calls))
        with pytest.raises(Broken):
            pefc.apply(spec, model)
    assert torch.equal(torch.get_rng_state(), before)
    pefc.apply(spec, model)
    assert not torch.equal(torch.get_rng_state(), before)


WRONG = {
    "lora(r=2) on attn.q, attn.qq": "unmatched-selector",
    "lora(r=2) on attn.q; lora(r=3) on attn.q": "duplicate-label",
    "lora(r=2) on attn.q as weight": "label-taken",
    "oft(size=7) on attn.q": "requirement-failed",
    "lora(r=2) on attn.q expect 3": "expect-mismatch",
    "quantize(nf4) on linear; ssf on norm": "not-compiled",
    "quantize(nf4) on linear; quantize(int8) on attn.q": "quantized-twice",
    "quantize(nf4) on linear; tune weight on attn.q": "quantized-tune",
    "lora(r=2) on attn.q; tune bias on attn.q": "no-bias",
}


@pytest.mark.parametrize("spec", WRONG)
def test_a_mistake_leaves_the_model_as_it_was(spec: str) -> None:
    model = llama()
    before = Snapshot.of(model)
    with pytest.raises(pefc.SpecError, match=WRONG[spec]):
        pefc.apply(spec, model)
    before.assert_same(model)


def test_a_plan_and_a_compilation_leave_the_model_as_it_was() -> None:
    model = llama().train()
    before = Snapshot.of(model)
    pefc.plan(SPEC, model)
    program = pefc.compile(SPEC, model)
    assert program.materials.children
    before.assert_same(model)


def test_a_forward_that_was_replaced_is_a_diagnostic() -> None:
    model = plain()
    model.a.forward = nn.Linear.forward.__get__(model.a)
    before = Snapshot.of(model)
    with pytest.raises(pefc.SpecError, match="forward-replaced"):
        pefc.apply("lora(r=2) on attn.q", model)
    before.assert_same(model)


@pytest.mark.parametrize("name", ["half", "train", "to", "shared", "rows", "training", "place"])
@pytest.mark.parametrize(
    "form", ["{0}: [out] = 1\n  output *= {0}", "{0}: in -> out = 0\n  output += {0}(x)"]
)
def test_a_tensor_with_a_name_that_modules_have_is_a_diagnostic(name: str, form: str) -> None:
    model = plain()
    before = Snapshot.of(model)
    spec = f"method own on linear {{\n  {form.format(name)}\n}}\nown on attn.q"
    with pytest.raises(pefc.SpecError, match="tensor-name-taken"):
        pefc.apply(spec, model)
    before.assert_same(model)


@pytest.mark.parametrize("name", ["self", "T", "print"])
def test_a_tensor_or_label_may_be_a_name_that_python_uses(name: str) -> None:
    method = f"method own on linear {{\n  {name}: [out] = 1\n  output *= {name}\n}}"
    spec = f"{method}\nown on attn.q as {name}"
    model = plain()
    expected = output(model)
    assert torch.equal(output(pefc.apply(spec, model)), expected)


@pytest.mark.parametrize("name", ["lambda", "class", "yield"])
def test_a_tensor_is_no_word_of_python(name: str) -> None:
    spec = f"method own on linear {{\n  {name}: [out] = 1\n  output *= {name}\n}}\nown on attn.q"
    model = llama()
    before = Snapshot.of(model)
    with pytest.raises(pefc.SpecError, match="tensor-name-taken"):
        pefc.apply(spec, model)
    before.assert_same(model)
