"""Tasks of one form are swapped in compiled code: nothing is compiled anew."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

import pefc

from ..models import perturb
from .models import MODELS, computed, tasked

FORMS = {
    "linear": "lora(r=2) on attn.q, ffn; ia3 on attn.k; dora(r=2) on attn.v",
    "shared": "vera(r=2) on attn.q",
    "blocks": "adapter(r=2) on ffn; adapter(parallel, r=2) on attn",
    "prefixes": "prefix(len=2) all layers",
    "prompts": "prompt(len=2)",
    "gated": "gate(unipelt) { lora(r=2) on attn.q; adapter(r=2) on ffn }",
}
TASKS = tuple("abcdefghi")
"""More than dynamo would compile a function for, one by one."""
CASES = [("llama", form) for form in FORMS] + [(name, "linear") for name in ("gpt2", "t5")]


def with_tasks(
    name: str, form: str, tasks: tuple[str, ...] = TASKS, *, layers: int = 1
) -> nn.Module:
    """One layer, unless more are asked for: to compile is what takes the time here."""
    spec = "\n".join(f"task {task} {{ {FORMS[form]} }}" for task in tasks)
    return tasked(name, spec, layers=layers)


def run(model: nn.Module, task: str | None) -> Tensor:
    pefc.set_task(model, task)
    with torch.no_grad():
        return computed(model)


def compiled(model: nn.Module) -> CompileCounter:
    torch.compiler.reset()
    counter = CompileCounter()
    model.compile(fullgraph=True, backend=counter)
    return counter


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("name", "form"), CASES)
def test_setting_a_task(name: str, form: str) -> None:
    model = with_tasks(name, form)
    expected = {task: run(model, task) for task in TASKS}
    counter = compiled(model)
    for task in (*TASKS, "a"):
        close(run(model, task), expected[task])
    assert counter.frame_count == 1
    base = run(model, None)
    assert counter.frame_count == 2, "what the base runs is other code"
    assert all((base - value).abs().max() > 1e-3 for value in expected.values())


@pytest.mark.parametrize("form", FORMS)
def test_loading_over_a_task(form: str, tmp_path: Path) -> None:
    model = with_tasks("llama", form, ("a", "b"))
    other = with_tasks("llama", form, ("x",))
    perturb(other, seed=12)
    expected, before = run(other, "x"), run(model, "b")
    pefc.save(other, tmp_path, task="x")
    counter = compiled(model)
    assert (run(model, "a") - expected).abs().max() > 1e-3
    pefc.load(model, tmp_path, task="a")
    close(run(model, "a"), expected)
    close(run(model, "b"), before)
    assert counter.frame_count == 1


def test_another_task_may_compile_anew_and_is_right(tmp_path: Path) -> None:
    model = with_tasks("llama", "linear", ("a", "b"))
    other = with_tasks("llama", "blocks", ("x",))
    pefc.save(other, tmp_path, task="x")
    expected = {**{task: run(model, task) for task in ("a", "b", None)}, "x": run(other, "x")}
    compiled(model)
    run(model, "a")
    pefc.load(model, tmp_path, task="x")
    for task, value in expected.items():
        close(run(model, task), value)
    pefc.remove(model, task="a")
    for task in ("b", "x", None):
        close(run(model, task), expected[task])


def test_mixed_rows_of_a_compiled_model() -> None:
    names = ("a", "b", None, "a")
    model = with_tasks("llama", "shared", ("a", "b"))
    with pefc.tasks(model, names), torch.no_grad():
        expected = computed(model)
        counter = CompileCounter()
        model.compile(backend=counter)
        close(computed(model), expected)
    assert counter.frame_count > 0
    close(run(model, "a")[0], expected[0])


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_layers_compiled_one_by_one(name: str) -> None:
    model = with_tasks(name, "linear", ("a", "b", "c"), layers=2)
    expected = {task: run(model, task) for task in ("a", "b", "c")}
    torch.compiler.reset()
    counter = CompileCounter()
    sites = pefc.plan(FORMS["linear"], MODELS[name]()).table.sites
    for path in {site.path for site in sites if site.role == "layer"}:
        model.get_submodule(path).compile(fullgraph=True, backend=counter)
    close(run(model, "a"), expected["a"])
    first = counter.frame_count
    assert first > 0
    for task in ("b", "c", "a"):
        close(run(model, task), expected[task])
    assert counter.frame_count == first
