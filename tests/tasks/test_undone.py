"""What fails with the tasks of a model leaves the model exactly as it was."""

from pathlib import Path

import pytest

import pefc
from pefc.compiler.link.live.patcher import Patching

from .living import MIXED, PLAIN, SPEC, untouched
from .models import tasked

UNLIKE = (
    "task x { lora(r=3) on attn.q }",
    "task x { lora(r=2) on attn.k }",
    "task x { lora(r=2) on attn.q in layers 0 }",
    "task x { lora(r=2, alpha=9) on attn.q }",
    "task x { lora(r=2, dropout=0.5) on attn.q }",
    "task x { gate(unipelt) { lora(r=2) on attn.q } }",
    "task x { adapterdrop(0..1) { lora(r=2) on attn.q } }",
    "task x { lora(r=2) on attn.q as style }",
    "task x { prompt(len=2) }",
)


@pytest.mark.parametrize("spec", UNLIKE)
def test_loading_another_form_over_a_task(spec: str, tmp_path: Path) -> None:
    model = tasked("llama", PLAIN)
    pefc.save(tasked("llama", spec), tmp_path / "out")
    pefc.set_task(model, "one")
    with untouched(model), pytest.raises(pefc.SpecError, match="another form than the task `one`"):
        pefc.load(model, tmp_path / "out", task="one")


def test_methods_in_another_order_are_another_form(tmp_path: Path) -> None:
    model = tasked("llama", "task one { lora(r=2) on attn.q; ia3 on attn.q }")
    pefc.save(tasked("llama", "task one { ia3 on attn.q; lora(r=2) on attn.q }"), tmp_path / "out")
    with untouched(model), pytest.raises(pefc.SpecError, match="another form"):
        pefc.load(model, tmp_path / "out", task="one")


MISTAKES = (
    "task new { lora(rank=2) on attn.q }",
    "task new { lora(r=2) on attn.qq }",
    "task new { lora(r=2) on attn.q; lora(r=2) on attn.q }",
    "task new { lora(r=2) on attn.q }\ntask one { lora(r=2) on attn.q }",
    "task weight { lora(r=2) on attn.q }",
    "task new { prompt(init='of words') }",
    "lora(r=2) on attn.q",
)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_failed_addition_changes_nothing(mistake: str) -> None:
    model = tasked("llama", SPEC)
    pefc.set_task(model, "three")
    with untouched(model), pytest.raises(pefc.SpecError):
        pefc.apply(mistake.replace("'", '"'), model)


@pytest.mark.parametrize("failing", ["place", "_module", "_model"])
def test_an_addition_that_breaks_off_changes_nothing(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tasked("llama", SPEC)
    pefc.set_task(model, "three")
    method = getattr(Patching, failing)
    calls: list[object] = []

    def breaks(self: Patching, *args: object) -> object:
        method(self, *args)
        calls.append(args)
        if len(calls) == (3 if failing == "_module" else 1):
            raise KeyboardInterrupt
        return None

    with untouched(model), monkeypatch.context() as patch:
        patch.setattr(Patching, failing, breaks)
        with pytest.raises(KeyboardInterrupt):
            pefc.apply("task new { lora(r=2) on attn.v; adapter(r=2) on ffn }", model)
    assert pefc.task_names(model) == tuple(MIXED)
    pefc.apply("task new { lora(r=2) on attn.v }", model)
    assert "new" in pefc.task_names(model)


@pytest.mark.parametrize("task", ["new", "one", None])
@pytest.mark.parametrize("damage", ["cut", "missing", "other"])
def test_a_failed_load_changes_nothing(damage: str, task: str | None, tmp_path: Path) -> None:
    source = tasked("llama", "task one { lora(r=2) on attn.q }")
    pefc.save(source, tmp_path / "out")
    file = tmp_path / "out" / "adapter.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    elif damage == "missing":
        file.unlink()
    else:
        pefc.save(tasked("llama", "task one { lora(r=4) on attn.q }"), tmp_path / "other")
        file.write_bytes((tmp_path / "other" / "adapter.safetensors").read_bytes())
    model = tasked("llama", PLAIN)
    pefc.set_task(model, "two")
    with untouched(model), pytest.raises(pefc.SpecError):
        pefc.load(model, tmp_path / "out", task=task)


def test_a_hook_in_the_place_of_a_forward_is_refused() -> None:
    """It would go on to call the patch of before."""
    model = tasked("llama", PLAIN)
    place = model.get_submodule("model.layers.0.self_attn.q_proj")
    place.forward = place.forward
    with untouched(model):
        for call in (
            lambda: pefc.apply("task new { lora(r=2) on attn.v }", model),
            lambda: pefc.remove(model, task="two"),
        ):
            with pytest.raises(pefc.SpecError, match="was replaced on the module itself"):
                call()
