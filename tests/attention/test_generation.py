"""Texts with prefixes and prompts: what forwards over the whole text choose, with every cache."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from ..models import gpt2, llama
from ..runtime.prompt_models import mistral, t5
from .tuned import ATTENTION, COMBINED, IDS, LEFT, SPECS, WRITERS, Build, assert_near, named, tuned

NEW = 8
SPEC = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
WRITING = {"max_new_tokens": NEW, "eos_token_id": None, "pad_token_id": 1}
GREEDY = {"do_sample": False, **WRITING}
CACHES = [(build, "dynamic") for build in WRITERS] + [(llama, "static"), (mistral, "static")]


def step(model: nn.Module, ids: Tensor) -> Tensor:
    """A text with the likeliest next token, from one forward over all of it."""
    if model.config.is_encoder_decoder:
        logits = model(IDS, decoder_input_ids=ids, use_cache=False).logits
    else:
        logits = model(ids, use_cache=False).logits
    return torch.cat((ids, logits[:, -1:].argmax(-1)), 1)


@SPEC
@pytest.mark.parametrize("build", WRITERS, ids=named)
@torch.no_grad()
def test_greedy_texts_are_those_of_forwards(build: Build, spec: str) -> None:
    model = tuned(build, spec)
    ids = torch.zeros(2, 1, dtype=torch.long) if build is t5 else IDS
    found = model.generate(IDS, **GREEDY)
    assert found.shape == (2, ids.shape[1] + NEW)
    for _ in range(NEW):
        ids = step(model, ids)
    assert torch.equal(found, ids)
    # What a window has left behind, as a prompt before a longer text, chooses no more tokens.
    if build is not mistral or spec in ATTENTION.values():
        assert not torch.equal(found, build().double().generate(IDS, **GREEDY))


@SPEC
@pytest.mark.parametrize(("build", "caching"), CACHES)
def test_decoding_from_a_cache_is_the_full_forward(build: Build, caching: str, spec: str) -> None:
    given = {"attention_mask": LEFT, "output_logits": True, "return_dict_in_generate": True}
    generate = partial(tuned(build, spec).generate, IDS, **GREEDY, **given)
    cached, full = generate(cache_implementation=caching), generate(use_cache=False)
    assert torch.equal(cached.sequences, full.sequences)
    for one, other in zip(cached.logits, full.logits, strict=True):
        assert_near(one, other)


@SPEC
@pytest.mark.parametrize("build", [llama, gpt2, t5], ids=named)
def test_samples_follow_the_seed(build: Build, spec: str) -> None:
    texts = []
    for seed, cached in ((1, True), (1, False), (2, True)):
        model = tuned(build, spec)
        torch.manual_seed(seed)
        given = {"do_sample": True, "top_k": 20, "num_return_sequences": 2, "use_cache": cached}
        texts.append(model.generate(IDS, **WRITING, **given))
    assert texts[0].shape == (4, NEW + (1 if build is t5 else 9))
    assert torch.equal(texts[0], texts[1])
    assert not torch.equal(texts[0], texts[2])


@SPEC
@pytest.mark.parametrize("build", [llama, gpt2, t5], ids=named)
def test_beams_do_not_depend_on_the_cache(build: Build, spec: str) -> None:
    model = tuned(build, spec)
    given = {"attention_mask": LEFT, "num_beams": 3, "num_return_sequences": 2, **GREEDY}
    cached, full = (model.generate(IDS, use_cache=use, **given) for use in (True, False))
    assert cached.shape == (4, NEW + (1 if build is t5 else 9))
    assert torch.equal(cached, full)
    assert not torch.equal(cached[0], cached[1])


@pytest.mark.parametrize("build", WRITERS, ids=named)
def test_every_row_is_written_alone(build: Build) -> None:
    model = tuned(build, COMBINED)
    both = model.generate(IDS, **GREEDY)
    assert torch.equal(both[1:], model.generate(IDS[1:], **GREEDY))


@SPEC
@pytest.mark.parametrize("build", [llama, gpt2], ids=named)
def test_padding_changes_no_text(build: Build, spec: str) -> None:
    model = tuned(build, spec)
    padded = model.generate(IDS, attention_mask=LEFT, **GREEDY)
    alone = model.generate(IDS[:1, 3:], attention_mask=LEFT[:1, 3:], **GREEDY)
    assert torch.equal(padded[:1, 3:], alone)
