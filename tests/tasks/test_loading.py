"""Adapters that are loaded as tasks: one by one, beside others, and over a task."""

from pathlib import Path

import pytest
import torch

import pefc

from ..models import bert, llama, output, perturb
from .living import all_alone, alone, same, untouched
from .models import computed, tasked

SPEC = """\
ia3 on attn.k
task one { lora(r=2) on attn.q, ffn; prefix(len=2) all layers; adapter(r=2) on attn }
task two { vera(r=2) on attn.v; adapterdrop(0..1, eval=1) { adapter(r=2) on ffn } }
task three { prompt(len=2); vera(r=3) on attn.q; loreft(r=2) on layer }
"""


def test_one_by_one_beside_what_belongs_to_no_task(tmp_path: Path) -> None:
    model = tasked("bert", SPEC)
    fresh = pefc.apply("ia3 on attn.k", bert()).double()
    fresh.load_state_dict(model.state_dict(), strict=False)
    for task in pefc.task_names(model):
        pefc.save(model, tmp_path / task, task=task)
        pefc.load(fresh, tmp_path / task, task=task)
    assert pefc.task_names(fresh) == pefc.task_names(model)
    same(all_alone(fresh), all_alone(model))


def test_an_adapter_without_tasks(tmp_path: Path) -> None:
    adapter = tasked("llama", "lora(r=3) on attn.q, ffn; adapter(r=2) on attn")
    pefc.save(adapter, tmp_path)
    expected = computed(adapter)
    for model in (llama().double(), pefc.apply("ia3 on attn.k", llama()).double()):
        before = computed(model)
        pefc.load(model, tmp_path, task="papers")
        assert torch.equal(alone(model, None), before)
        assert torch.equal(alone(model, "papers"), expected)


def test_a_state_of_all_tasks_comes_back(tmp_path: Path) -> None:
    base = list(llama().state_dict())
    model = tasked("llama", SPEC)
    state = model.state_dict()
    assert [key for key in state if key in set(base)] == base
    torch.save(state, tmp_path / "state.pt")
    fresh = pefc.apply(SPEC, llama()).double()
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    same(all_alone(fresh), all_alone(model))


def test_another_learning_rate_is_the_same_form(tmp_path: Path) -> None:
    other = pefc.apply("lora(r=2) on attn.q with lr=3x", llama())
    perturb(other)
    pefc.save(other, tmp_path)
    model = pefc.apply("task one { lora(r=2) on attn.q }", llama())
    pefc.set_task(pefc.load(model, tmp_path, task="one"), "one")
    assert torch.equal(output(model), output(other))


def test_a_network_that_was_saved_as_what_it_computes(tmp_path: Path) -> None:
    """Its own task has another form, unless the network is saved too."""
    model = tasked("llama", "task one { prefix(len=2, mlp=8) all layers }")
    expected = alone(model, "one")
    pefc.save(model, tmp_path / "values", task="one")
    with untouched(model), pytest.raises(pefc.SpecError) as caught:
        pefc.load(model, tmp_path / "values", task="one")
    (found,) = caught.value.diagnostics
    assert found.notes()[-1] == (
        "what computes `prefix` was left out: it is saved with `resume=True`"
    )
    pefc.save(model, tmp_path / "network", resume=True, task="one")
    perturb(model, seed=11)
    assert not torch.equal(alone(model, "one"), expected)
    pefc.load(model, tmp_path / "network", task="one")
    assert torch.equal(alone(model, "one"), expected)


def test_a_task_of_an_alias_loads_over_itself(tmp_path: Path) -> None:
    model = pefc.apply("task t { rslora(r=2) on attn.q }", llama())
    pefc.save(model, tmp_path, task="t")
    assert pefc.load(model, tmp_path, task="t") is model
