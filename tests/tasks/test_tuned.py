"""What a task tunes are copies of the base's parameters, which belong to it alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

import pefc

from ..models import llama, perturb, words
from .models import MODELS, ROWS, computed, gradients, tasked

SPEC = """\
task one { tune bias on linear?; tune on norm; lora(r=2) on attn.q }
task two { lora(r=2) on attn.q, ffn; tune weight on attn.q, ffn.down; tune bias on norm? }
task three { tune on head?; tune on embed; tune weight on norm; dora(r=2) on attn.q }
task four { bitfit on linear?, norm?; ln_tuning on norm; lora(r=2) on attn.v }
"""
NAMES = ("one", "two", None, "three", "one", "four")
CLOSE = {"atol": 1e-10, "rtol": 0}


def away(name: str, spec: str = SPEC) -> nn.Module:
    return tasked(name, spec)


def alone(model: nn.Module, task: str | None) -> Tensor:
    pefc.set_task(model, task)
    with torch.no_grad():
        return computed(model)


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_what_they_are_alone(name: str) -> None:
    model, rows = away(name), words(rows=len(NAMES))
    with pefc.tasks(model, NAMES):
        mixed = computed(model, rows)
    noise = torch.linspace(-1, 1, mixed[0].numel(), dtype=torch.double).sin().view(mixed[0].shape)
    (mixed * noise).sum().backward()
    together = gradients(model)
    for place, task in enumerate(NAMES):
        pefc.set_task(model, task)
        own = computed(model, rows[place : place + 1])
        torch.testing.assert_close(mixed[place : place + 1], own, **CLOSE)
        if own.requires_grad:
            (own * noise).sum().backward()
    apart = gradients(model)
    assert together.keys() == apart.keys()
    for key, value in apart.items():
        torch.testing.assert_close(together[key], value, **CLOSE)
        assert value.any(), key


@pytest.mark.parametrize("name", MODELS)
def test_the_base_stays(name: str) -> None:
    """Its parameters are frozen and bit for bit what they were, and so is what it computes."""
    base = MODELS[name]().double().requires_grad_(requires_grad=False)
    state = {key: value.clone() for key, value in base.state_dict().items()}
    expected = computed(base)
    model = pefc.apply(SPEC, base)
    for task in (None, *pefc.task_names(model)):
        found = alone(model, task)
        torch.testing.assert_close(found, expected, **CLOSE)
        assert torch.equal(found, expected) or task == "three"
    perturb(model)
    assert torch.equal(alone(model, None), expected)
    for task in pefc.task_names(model):
        assert (alone(model, task) - expected).abs().max() > 1e-3
    for key, value in state.items():
        assert torch.equal(model.state_dict()[key], value)
        assert not getattr(model.state_dict(keep_vars=True)[key], "requires_grad")  # noqa: B009
    pefc.remove(model)
    assert torch.equal(computed(model), expected)
    assert model.state_dict().keys() == state.keys()


def test_a_copy_is_what_other_methods_change() -> None:
    """Wherever `tune` stands in a task: it is the base that trains, as outside of one."""
    first = away("llama", "task a { lora(r=2) on attn.q; tune weight on attn.q }")
    second = away("llama", "task a { tune weight on attn.q; lora(r=2) on attn.q }")
    second.load_state_dict(first.state_dict())
    assert torch.equal(alone(first, "a"), alone(second, "a"))
    outside = pefc.apply("lora(r=2) on attn.q; tune weight on attn.q", MODELS["llama"]().double())
    values = first.state_dict()
    with torch.no_grad():
        for key, parameter in outside.named_parameters():
            if parameter.requires_grad:
                found = key.replace(".lora.", ".a.lora.").replace(
                    "proj.weight", "proj.a.tune.weight"
                )
                parameter.copy_(values[found])
        expected = computed(outside)
    torch.testing.assert_close(alone(first, "a"), expected, **CLOSE)


def test_each_statement_adds_what_is_new() -> None:
    """A task has one copy of a parameter, however often it names it."""
    plan = pefc.plan("task a { tune bias on norm; bitfit on norm; tune on norm }", MODELS["bert"]())
    norms = [site for site in plan.table.sites if site.kind == "norm"]
    assert plan.trainable == len(norms) * 2 * 24
    assert {p.path(t).rpartition(".")[2] for p in plan.attachments for t in p.tensors} == {
        "weight",
        "bias",
    }


@pytest.mark.parametrize("names", [("attn.q", "linear"), ("linear", "attn.q")])
def test_copies_of_rows_and_of_all_of_them(names: tuple[str, str]) -> None:
    """Whichever is named first, what is trained is what runs."""
    spec = "".join(f"tune on {name};" for name in names)
    model = away("gpt2", f"task a {{ {spec} lora(r=2) on attn.k }}")
    path = "transformer.h.1.attn.c_attn"
    copy = model.get_parameter(f"{path}.a.tune.weight")
    rows = f"{path}.a.tune.q.weight" in model.state_dict()
    assert rows == (names[0] == "attn.q")
    pefc.set_task(model, "a")
    computed(model).square().sum().backward()
    assert copy.grad is not None
    live = copy.grad.abs().sum(0).view(3, -1).any(1).tolist()
    assert live == [not rows, True, True]
    if rows:
        assert model.get_parameter(f"{path}.a.tune.q.weight").grad.any()  # pyright: ignore[reportOptionalMemberAccess]


def test_a_copy_breaks_no_tie() -> None:
    """The base's head and embedding share a weight; a task's copy serves the head alone."""
    model = MODELS["gpt2"]().double()
    expected = computed(model)
    pefc.apply("task a { tune on head }", model)
    assert model.lm_head.weight is model.transformer.wte.weight  # pyright: ignore[reportAttributeAccessIssue]
    perturb(model)
    assert torch.equal(alone(model, None), expected)
    pefc.set_task(model, "a")
    hidden = model.transformer(words(rows=ROWS)).last_hidden_state  # pyright: ignore[reportCallIssue]
    copy = model.get_parameter("lm_head.a.tune.weight")
    torch.testing.assert_close(alone(model, "a"), hidden @ copy.T, **CLOSE)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_one_task_goes_and_comes_back(name: str, tmp_path: Path) -> None:
    model = away(name)
    before = {task: alone(model, task) for task in (None, *pefc.task_names(model))}
    for task in ("two", "three"):
        pefc.save(model, tmp_path / task, task=task)
        pefc.remove(model, task=task)
        assert task not in pefc.task_names(model)
        assert not [key for key in model.state_dict() if f".{task}." in key]
        for other in (None, *pefc.task_names(model)):
            assert torch.equal(alone(model, other), before[other])
    for task in ("two", "three"):
        pefc.load(model, tmp_path / task, task=task)
    pefc.load(model, tmp_path / "two", task="fifth")
    for task, expected in {**before, "fifth": before["two"]}.items():
        assert torch.equal(alone(model, task), expected)
    fresh = MODELS[name]().double()
    pefc.load(fresh, tmp_path / "three")
    assert torch.equal(alone(fresh, "three"), before["three"])


def test_an_adapter_of_no_task_becomes_one(tmp_path: Path) -> None:
    """What it tuned is loaded into copies, over a base that keeps its own."""
    spec = "lora(r=2) on attn.q; tune on norm; tune on head, embed; tune bias on linear"
    model = pefc.apply(spec, MODELS["gpt2"]().double())
    perturb(model)
    with torch.no_grad():
        expected = computed(model)
    pefc.save(model, tmp_path / "out")
    base = away("gpt2", "task one { lora(r=2) on attn.v }")
    before = alone(base, "one")
    for _ in range(2):
        pefc.load(base, tmp_path / "out", task="other")
        torch.testing.assert_close(alone(base, "other"), expected, **CLOSE)
        assert torch.equal(alone(base, "one"), before)


def test_the_mean_of_copies_belongs_to_no_task(tmp_path: Path) -> None:
    """It is the parameter of the base that trains then."""
    copies = []
    for number, task in enumerate(("one", "two")):
        model = pefc.apply(f"task {task} {{ tune on norm; lora(r=2) on attn.q }}", llama())
        perturb(model)
        with torch.no_grad():
            copies.append(model.get_parameter(f"model.norm.{task}.tune.weight").add_(number))
        pefc.save(model, tmp_path / task)
    folders = [tmp_path / "one", tmp_path / "two"]
    pefc.combine(folders, tmp_path / "out", how="linear", weights=[0.25, 0.75])
    model = pefc.load(llama(), tmp_path / "out")
    found = model.get_parameter("model.norm.weight")
    torch.testing.assert_close(found.data, 0.25 * copies[0].data + 0.75 * copies[1].data)
    assert found.requires_grad


def test_a_method_that_tunes_stands_on_the_copy() -> None:
    method = "method both(r: int = 2) on linear {{ A: [r, in] ~ normal(0, 1)\n{0} }}\n"
    rules = "B: [out, r] = 0\nweight += B @ A\ntune bias"
    spec = "task one { both on attn.q }\ntask two { both on attn.q; tune on attn.q }"
    model = away("gpt2", method.format(rules) + spec)
    names = {
        key.partition("c_attn.")[2] for key in model.state_dict() if ".h.0.attn.c_attn." in key
    }
    assert {"one.tune.q.bias", "two.tune.q.bias", "two.tune.q.weight"} <= names
    assert "one.tune.q.weight" not in names
    rows = ("one", "two", None, "one")
    with pefc.tasks(model, rows), torch.no_grad():
        mixed = computed(model)
    for place, task in enumerate(rows):
        torch.testing.assert_close(mixed[place], alone(model, task)[place], **CLOSE)


def test_settings_reach_the_copies() -> None:
    model = pefc.apply("task a { tune on norm with lr=3x; lora(r=2) on attn.q }", llama())
    optimizer = pefc.optimizer(model, lr=1.0)
    assert {group["lr"]: len(group["params"]) for group in optimizer.param_groups} == {3: 5, 1: 4}


@pytest.mark.parametrize("convert", [nn.Module.bfloat16, nn.Module.half])
def test_copies_have_the_dtype_of_the_base(convert: Callable[[nn.Module], nn.Module]) -> None:
    model = pefc.apply("task a { tune on norm, head; tune weight on attn.q }", convert(llama()))
    assert {p.dtype for p in model.parameters()} == {next(model.parameters()).dtype}
    expected = alone(model, None)
    assert torch.equal(alone(model, "a"), expected)


def test_swapping_tasks_compiles_nothing_anew() -> None:
    torch.compiler.reset()
    spec = "task {} {{ tune on norm, embed; tune weight on attn.q, head; lora(r=2) on attn.q }}"
    model = away("llama", "\n".join(map(spec.format, ("a", "b"))))
    expected = {task: alone(model, task) for task in ("a", "b")}
    counter = CompileCounter()
    model.compile(fullgraph=True, backend=counter)
    for task in ("a", "b", "a"):
        torch.testing.assert_close(alone(model, task), expected[task], **CLOSE)
    assert counter.frame_count == 1
