"""Warnings name the line of the user's that has led to them."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

import pefc

from ..models import llama, words

LORA = "lora(r=2) on attn.q"
HOME = Path(pefc.__file__).parent


class Untraced(nn.Module):
    """Of which one map never runs, and which takes two inputs that nobody can make up."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor, much: float) -> torch.Tensor:
        return self.used(x) * much if bool(x.sum() > much) else self.used(x)


def unnamed(folder: Path) -> None:
    config = llama().config.to_dict()
    del config["architectures"]
    (folder / "config.json").write_text(json.dumps(config))
    pefc.base(LORA, str(folder))


def saved(folder: Path) -> None:
    model = pefc.apply(LORA, llama())
    model.get_parameter("model.layers.0.self_attn.q_proj.lora.A").data[0, 0] = float("nan")
    pefc.save(model, folder)


def loaded(folder: Path) -> None:
    pefc.save(pefc.apply(LORA, llama()), folder)
    other = llama()
    other.get_parameter("model.norm.weight").data[0] = 2
    pefc.load(other, folder, other_base=True)


def called(_: Path) -> None:
    model = pefc.apply("lora(r=2) on used, unused", Untraced())
    model(torch.ones(2, 8), 0.5)


def stepped(_: Path) -> None:
    model = pefc.apply(LORA, llama())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    for _step in range(9):
        model(words(), labels=words()).loss.backward()
        optimizer.step()


def trained(folder: Path) -> None:
    model = pefc.apply(LORA, llama())
    arguments = TrainingArguments(
        str(folder), max_steps=9, learning_rate=0.0, report_to="none", use_cpu=True
    )
    rows = [{"input_ids": words()[0], "labels": words()[0]}] * 9
    Trainer(model, arguments, train_dataset=rows).train()


CALLS: tuple[Callable[[Path], None], ...] = (unnamed, saved, loaded, called, stepped, trained)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_the_place_is_that_of_the_user(call: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.warns(pefc.SpecWarning) as found:
        call(tmp_path)
    told = [each for each in found if issubclass(each.category, pefc.SpecWarning)]
    first = call.__code__.co_firstlineno
    for each in told:
        assert each.filename == __file__
        assert first < each.lineno < first + 12


def test_one_module_warns() -> None:
    found = {
        path.relative_to(HOME)
        for path in HOME.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        if ast.unparse(node) == "warnings.warn"
    }
    assert found == {Path("dsl/diagnostics/warn.py")}
