"""Tasks come and go while a model lives: the others stay what they are, bit for bit."""

from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

import pefc

from ..models import llama, perturb, words
from .living import MIXED, PLAIN, SPEC, all_alone, alone, same, untouched
from .models import MODELS, ROWS, computed, tasked

NAMES = ("llama", "gpt2", "bert", "t5")


def test_unknown_tasks_are_named() -> None:
    model = tasked("llama", PLAIN)
    calls = (
        lambda: pefc.set_task(model, "tow"),
        lambda: pefc.tasks(model, ["one", None, "tow"]).__enter__(),
        lambda: pefc.remove(model, task="tow"),
        lambda: pefc.save(model, "nowhere", task="tow"),
    )
    with untouched(model):
        for call in calls:
            with pytest.raises(pefc.SpecError) as caught:
                call()
            (found,) = caught.value.diagnostics
            assert "`tow`" in found.title()
            assert "`two`" in (found.help() or "")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_there_is_a_task_for_each_row(count: int) -> None:
    model = tasked("llama", PLAIN)
    ids = words(rows=ROWS)
    calls = (
        lambda: computed(model, ids),
        lambda: model.generate(ids, max_new_tokens=2),  # pyright: ignore[reportCallIssue]
        lambda: model.generate(input_ids=ids, num_beams=2, max_new_tokens=2),  # pyright: ignore[reportCallIssue]
    )
    with pefc.tasks(model, ["one"] * count):
        for call in calls:
            with pytest.raises(ValueError, match=f"{ROWS} rows.* for {count}"):
                call()


def test_rows_are_those_of_the_text() -> None:
    """Positions that all rows share are no batch of one."""
    model = tasked("llama", PLAIN)
    ids, names = words(rows=ROWS), ["one", "two", None, "one"]
    with pefc.tasks(model, names), torch.no_grad():
        positions = torch.arange(ids.shape[1])[None]
        found = model(position_ids=positions, input_ids=ids, use_cache=False).logits
        assert torch.equal(found, computed(model, ids))


def test_rows_may_be_named_one_by_one() -> None:
    model = tasked("llama", PLAIN)
    names = ["one", "two", None, "one"]
    with pefc.tasks(model, names), torch.no_grad():
        expected = computed(model)
    with pefc.tasks(model, (name for name in names)), torch.no_grad():
        assert torch.equal(computed(model), expected)


def test_rows_end_where_they_began() -> None:
    model = tasked("llama", PLAIN)
    expected = all_alone(model)
    pefc.set_task(model, "two")

    def found(place: int) -> Tensor:
        with torch.no_grad():
            return computed(model)[place]

    def is_task(place: int, task: str | None) -> bool:
        return torch.allclose(found(place), expected[task][place], atol=1e-10, rtol=0)

    with pefc.tasks(model, ["one", "two", None, "one"]):
        assert is_task(0, "one")
        with suppress(KeyError), pefc.tasks(model, ["two", None, "one", "one"]):
            assert is_task(0, "two")
            assert is_task(1, None)
            raise KeyError
        assert is_task(0, "one")
        assert is_task(1, "two")
        assert is_task(2, None)
    assert torch.equal(found(0), expected["two"][0])


@pytest.mark.parametrize("name", NAMES)
def test_a_task_is_what_it_is_in_a_model_of_its_own(name: str) -> None:
    model = tasked(name, SPEC)
    base = MODELS[name]().double()
    with torch.no_grad():
        assert torch.equal(alone(model, None), computed(base))
    values = model.state_dict()
    for task, body in MIXED.items():
        single = pefc.apply(body, MODELS[name]().double())
        with torch.no_grad():
            for key, parameter in single.named_parameters():
                if parameter.requires_grad:
                    parameter.copy_(values[_in_task(key, task)])
            expected = computed(single)
        assert torch.equal(alone(model, task), expected), task
        assert (expected - computed(base)).abs().max() > 1e-3


def _in_task(key: str, task: str) -> str:
    """The path that a tensor outside of tasks has in one."""
    parts = key.split(".")
    place = next(
        i for i, part in enumerate(parts) if part in {"lora", "vera", "adapter", "prefix", "prompt"}
    )
    return ".".join((*parts[:place], task, *parts[place:]))


@pytest.mark.parametrize("name", NAMES)
def test_others_stay_when_a_task_comes_and_goes(name: str, tmp_path: Path) -> None:
    model = tasked(name, SPEC)
    first = next(p for key, p in model.named_parameters() if ".one." in key)
    first.requires_grad = False
    before = all_alone(model)
    pefc.set_task(model, "two")
    parameters = {n: (p, p.requires_grad) for n, p in model.named_parameters()}
    values = {n: p.detach().clone() for n, p in model.named_parameters()}

    def stays() -> None:
        with torch.no_grad():
            assert torch.equal(computed(model), before["two"])
        for key, (parameter, trains) in parameters.items():
            found = model.get_parameter(key)
            assert found is parameter
            assert found.requires_grad == trains
            assert torch.equal(found, values[key])
        same(all_alone(model), before)
        pefc.set_task(model, "two")

    pefc.apply("task four { lora(r=3) on attn.v; adapter(r=2) on attn; prompt(len=3) }", model)
    assert {"four"} == set(pefc.task_names(model)) - set(MIXED)
    assert all(p.requires_grad for key, p in model.named_parameters() if ".four." in key)
    stays()
    pefc.save(model, tmp_path / "three", task="three")
    stays()
    pefc.load(model, tmp_path / "three", task="copy")
    stays()
    assert torch.equal(alone(model, "copy"), before["three"])
    pefc.set_task(model, "two")
    for task in ("four", "copy"):
        pefc.remove(model, task=task)
        stays()
    assert model.state_dict().keys() == tasked(name, SPEC).state_dict().keys()


