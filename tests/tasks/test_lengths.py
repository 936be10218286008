"""Rows whose prompts have different lengths compute, in one batch, what they compute alone."""

import pytest
import torch
from torch import Tensor
from transformers import FNetConfig, FNetModel, PreTrainedModel

import pefc

from ..models import WIDTH, WORDS, bert
from ..runtime.prompt_models import bart, marian, roberta, t5
from .rowwise import IDS, NAMES, Build, each_alone, left_padded, tasked

CLOSE = {"atol": 1e-10, "rtol": 0}


@pytest.mark.parametrize("build", [t5, bart, marian, bert, roberta])
@pytest.mark.parametrize("padded", [False, True])
def test_encoders_read_each_row_as_alone(build: Build, *, padded: bool) -> None:
    """Logits are far from one token's choice: they show a position that is off by one."""
    model = tasked(build)
    mask = left_padded().flip(1) if padded else None
    with pefc.tasks(model, NAMES):
        mixed = _computed(model, IDS, mask)

    def call(row: int, ids: Tensor) -> Tensor:
        return _computed(model, ids, None if mask is None else mask[row : row + 1])

    torch.testing.assert_close(mixed, torch.cat(each_alone(model, IDS, call)), **CLOSE)


def test_a_model_without_masks_is_refused() -> None:
    config = FNetConfig(
        vocab_size=WORDS, hidden_size=WIDTH, num_hidden_layers=1, intermediate_size=40
    )
    model = pefc.apply("task one { prompt(len=2) }\ntask two { prompt(len=5) }", FNetModel(config))
    with pefc.tasks(model, NAMES), pytest.raises(ValueError, match="takes a mask"):
        model(IDS)
    with pefc.tasks(model, ["one"] * len(NAMES)):
        assert model(IDS)[0].shape == (*IDS.shape, WIDTH)


@torch.no_grad()
def _computed(model: PreTrainedModel, ids: Tensor, mask: Tensor | None) -> Tensor:
    """What a model computes at the tokens that stand."""
    if model.config.is_encoder_decoder:
        return model(input_ids=ids, attention_mask=mask, decoder_input_ids=ids[:, :4]).logits
    states = model(input_ids=ids, attention_mask=mask)[0]
    return states if mask is None else states * mask[..., None]
