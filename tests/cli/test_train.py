"""`pefc plan --train`: what is printed, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pefc import SpecError
from pefc.compiler.measure.memory.setup import Setup, setup

from ..house.pages import write_model
from .conftest import Run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With `my-llama`, whose configuration names a dtype."""
    write_model(tmp_path)
    path = tmp_path / "my-llama" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dtype": "bfloat16"}))
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_configuration_names_the_dtype(run: Run, spec: Callable[..., str]) -> None:
    result = run("plan", spec("lora on attn.q"), "my-llama", "--train", "batch=1,len=8", "--json")
    memory = json.loads(result.stdout)["memory"]
    assert memory["step"]["dtype"] == "bfloat16"
    assert set(memory["base"]) == {"bfloat16", "float32"}  # buffers stay as they are
    parts = ("copies", "adapter", "optimizer", "gradients", "activations")
    assert memory["sum"] == sum(memory["base"].values()) + sum(memory[part] for part in parts)
    assert memory["adapter"] == 4 * 4 * 8 * (256 + 256)  # in 32 bits
    assert memory["optimizer"] == 2 * memory["gradients"] == 2 * memory["adapter"]


@pytest.mark.usefixtures("folder")
def test_every_mistake_is_shown_before_the_model_is_read(
    run: Run, spec: Callable[..., str]
) -> None:
    asked = "batch=0,len=-1,dtype=,optimizer=sgd,padding=1,batch=2,batch=3,len=16777217,len=x,"
    result = run("plan", spec("lora on attn.q"), "no-model", "--train", asked)
    assert result.exit_code == 1
    shown = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert [line.split("`")[3] for line in shown[:-1]] == [
        "batch=0",
        "len=-1",
        "dtype=",
        "optimizer=sgd",
        "padding=1",
        "batch=2",
        "batch=3",
        "len=16777217",
        "len=x",
    ]
    assert "has no ``" in shown[-1]


@pytest.mark.parametrize("value", ["9999999999", "9" * 5000, "²", "1e3", "0x10", "１"])
def test_what_is_no_size(value: str) -> None:
    with pytest.raises(SpecError) as caught:
        setup(f"len={value}")
    (found,) = caught.value.diagnostics
    assert found.code() == "unfit-train-value"
    assert found.labels()[0].text == "`len` takes a whole number, from 1 to 16,777,216"


def test_the_largest_size_is_one() -> None:
    assert setup("batch=16777216,len=1") == Setup(batch=2**24, length=1)
