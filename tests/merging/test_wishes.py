"""What a merge takes."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import pefc
from pefc.cli.app import app

from ..models import llama

WRONG: tuple[tuple[dict[str, object], type[Exception], str], ...] = (
    ({"loss": -0.1}, ValueError, "from 0 on"),
    ({"loss": float("nan")}, ValueError, "from 0 on"),
    ({"loss": "0.1"}, TypeError, "a share of the update"),
    ({"loss": None}, TypeError, "a share of the update"),
    ({"loss": True}, TypeError, "a share of the update"),
    ({"requantize": 1}, TypeError, "True or False"),
    ({"requantize": None}, TypeError, "True or False"),
    ({"into": "bfloat16"}, ValueError, "one of bf16, fp16, fp32"),
    ({"into": torch.bfloat16}, ValueError, "one of bf16, fp16, fp32"),
    ({"into": ["bf16"]}, ValueError, "one of bf16, fp16, fp32"),
    ({"into": "bf16", "requantize": True}, ValueError, "not both"),
    ({"into": "bf16", "keep_base": True}, ValueError, "cannot keep its base"),
)


@pytest.mark.parametrize(("wish", "kind", "says"), WRONG, ids=str)
def test_a_wish_that_means_nothing(
    wish: dict[str, object], kind: type[Exception], says: str
) -> None:
    model = pefc.apply("lora(r=2) on attn.q", llama(layers=1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(kind, match=says):
        pefc.merge(model, **wish)  # pyright: ignore[reportArgumentType]
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize(
    "options", [("--loss", "-1"), ("--loss", "nan"), ("--into", "bf16", "--requantize")], ids=str
)
def test_the_command_refuses_the_same(options: tuple[str, ...], tmp_path: Path) -> None:
    words = ["merge", "base", "adapter", "-o", str(tmp_path / "out"), *options]
    assert CliRunner().invoke(app, words).exit_code == 2
