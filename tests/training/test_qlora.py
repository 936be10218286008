"""Adapters on bases of 4 bits, trained by a Trainer on real text."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, LlamaForCausalLM, Trainer

import pefc
from pefc.runtime.quantized.form import is_packed

from ..models import llama, output
from .trained import STATE, logged, losses, trainer

TEXT = Path(__file__).parents[2] / "examples" / "data" / "tweets.tsv"
LENGTH, STEPS = 24, 16
BITS = "quantize(nf4, double, compute=fp32) on linear"
LORA = "lora(r=4, alpha=16, dropout=0.1) on linear"
SAVING = {"save_strategy": "steps", "save_steps": STEPS // 2}


class Tweets(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Rows of tweets; a character is its code within the 64 words of the model."""

    def __init__(self) -> None:
        lines = TEXT.read_text(encoding="utf-8").splitlines()[1:400]
        text = "\n".join(line.split("\t", 1)[1] for line in lines).encode()
        self.ids = torch.tensor(list(text)[: len(text) // LENGTH * LENGTH]) % 64
        self.ids = self.ids.view(-1, LENGTH)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {"input_ids": self.ids[row], "labels": self.ids[row]}


def by_spec(folder: Path) -> LlamaForCausalLM:
    """A base that a spec quantizes; no folder is needed."""
    del folder
    return pefc.apply(BITS, llama())


def by_config(folder: Path) -> LlamaForCausalLM:
    """A base that arrives quantized, as transformers loads it."""
    llama().save_pretrained(folder)
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    return LlamaForCausalLM.from_pretrained(folder, quantization_config=config, dtype=torch.float32)


Build = Callable[[Path], LlamaForCausalLM]
parametrized = pytest.mark.parametrize("build", [by_spec, by_config], ids=lambda b: b.__name__)


def adapted(build: Build, folder: Path, seed: int = 5) -> LlamaForCausalLM:
    model = build(folder / "base")
    torch.manual_seed(seed)
    return pefc.apply(LORA, model)


def trained(model: nn.Module, folder: Path, **given: object) -> Trainer:
    made = trainer(model, folder, max_steps=STEPS, per_device_train_batch_size=8, **given)
    made.train_dataset = Tweets()
    return made


def base_bits(model: nn.Module) -> dict[str, Tensor]:
    """Every tensor of the model that does not train: packed weights, scales and the rest."""
    trains = {name for name, p in model.named_parameters() if p.requires_grad}
    state = model.state_dict()
    return {name: value.clone() for name, value in state.items() if name not in trains}


@parametrized
def test_the_loss_falls_and_the_base_keeps_its_bits(build: Build, tmp_path: Path) -> None:
    model = adapted(build, tmp_path)
    before = base_bits(model)
    made = trained(model, tmp_path / "out")
    made.train()
    found = losses(made)
    assert sum(found[-4:]) < 0.9 * sum(found[:4])
    after = base_bits(model)
    packed = [name for name in before if name.endswith("weight.absmax")]
    assert len(packed) == sum(is_packed(module) for module in model.modules()) == 14
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(isinstance(m, Linear4bit) for m in model.modules() if is_packed(m))


@parametrized
def test_a_checkpoint_holds_the_adapter_and_resumes_exactly(build: Build, tmp_path: Path) -> None:
    whole = trained(adapted(build, tmp_path), tmp_path / "whole", **SAVING)
    whole.train()
    middle = tmp_path / "whole" / f"checkpoint-{STEPS // 2}"
    names = load_file(middle / STATE)
    assert {name.rpartition("lora.")[2] for name in names} == {
        "A",
        "B",
        "pefc.checkpoint",
        "pefc.origin",
    }
    again = trained(adapted(build, tmp_path, seed=6), tmp_path / "again", **SAVING)
    with logged() as warnings:
        again.train(resume_from_checkpoint=str(middle))
    assert warnings == []
    assert losses(again) == losses(whole)
    assert len(losses(again)) == STEPS
    assert again.model is not None
    state = again.model.state_dict()
    assert whole.model is not None
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, state[name]), name


@parametrized
def test_an_adapter_goes_onto_a_fresh_quantized_base(build: Build, tmp_path: Path) -> None:
    model = adapted(build, tmp_path)
    trained(model, tmp_path / "out", **SAVING).train()
    pefc.save(model, tmp_path / "adapter")
    expected = output(model.eval())
    for folder in (tmp_path / "adapter", tmp_path / "out" / f"checkpoint-{STEPS}"):
        fresh = pefc.load(build(tmp_path / "base"), folder)
        assert torch.equal(output(fresh.eval()), expected)
    assert not torch.equal(output(pefc.remove(model).eval()), expected)


def test_an_adapter_of_one_road_goes_onto_a_base_of_the_other(tmp_path: Path) -> None:
    model = adapted(by_config, tmp_path)
    trained(model, tmp_path / "out").train()
    pefc.save(model, tmp_path / "adapter")
    fresh = pefc.load(by_spec(tmp_path / "base"), tmp_path / "adapter")
    assert torch.equal(output(fresh.eval()), output(model.eval()))


def test_a_quantized_model_without_a_spec_is_still_refused(tmp_path: Path) -> None:
    """What pefc tells a Trainer holds for what pefc has trained, and for as long as it is there."""
    model = adapted(by_config, tmp_path)
    trained(model, tmp_path / "out")
    pefc.remove(model)
    with pytest.raises(ValueError, match="purely quantized"):
        trained(model, tmp_path / "out")
