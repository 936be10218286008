"""Prompt tuning and P-tuning in pefc and in HF PEFT: equal tensors, outputs, gradients and texts.

On BERT hidden states are compared: in PEFT the pooler reads the first row of the prompt, in pefc
the first token of the text. Decoders write without padding: PEFT drops the positions that
`generate` counts from the mask, so that padding changes its texts.
"""

from pathlib import Path

import pytest
import torch
from peft import PeftModel, PromptTuningConfig, get_peft_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

import pefc

from ..models import WIDTH, llama, words
from .prompted import GREEDY, LENGTH, Case, Pair, gradients, pair, trained
from .prompts import TOKENS

TOLERANCE = 1e-12
"""Relative; prompts are computed in float64 on both sides."""
IDS = words(length=9)
LEFT, RIGHT = torch.ones_like(IDS), torch.ones_like(IDS)
LEFT[0, :4] = 0
RIGHT[0, 6:] = 0
MASKS = {"none": None, "left": LEFT, "right": RIGHT}
WRITING = tuple(case for case in TOKENS if "bert" not in case.name)
ENCODED = tuple(case for case in TOKENS if "p-tuning" in case.name)


def outputs(model: PreTrainedModel | PeftModel, mask: Tensor | None) -> Tensor:
    """At the tokens of the text alone, without rows of prompts and padding."""
    given = {"input_ids": IDS, "attention_mask": mask}
    if model.config.is_encoder_decoder:
        return model(**given, decoder_input_ids=IDS[:, :5]).logits
    found = model(**given)[0]
    text = found[:, -IDS.shape[1] :]
    return text if mask is None else text[mask.bool()]


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).norm() <= TOLERANCE * theirs.norm()


def assert_same_gradients(both: Pair, mask: Tensor | None) -> None:
    for model in (both.ours, both.theirs):
        outputs(model, mask).square().sum().backward()
    expected = both.shares(gradients(both.theirs))
    found = gradients(both.ours)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert expected[name].abs().max() > 1e-6, name
        assert_equal(gradient, expected[name])


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("case", TOKENS, ids=str)
def test_outputs_and_gradients(case: Case, mask: Tensor | None) -> None:
    both = pair(case)
    with torch.no_grad():
        ours, theirs = outputs(both.ours, mask), outputs(both.theirs, mask)
        assert (theirs - outputs(both.base, mask)).abs().max() > 1e-3
    assert_equal(ours, theirs)
    assert_same_gradients(both, mask)


@pytest.mark.filterwarnings("ignore:Position ids are not supported")
@pytest.mark.parametrize("case", WRITING, ids=str)
def test_texts(case: Case) -> None:
    both = pair(case)
    mask = LEFT if both.base.config.is_encoder_decoder else torch.ones_like(IDS)
    given = {"input_ids": IDS, "attention_mask": mask, **GREEDY}
    ours, theirs, base = (model.generate(**given) for model in (both.ours, both.theirs, both.base))
    assert ours.tolist() == theirs.tolist()
    assert ours.tolist() != base.tolist()


@pytest.mark.parametrize("case", ENCODED, ids=str)
def test_what_a_folded_adapter_computes(case: Case, tmp_path: Path) -> None:
    both = pair(case)
    pefc.save(both.ours, tmp_path)
    loaded = pefc.load(both.base, tmp_path)
    with torch.no_grad():
        assert_equal(outputs(loaded, LEFT), outputs(both.theirs, LEFT))
    assert [tensor.shape for tensor in trained(loaded).values()] == [(LENGTH, WIDTH)]


@pytest.mark.parametrize("text", ["one", "one two three four"])
def test_a_prompt_starts_from_the_same_text(text: str, tmp_path: Path) -> None:
    vocabulary = {word: 5 + index for index, word in enumerate(text.split())}
    raw = Tokenizer(WordLevel(vocabulary))
    raw.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw)
    tokenizer.save_pretrained(tmp_path)
    config = PromptTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=LENGTH,
        prompt_tuning_init="TEXT",
        prompt_tuning_init_text=text,
        tokenizer_name_or_path=str(tmp_path),
    )
    (theirs,) = trained(get_peft_model(llama(), config)).values()
    spec = f'prompt(len={LENGTH}, init="{text}")'
    (ours,) = trained(pefc.apply(spec, llama(), tokenizer=tokenizer)).values()
    assert torch.equal(ours, theirs)
