"""Tasks that are taken out: what stays, and what a failure leaves."""

import pytest
import torch

import pefc
from pefc.compiler.link.live.patcher import Patching

from ..laws.snapshots import Snapshot
from ..models import llama, perturb, words
from .living import PLAIN, all_alone, same
from .models import MODELS, computed, tasked

SPEC = """\
ia3 on attn.k
task one { lora(r=2) on attn.q, ffn; prefix(len=2) all layers }
task two { vera(r=2) on attn.q, attn.v; adapter(r=2) on ffn; prompt(len=2) }
"""


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "t5"])
def test_one_by_one_until_the_base_is_left(name: str) -> None:
    model = MODELS[name]()
    before = Snapshot.of(model)
    pefc.apply(SPEC, model)
    perturb(model)
    expected = all_alone(model)
    pefc.set_task(model, "one")
    pefc.remove(model, task="two")
    with torch.no_grad():
        assert torch.equal(computed(model), expected["one"])
        pefc.remove(model, task="one")
        assert torch.equal(computed(model), expected[None])
    assert pefc.task_names(model) == ()
    with pytest.raises(pefc.SpecError, match="the model has no tasks"):
        pefc.set_task(model, "one")
    pefc.remove(model)
    before.assert_same(model)


def test_rows_of_a_task_that_left_belong_to_none() -> None:
    model = tasked("llama", PLAIN)
    expected = all_alone(model)
    with pefc.tasks(model, ["one", "two", None, "one"]), torch.no_grad():
        pefc.remove(model, task="two")
        found = computed(model)
    for row, task in enumerate(("one", None, None, "one")):
        torch.testing.assert_close(found[row], expected[task][row], atol=1e-10, rtol=0)


@pytest.mark.parametrize("failing", ["pop_child", "_module", "_model"])
def test_a_removal_that_breaks_off_changes_nothing(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tasked("llama", SPEC)
    expected = all_alone(model)
    pefc.set_task(model, "two")
    before = Snapshot.of(model)
    method = getattr(Patching, failing)
    calls: list[object] = []

    def breaks(self: Patching, *args: object) -> None:
        method(self, *args)
        calls.append(args)
        if len(calls) == (1 if failing == "_model" else 3):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Patching, failing, breaks)
        with pytest.raises(KeyboardInterrupt):
            pefc.remove(model, task="one")
    before.assert_same(model)
    same(all_alone(model), expected)
    pefc.remove(model, task="one")
    assert pefc.task_names(model) == ("two",)


@pytest.mark.parametrize("names", [["one"], ["one", None, "two"]])
@pytest.mark.parametrize("name", ["bert", "t5"])
def test_there_is_a_task_for_each_row(name: str, names: list[str | None]) -> None:
    model = tasked(name, PLAIN)
    with (
        pefc.tasks(model, names),
        pytest.raises(ValueError, match=f"2 rows.* for {len(names)}"),
    ):
        computed(model, words())
    with pefc.tasks(model, ["one", None]):
        computed(model, words())


@pytest.mark.parametrize("task", ["mlp", "q_proj", "ia3"])
def test_a_name_that_is_taken_beside_the_tensors(task: str) -> None:
    """By the model, or by what belongs to no task."""
    model = pefc.apply("ia3 on attn.k", llama())
    before = Snapshot.of(model)
    with pytest.raises(pefc.SpecError, match="label-taken"):
        pefc.apply(f"task {task} {{ lora(r=2) on attn.k; adapter(r=2) on layer, attn }}", model)
    before.assert_same(model)
