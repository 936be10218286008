"""Models that others have wrapped or changed: told at once, and left as they are."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from accelerate import cpu_offload, disk_offload
from peft import LoraConfig, get_peft_model, inject_adapter_in_model
from torch import nn

import pefc

from ..golden.training_mistakes import flattened, gloo
from ..laws.snapshots import Snapshot
from ..models import bert, llama, output, perturb, words


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")  # type: ignore[return-value]


PEFT = LoraConfig(target_modules=["q_proj"])
WRAPS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "wrapped-model": compiled,
    "wrapped-model twice": lambda model: nn.DataParallel(compiled(model)),
    "adapter-of-peft": lambda m: get_peft_model(m, PEFT),
    "adapter-of-peft inside": lambda m: inject_adapter_in_model(PEFT, m),
    "offloaded-model": lambda model: cpu_offload(model, torch.device("cpu")),
}
SPEC = "lora(r=2) on attn.q"


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("doing", [pefc.plan, pefc.compile, pefc.apply])
def test_a_wrapped_model_is_told(wrap: str, doing: Callable[..., object]) -> None:
    model = WRAPS[wrap](llama())
    before = Snapshot.of(model)
    with pytest.raises(pefc.SpecError, match=wrap.partition(" ")[0]):
        doing(SPEC, model)
    before.assert_same(model)


@pytest.mark.parametrize("wrap", WRAPS)
def test_nothing_is_loaded_into_a_wrapped_model(wrap: str, tmp_path: Path) -> None:
    pefc.save(pefc.apply(SPEC, llama()), tmp_path / "a")
    with pytest.raises(pefc.SpecError, match=wrap.partition(" ")[0]):
        pefc.load(WRAPS[wrap](llama()), tmp_path / "a")


TAKES_A_MODEL: dict[str, Callable[[nn.Module], object]] = {
    **{name: partial(getattr(pefc, name), SPEC) for name in ("plan", "compile", "apply")},
    "save": lambda model: pefc.save(model, "out"),
    "load": lambda model: pefc.load(model, "out"),
    "set_task": lambda model: pefc.set_task(model, None),
    "tasks": lambda model: pefc.tasks(model, [None]),
    "prune": lambda model: pefc.prune(model, [], keep=2),
    **{
        name: getattr(pefc, name)
        for name in ("task_names", "merge", "remove", "optimizer", "gates", "ranks", "regularizer")
    },
}


@pytest.mark.parametrize("doing", TAKES_A_MODEL)
@pytest.mark.parametrize("original", [True, False])
def test_the_older_fsdp_is_told(doing: str, original: bool) -> None:
    model = llama()
    if original and doing not in {"apply", "load"}:
        pefc.apply(SPEC, model)  # frozen tensors among others, it takes only so
    with gloo():
        outer = flattened(model, original=original)
        for each in (outer, nn.Sequential(outer), model):
            with pytest.raises(pefc.SpecError, match="flattened-model"):
                TAKES_A_MODEL[doing](each)


def test_a_disk_is_no_place_for_weights(tmp_path: Path) -> None:
    model = llama()
    disk_offload(model, tmp_path, execution_device=torch.device("cpu"))
    with pytest.raises(pefc.SpecError, match="offloaded-model"):
        pefc.apply(SPEC, model)


def test_what_was_wrapped_afterwards_is_saved(tmp_path: Path) -> None:
    model = pefc.apply(SPEC, llama())
    perturb(model)
    for name, wrapped in (("compiled", compiled(model)), ("copied", nn.DataParallel(model))):
        pefc.save(wrapped, tmp_path / name)
        other = pefc.load(llama(), tmp_path / name)
        torch.testing.assert_close(output(other), output(model))
        assert pefc.task_names(wrapped) == ()


@pytest.mark.parametrize("spec", ["lora(r=2) on head", "tune on embed", "tune on head"])
def test_a_vocabulary_is_not_resized_under_a_spec(spec: str) -> None:
    model = pefc.apply(spec, llama())
    before = Snapshot.of(model)
    with pytest.raises(pefc.SpecError, match="replaced-embedding"):
        model.resize_token_embeddings(80)
    if "embed" in spec:
        with pytest.raises(pefc.SpecError, match="replaced-embedding"):
            model.set_input_embeddings(nn.Embedding(80, 24))
    else:
        with pytest.raises(pefc.SpecError, match="replaced-embedding"):
            model.set_output_embeddings(nn.Linear(24, 80))
    before.assert_same(model)
    assert model.resize_token_embeddings() is model.get_input_embeddings()


def test_a_vocabulary_is_resized_beside_a_spec(tmp_path: Path) -> None:
    model = pefc.apply(SPEC, llama())
    model.resize_token_embeddings(80)
    perturb(model)
    pefc.save(model, tmp_path / "a")
    larger = llama()
    larger.resize_token_embeddings(80)
    larger.load_state_dict(pefc.remove(model).state_dict())
    adapted = output(pefc.load(model, tmp_path / "a"))
    assert adapted.shape[-1] == 80
    torch.testing.assert_close(output(pefc.load(larger, tmp_path / "a")), adapted)


def test_after_a_merge_a_vocabulary_is_resized() -> None:
    model = pefc.merge(pefc.apply("lora(r=2) on head", llama()))
    model.resize_token_embeddings(80)
    assert model(words()).logits.shape[-1] == 80


@pytest.mark.parametrize("doing", [pefc.merge, lambda model: pefc.save(model, "nowhere")])
def test_a_module_that_was_replaced_is_missed(doing: Callable[[nn.Module], object]) -> None:
    model = pefc.apply("lora(r=2) on ffn", bert())
    model.encoder.layer[0].output.dense = nn.Linear(40, 24)
    with pytest.raises(pefc.SpecError, match="replaced-module"):
        doing(model)
    assert not Path("nowhere").exists()
    pefc.remove(model)
