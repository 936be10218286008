"""Training of tasks: under gradient checkpointing, with layers dropped, and by a trainer."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, Trainer, TrainingArguments

import pefc

from ..models import WORDS, llama, perturb, words
from .models import computed, gradients, tasked

SPEC = """\
task one { lora(r=2) on attn.q, ffn; adapter(r=2, act=silu) on ffn }
task two { lora(r=2) on attn.q, ffn; prefix(len=2) all layers }
task three { prompt(len=2) }
"""
NAMES = ("one", "two", None, "three")


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("later", [False, True], ids=["inside", "later"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "bert", "t5"])
def test_checkpoints_change_no_gradient(name: str, *, reentrant: bool, later: bool) -> None:
    """Also where the backward pass comes when the rows have other tasks."""
    model = tasked(name, SPEC)
    for module in model.modules():  # the layers train, what drops out in them does not
        module.training = type(module).__name__.endswith(("Layer", "Block"))
    assert isinstance(model, PreTrainedModel)
    model.enable_input_require_grads()

    def found() -> dict[str, Tensor]:
        with pefc.tasks(model, NAMES):
            mixed = computed(model).pow(3).sum()
            if not later:
                mixed.backward()
        pefc.set_task(model, "two")
        alone = computed(model).pow(3).sum()
        pefc.set_task(model, "one" if later else "two")
        expected = computed(model)
        if later:
            (mixed + alone).backward()
        else:
            alone.backward()
        assert torch.equal(computed(model), expected)
        return gradients(model)

    expected = found()
    model.activation_checkpointing_enable({"use_reentrant": reentrant})
    for key, value in found().items():
        torch.testing.assert_close(value, expected[key], atol=1e-9, rtol=1e-9)
        assert value.any(), key


DROPS = (
    ("1..1, eval=1", "2..2, eval=2"),
    ("2..2, eval=0", "0..0, eval=3"),
)
BODY = "adapter(r=2) on ffn{0}; lora(r=2) on attn.q{0}; prefix(len=2) on attn{0}"


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("drops", DROPS)
def test_each_task_drops_layers_of_its_own(drops: tuple[str, str], *, training: bool) -> None:
    spec = "".join(
        f"task {task} {{ adapterdrop({drop}) {{ {BODY.format('')} }} }}\n"
        for task, drop in zip(("one", "two"), drops, strict=True)
    )
    spec += f"task three {{ {BODY.format('')} }}"
    model = pefc.apply(spec, llama(layers=4)).double().train(training)
    perturb(model)
    values = model.state_dict()
    expected: dict[str | None, Tensor] = {}
    for task, drop in (("one", drops[0]), ("two", drops[1]), ("three", "0..0, eval=0")):
        number = int(drop[0] if training else drop[-1])
        single = pefc.apply(
            f"task {task} {{ {BODY.format(f' in layers {number}..3')} }}", llama(layers=4)
        ).double()
        single.load_state_dict({key: values[key] for key in single.state_dict()})
        pefc.set_task(single, task)
        expected[task] = computed(single)
        pefc.set_task(model, task)
        assert torch.equal(computed(model), expected[task]), task
    with pefc.tasks(model, ["three", "two", "one", "two"]):
        mixed = computed(model)
    for place, task in enumerate(("three", "two", "one", "two")):
        torch.testing.assert_close(mixed[place], expected[task][place], atol=1e-10, rtol=0)


def test_a_drawn_number_is_one_for_all_rows() -> None:
    """A mixed batch in training leaves out what single tasks would, number by number."""
    body = BODY.format("")
    spec = f"task one {{ adapterdrop(0..3) {{ {body} }} }}\ntask two {{ {body} }}"
    model = pefc.apply(spec, llama(layers=4)).double().train()
    perturb(model)
    seen: set[int] = set()
    for _ in range(20):
        with pefc.tasks(model, ["one", "two"]):
            computed(model, words(rows=2)).square().sum().backward()
        found = gradients(model)
        live = [
            any(g.any() for key, g in found.items() if f"layers.{n}." in key and ".one." in key)
            for n in range(4)
        ]
        assert live == sorted(live)
        seen.add(live.count(False))
        assert all(g.any() for key, g in found.items() if ".two." in key)
    assert seen == {0, 1, 2, 3}


class Rows(torch.utils.data.Dataset):
    """A few texts that all say one word."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        return {"input_ids": words(rows=8)[place], "labels": torch.full((7,), WORDS - 1)}


@pytest.mark.parametrize("checkpoints", [False, True])
def test_a_trainer_trains_one_task(tmp_path: Path, *, checkpoints: bool) -> None:
    model = pefc.apply(
        "task one { lora(r=2) on attn.q, ffn }\ntask two { lora(r=2) on attn.q }", llama()
    )
    perturb(model)
    pefc.set_task(model, "one")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    options = TrainingArguments(
        output_dir=str(tmp_path / "run"),
        max_steps=4,
        per_device_train_batch_size=4,
        learning_rate=0.02,
        use_cpu=True,
        report_to=[],
        dataloader_pin_memory=False,
        save_strategy="steps",
        save_steps=4,
        logging_strategy="no",
        disable_tqdm=True,
        activation_checkpointing=checkpoints,
        activation_checkpointing_kwargs={"use_reentrant": False} if checkpoints else None,
    )
    Trainer(model=model, args=options, train_dataset=Rows()).train()
    changed = {
        key for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    assert changed == {key for key in before if ".one." in key}
    pefc.apply("task new { lora(r=2) on attn.v }", model)
    pefc.set_task(model, "new")
