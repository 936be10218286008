"""The model is read once for all, and each test gives it back as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

import pefc
from pefc.compiler.attached import is_attached

from .smollm import Batch, questions, reviews, write


@pytest.fixture(scope="package")
def smollm(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A model folder, which the first of all workers writes."""
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    folder = shared / "smollm2"
    with FileLock(shared / "smollm2.lock"):
        if not (folder / "tokenizer_config.json").exists():
            write(folder)
    return folder


@pytest.fixture(scope="package")
def tokenizer(smollm: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(smollm, padding_side="left")


@pytest.fixture(scope="package")
def text(tokenizer: PreTrainedTokenizerBase) -> Batch:
    return reviews(tokenizer, slice(2))


@pytest.fixture(scope="package")
def asked(tokenizer: PreTrainedTokenizerBase) -> Batch:
    return questions(tokenizer, "Which city is the capital of France?")


@pytest.fixture(scope="package")
def read_once(smollm: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(smollm, dtype=torch.float32).eval()


@pytest.fixture(scope="package")
def values(read_once: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The values of the model before any test."""
    return {name: value.clone() for name, value in read_once.state_dict().items()}


@pytest.fixture
def model(read_once: PreTrainedModel, values: dict[str, torch.Tensor]) -> Iterator[PreTrainedModel]:
    """The model; after a test it has to be what it was, bit for bit."""
    yield read_once
    if is_attached(read_once):
        pefc.remove(read_once)
    assert all(parameter.requires_grad for parameter in read_once.parameters())
    read_once.eval().zero_grad()
    left = read_once.state_dict()
    assert left.keys() == values.keys()
    assert all(torch.equal(value, values[name]) for name, value in left.items())
