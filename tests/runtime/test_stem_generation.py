"""Generation with a prompt: token for token what forwards over the whole text choose."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, StaticCache

from pefc.runtime.prompts.backbone import memory_names
from tests.models import gpt2, llama, words

from .prompt_models import bart, gemma, marian, mistral, t5
from .prompting import (
    GREEDY,
    LENGTH,
    NEW,
    PROMPTS,
    change,
    expected,
    greedy,
    longer,
    prompted,
    wider,
)

Build = Callable[[], PreTrainedModel]
DECODERS = [llama, gpt2, mistral, gemma]
CACHES = {
    "dynamic": {},
    "static": {"cache_implementation": "static"},
    "none": {"use_cache": False},
    "chunks": {"prefill_chunk_size": 3},
    "static chunks": {"cache_implementation": "static", "prefill_chunk_size": 3},
}


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("caching", CACHES)
def test_greedy(build: Build, caching: str) -> None:
    model, prompt = prompted(build())
    text = model.generate(words(), **GREEDY, **CACHES[caching])
    assert torch.equal(text, greedy(build(), prompt, words()))


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("caching", CACHES)
def test_greedy_after_padding(build: Build, caching: str) -> None:
    model, prompt = prompted(build())
    mask = torch.ones_like(words())
    mask[0, :3] = 0
    text = model.generate(words(), attention_mask=mask, **GREEDY, **CACHES[caching])
    assert torch.equal(text, greedy(build(), prompt, words(), mask))


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("caching", ["dynamic", "static"])
def test_one_row_of_one_token(build: Build, caching: str) -> None:
    model, prompt = prompted(build())
    text = model.generate(words(rows=1, length=1), **GREEDY, **CACHES[caching])
    assert torch.equal(text, greedy(build(), prompt, words(rows=1, length=1)))


@pytest.mark.parametrize("caching", ["dynamic", "static"])
def test_embeddings_instead_of_ids(caching: str) -> None:
    model, prompt = prompted(llama())
    embeddings = model.get_input_embeddings()(words())
    text = model.generate(inputs_embeds=embeddings, **GREEDY, **CACHES[caching])
    assert torch.equal(text, greedy(llama(), prompt, words())[:, 7:])


@pytest.mark.parametrize("build", DECODERS)
def test_a_static_cache_serves_again_after_a_reset(build: Build) -> None:
    model, prompt = prompted(build())
    cache = StaticCache(config=model.config, max_cache_len=7 + NEW)
    for ids in (words(), words().flip(1)):
        text = model.generate(ids, past_key_values=cache, **GREEDY)
        assert torch.equal(text, greedy(build(), prompt, ids))
        cache.reset()
    assert copy.deepcopy(cache).get_seq_length() == 0


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("caching", ["dynamic", "static", "chunks"])
def test_generation_goes_on_from_a_cache(build: Build, caching: str) -> None:
    model, prompt = prompted(build())
    given = CACHES[caching]
    cache = DynamicCache(config=model.config)
    if caching == "static":
        given, cache = {}, StaticCache(config=model.config, max_cache_len=7 + NEW)
    fewer = GREEDY | {"max_new_tokens": 3}
    part = model.generate(words(), past_key_values=cache, **fewer, **given)
    more = GREEDY | {"max_new_tokens": NEW - 3}
    mask = torch.ones_like(part)
    text = model.generate(part, past_key_values=cache, attention_mask=mask, **more, **given)
    assert torch.equal(text, greedy(build(), prompt, words()))


def test_embeddings_go_on_from_a_cache() -> None:
    model, prompt = prompted(llama())
    cache = DynamicCache()
    model(words()[:, :3], past_key_values=cache)
    embeddings = model.get_input_embeddings()(words())
    text = model.generate(inputs_embeds=embeddings, past_key_values=cache, **GREEDY)
    assert torch.equal(text, greedy(llama(), prompt, words())[:, 7:])


@pytest.mark.parametrize("caching", CACHES)
def test_samples_follow_the_seed(caching: str) -> None:
    model, prompt = prompted(llama())
    other = llama()
    given = GREEDY | {"do_sample": True, "num_return_sequences": 2}
    torch.manual_seed(5)
    ours = model.generate(words(), **given, **CACHES[caching])
    torch.manual_seed(5)
    theirs = other.generate(inputs_embeds=longer(other, prompt, words()), **given)
    assert torch.equal(ours[:, 7:], theirs)


@pytest.mark.parametrize("build", DECODERS)
def test_beams_are_the_same_with_every_cache(build: Build) -> None:
    model, prompt = prompted(build())
    given = GREEDY | {"num_beams": 3, "num_return_sequences": 2, "return_dict_in_generate": True}
    found = [
        model.generate(words(), output_scores=True, **given, **CACHES[caching])
        for caching in ("none", "dynamic", "static")
    ]
    for other in found[1:]:
        assert torch.equal(found[0].sequences, other.sequences)
    logits = expected(build(), prompt, found[0].sequences)[:, 6:-1].log_softmax(-1)
    chosen = logits.gather(-1, found[0].sequences[:, 7:, None]).sum((1, 2)) / (7 + NEW)
    scores = found[0].sequences_scores
    ratio = scores / chosen
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-4, atol=0)


def test_rows_that_beams_repeat_keep_their_prompts() -> None:
    model, prompt = prompted(llama(), rows=2)
    whole = model.generate(words(), num_beams=2, **GREEDY)
    for row in range(2):
        other, own = prompted(llama())
        own.data.copy_(prompt[row])
        alone = other.generate(words()[row : row + 1], num_beams=2, **GREEDY)
        assert torch.equal(whole[row : row + 1], alone)


@pytest.mark.parametrize("build", DECODERS)
def test_drafts_are_checked_against_the_prompted_model(build: Build) -> None:
    model, prompt = prompted(build())
    ids = words(rows=1)
    wanted = greedy(build(), prompt, ids)
    for draft in ({"assistant_model": build()}, {"prompt_lookup_num_tokens": 2}):
        assert torch.equal(model.generate(ids, **GREEDY, **draft), wanted)
    assert torch.equal(model.generate(ids, assistant_model=prompted(build())[0], **GREEDY), wanted)


@pytest.mark.parametrize("build", [t5, bart])
class TestEncoderWithDecoder:
    """The decoder attends to an encoder output that keeps the new tokens."""

    def test_logits_and_loss(self, build: Build) -> None:
        model, prompt, mask = _paired(build)
        memory, wide = _memory(build, prompt, mask)
        target = words(length=5)
        with torch.no_grad():
            ours = model(words(), attention_mask=mask, labels=target)
            theirs = build()(encoder_outputs=memory, attention_mask=wide, labels=target)
        assert torch.equal(ours.logits, theirs.logits)
        assert torch.equal(ours.loss, theirs.loss)
        model(words(), attention_mask=mask, labels=target).loss.backward()
        assert prompt.grad is not None
        assert prompt.grad.abs().sum(-1).min() > 0

    @pytest.mark.parametrize("caching", ["dynamic", "static", "none"])
    def test_greedy(self, build: Build, caching: str) -> None:
        model, prompt, mask = _paired(build)
        memory, wide = _memory(build, prompt, mask)
        text = torch.zeros(2, 1, dtype=torch.long)
        for _ in range(NEW):
            with torch.no_grad():
                output = build()(
                    encoder_outputs=memory, attention_mask=wide, decoder_input_ids=text
                )
            text = torch.cat((text, output.logits[:, -1].argmax(-1, keepdim=True)), 1)
        ours = model.generate(words(), attention_mask=mask, **GREEDY, **CACHES[caching])
        assert torch.equal(ours, text)

    def test_beams(self, build: Build) -> None:
        model, prompt, mask = _paired(build)
        memory, wide = _memory(build, prompt, mask)
        theirs = build().generate(
            encoder_outputs=memory, attention_mask=wide, num_beams=3, **GREEDY
        )
        ours = model.generate(words(), attention_mask=mask, num_beams=3, **GREEDY)
        assert torch.equal(ours, theirs)


def test_an_encoder_that_scales_ids_scales_no_prompt() -> None:
    model, prompt, mask = _paired(marian)
    other = marian()
    embeddings = longer(other.get_encoder(), prompt, words())
    embeddings[:, LENGTH:] *= other.get_encoder().embed_scale
    with torch.no_grad():
        states = other.get_encoder()(inputs_embeds=embeddings, attention_mask=wider(mask))
        theirs = other(
            encoder_outputs=states, attention_mask=wider(mask), decoder_input_ids=words()
        )
        ours = model(words(), attention_mask=mask, decoder_input_ids=words())
    assert torch.equal(ours.logits, theirs.logits)


def _paired(build: Build) -> tuple[PreTrainedModel, torch.nn.Parameter, Tensor]:
    """A model with a prompt before its encoder, the prompt, and a mask of some padding."""
    model = build()
    model, prompt = prompted(model, stem=model.get_encoder())
    decoder = model.get_decoder()
    change(decoder, memory_names(type(decoder), PROMPTS))
    mask = torch.ones_like(words())
    mask[0, -3:] = 0
    return model, prompt, mask


def _memory(build: Build, prompt: Tensor, mask: Tensor) -> tuple[object, Tensor]:
    """What the encoder makes of the longer text, and its mask."""
    embeddings = longer(build().get_encoder(), prompt, words())
    with torch.no_grad():
        return build().get_encoder()(inputs_embeds=embeddings, attention_mask=wider(mask)), wider(
            mask
        )
