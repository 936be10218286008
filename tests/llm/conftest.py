"""The model is read once for all, and each test gives it back as it was."""

from collections.abc import Iterator
from copy import deepcopy
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

from .smollm import LAYERS, Batch, lent, questions, reviews, write


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
def first_layers(read_once: PreTrainedModel) -> PreTrainedModel:
    """The same model with a third of its layers, for what each of them does alike."""
    model = deepcopy(read_once)
    model.config.num_hidden_layers = LAYERS
    del model.model.layers[LAYERS:]
    return model


@pytest.fixture
def model(read_once: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """The model; after a test it has to be what it was, bit for bit."""
    yield from lent(read_once)