def test_an_optimizer_goes_on() -> None:
    """Steps before and after another task comes are those of a model without it."""
    grown, still = tasked("llama", PLAIN), tasked("llama", PLAIN)
    for model in (grown, still):
        pefc.set_task(model, "one")
        optimizer = pefc.optimizer(model, lr=0.01)
        for step in range(4):
            if model is grown and step == 2:
                pefc.apply("task new { lora(r=2) on attn.q }", model)
            optimizer.zero_grad()
            computed(model).square().mean().backward()
            optimizer.step()
    expected = dict(still.named_parameters())
    assert not torch.equal(
        expected["model.layers.0.self_attn.q_proj.one.lora.B"],
        tasked("llama", PLAIN).get_parameter("model.layers.0.self_attn.q_proj.one.lora.B"),
    )
    for key, parameter in grown.named_parameters():
        assert ".new." in key or torch.equal(parameter, expected[key])


def test_loading_over_a_task(tmp_path: Path) -> None:
    model, other = tasked("llama", PLAIN), tasked("llama", PLAIN)
    perturb(other, seed=11)
    expected = {**all_alone(model), "one": alone(other, "one")}
    pefc.save(other, tmp_path / "one", task="one")
    parameters = dict(model.named_parameters())
    pefc.load(model, tmp_path / "one", task="one")
    same(all_alone(model), expected)
    assert all(parameters[key] is parameter for key, parameter in model.named_parameters())


def test_a_task_named_like_a_part_of_the_model() -> None:
    """Where the name is free beside its own tensors, nothing of the model goes with it."""
    model = tasked("llama", "task lm_head { lora(r=2) on attn.q }\ntask two { ia3 on attn.q }")
    before = all_alone(model)
    pefc.remove(model, task="lm_head")
    assert torch.equal(alone(model, "two"), before["two"])
    assert torch.equal(alone(model, None), before[None])


def test_tasks_that_come_and_go_under_way() -> None:
    model = tasked("llama", PLAIN)
    with pefc.tasks(model, ["one", "two", None, "two"]):
        with torch.no_grad():
            expected = computed(model)
        pefc.apply("task new { lora(r=2) on attn.v }", model)
        perturb(model, scale=0.0)
        with torch.no_grad():
            assert torch.equal(computed(model), expected)
    assert torch.equal(computed(model), alone(model, None))


def test_a_copy_is_independent() -> None:
    model = tasked("llama", SPEC)
    before = all_alone(model)
    pefc.set_task(model, "one")
    copy = deepcopy(model)
    with torch.no_grad():
        assert torch.equal(computed(copy), before["one"])
    pefc.set_task(copy, "two")
    with torch.no_grad():
        assert torch.equal(computed(model), before["one"])
        assert torch.equal(computed(copy), before["two"])
    perturb(copy)
    pefc.remove(copy, task="one")
    pefc.apply("task new { lora(r=2) on attn.q }", copy)
    same(all_alone(model), before)
    assert pefc.task_names(model) == tuple(MIXED)
    assert pefc.task_names(copy) == ("two", "three", "new")
    assert not torch.equal(alone(copy, "two"), before["two"])


def test_keys_of_the_base_and_saving_it(tmp_path: Path) -> None:
    base = llama().double()
    model = tasked("llama", SPEC)
    expected = all_alone(model)
    state = model.state_dict()
    for key, value in base.state_dict().items():
        assert torch.equal(state[key], value)
    assert isinstance(model, PreTrainedModel)
    model.save_pretrained(tmp_path, state_dict={k: state[k] for k in base.state_dict()})
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.double).eval()
    assert type(again) is type(base)
    assert torch.equal(computed(again), expected[None])
    model.save_pretrained(tmp_path / "all")
    same(all_alone(model), expected)


@pytest.mark.parametrize("name", NAMES)
def test_all_tasks_in_a_fresh_base(name: str, tmp_path: Path) -> None:
    model = tasked(name, SPEC)
    rows = ["two", None, "three", "one"]
    pefc.save(model, tmp_path)
    fresh = pefc.load(MODELS[name]().double(), tmp_path)
    same(all_alone(fresh), all_alone(model))
    with torch.no_grad(), pefc.tasks(fresh, rows), pefc.tasks(model, rows):
        assert torch.equal(computed(fresh), computed(model))
