"""Rows whose prompts have different lengths generate, in one batch, what they generate alone."""

import pytest
import torch
from torch import Tensor
from transformers import CompileConfig, DynamicCache, PreTrainedModel, StaticCache
from transformers.cache_utils import Cache

import pefc

from ..models import gpt2, llama
from ..runtime.prompt_models import bart, gemma, marian, mistral, t5
from .rowwise import (
    CACHES,
    DECODERS,
    GREEDY,
    IDS,
    NAMES,
    NEW,
    TEXT,
    WINDOWED,
    Build,
    bamba,
    each_alone,
    left_padded,
    tasked,
)

CLOSE = {"atol": 1e-10, "rtol": 0}


def _alone(model: PreTrainedModel, mask: Tensor | None = None, **given: object) -> Tensor:
    """The tokens that each row generates alone, over a cache that grows."""

    def call(row: int, ids: Tensor) -> Tensor:
        own = None if mask is None else mask[row : row + 1]
        return model.generate(ids, attention_mask=own, **GREEDY, **given)

    return torch.cat(each_alone(model, IDS, call))


def _mixed(model: PreTrainedModel, ids: Tensor = IDS, **given: object) -> Tensor:
    with pefc.tasks(model, NAMES):
        return model.generate(ids, **GREEDY | given)


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("caching", CACHES)
def test_greedy(build: Build, caching: str) -> None:
    model = tasked(build)
    assert torch.equal(_mixed(model, **CACHES[caching]), _alone(model))


@pytest.mark.parametrize("build", [llama, gpt2])
@pytest.mark.parametrize("caching", CACHES)
def test_greedy_after_padding_is_greedy_without(build: Build, caching: str) -> None:
    model, mask = tasked(build), left_padded()
    texts = _mixed(model, attention_mask=mask, **CACHES[caching])

    def call(row: int, ids: Tensor) -> Tensor:
        return model.generate(ids[:, mask[row].bool()], **GREEDY)[:, -NEW:]

    assert torch.equal(texts[:, TEXT:], torch.cat(each_alone(model, IDS, call)))


@pytest.mark.parametrize("build", [*WINDOWED, bamba])
@pytest.mark.parametrize("caching", CACHES)
def test_windows_and_states_count_the_padding_of_a_text(build: Build, caching: str) -> None:
    model, mask = tasked(build), left_padded()
    texts = _mixed(model, attention_mask=mask, **CACHES[caching])
    assert torch.equal(texts, _alone(model, mask))


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("caching", ["dynamic", "static"])
def test_eager_attention(build: Build, caching: str) -> None:
    """In single precision: eager attention of transformers knows no padding in double."""
    model, mask = tasked(build).float(), left_padded()
    model.set_attn_implementation("eager")
    for hidden in (None, mask):
        texts = _mixed(model, attention_mask=hidden, **CACHES[caching])
        assert torch.equal(texts, _alone(model, hidden))


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("caching", ["dynamic", "static"])
def test_beams(build: Build, caching: str) -> None:
    model, mask = tasked(build), left_padded()
    beams = {"num_beams": 3, "num_return_sequences": 2}
    for hidden in (None, mask):
        texts = _mixed(model, attention_mask=hidden, **beams, **CACHES[caching])
        assert torch.equal(texts, _alone(model, hidden, **beams))


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("caching", ["dynamic", "static"])
def test_samples_come_from_the_logits_of_their_rows(build: Build, caching: str) -> None:
    model, samples = tasked(build), 3
    torch.manual_seed(5)
    given = {"do_sample": True, "num_return_sequences": samples, "output_logits": True}
    found = _mixed(model, return_dict_in_generate=True, **given, **CACHES[caching])
    texts = found.sequences.unflatten(0, (len(NAMES), samples))
    logits = torch.stack(found.logits, 1).unflatten(0, (len(NAMES), samples))
    assert len(texts.flatten(0, 1).unique(dim=0)) == len(NAMES) * samples

    def call(row: int, _: Tensor) -> Tensor:
        return model(texts[row], use_cache=False).logits[:, TEXT - 1 : -1].detach()

    # `generate` keeps logits in single precision.
    alone = torch.stack(each_alone(model, IDS, call)).float()
    torch.testing.assert_close(logits, alone, atol=1e-10, rtol=2**-23)


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("static", [False, True])
def test_generation_goes_on_from_a_cache(build: Build, *, padded: bool, static: bool) -> None:
    model = tasked(build)
    mask = left_padded() if padded else torch.ones_like(IDS)
    cache = _cache(model, static=static)
    part = _mixed(model, attention_mask=mask, past_key_values=cache, max_new_tokens=2)
    longer = torch.cat((mask, mask.new_ones(len(mask), 2)), 1)
    given = {"attention_mask": longer, "past_key_values": cache, "max_new_tokens": NEW - 2}
    assert torch.equal(_mixed(model, part, **given), _alone(model, mask))


@pytest.mark.parametrize("build", DECODERS)
def test_a_static_cache_serves_again_after_a_reset(build: Build) -> None:
    model = tasked(build)
    cache, wanted = _cache(model, static=True), _alone(model)
    for _ in range(2):
        assert torch.equal(_mixed(model, past_key_values=cache), wanted)
        cache.reset()


@pytest.mark.parametrize("build", DECODERS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("piece", [TEXT, 3])
def test_a_loop_by_hand(build: Build, *, masked: bool, static: bool, piece: int) -> None:
    """A prefill, of the whole text or of pieces, and steps: with a mask over the text or without,
    and without positions.
    """
    model = tasked(build)
    mask = left_padded() if masked else None
    with pefc.tasks(model, NAMES):
        logits = _by_hand(model, IDS, _cache(model, static=static), mask, piece)

    def call(row: int, ids: Tensor) -> Tensor:
        own = None if mask is None else mask[row : row + 1]
        return _by_hand(model, ids, _cache(model, static=False), own, TEXT)

    alone = torch.cat(each_alone(model, IDS, call))
    shown = torch.ones_like(logits[..., 0]) if mask is None else _over(mask, logits.shape[1])
    torch.testing.assert_close(logits * shown[..., None], alone * shown[..., None], **CLOSE)


@torch.no_grad()
def _by_hand(
    model: PreTrainedModel, ids: Tensor, cache: Cache, mask: Tensor | None, piece: int
) -> Tensor:
    """The logits at the tokens of a text and at the likeliest tokens after it."""
    found, pieces = [], list(ids.split(piece, 1))
    while pieces:
        seen = sum(one.shape[1] for one in found) + pieces[0].shape[1]
        own = None if mask is None else _over(mask, seen)
        logits = model(pieces.pop(0), attention_mask=own, past_key_values=cache).logits
        found.append(logits)
        if not pieces and seen < TEXT + NEW:
            pieces.append(logits[:, -1:].argmax(-1))
    return torch.cat(found, 1)


def _over(mask: Tensor, tokens: int) -> Tensor:
    """The mask over so many tokens of a text, which goes on without padding."""
    return torch.nn.functional.pad(mask, (0, max(tokens - TEXT, 0)), value=1)[:, :tokens]


@pytest.mark.parametrize(("build", "chunk"), [(gpt2, None), (gemma, 3)])
def test_generate_compiles_its_steps(build: Build, chunk: int | None) -> None:
    torch.compiler.reset()
    model = tasked(build)
    config = CompileConfig(fullgraph=True, backend="eager", mode=None)
    config._compile_all_devices = True
    given = {"cache_implementation": "static", "prefill_chunk_size": chunk}
    texts = _mixed(model, compile_config=config, **given)
    torch.compiler.reset()
    assert torch.equal(texts, _alone(model))


@pytest.mark.parametrize("build", [mistral, gpt2])
def test_decoding_by_hand_from_a_static_cache_is_one_graph(build: Build) -> None:
    torch.compiler.reset()
    model = tasked(build)
    with pefc.tasks(model, NAMES), torch.no_grad():
        plain = _by_hand(model, IDS, _cache(model, static=True), None, TEXT)
        cache = _cache(model, static=True)
        model(IDS, past_key_values=cache)
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        token = plain[:, TEXT - 1].argmax(-1, keepdim=True)
        for step in range(TEXT, TEXT + NEW):
            logits = compiled(token, past_key_values=cache).logits
            torch.testing.assert_close(logits[:, -1], plain[:, step], **CLOSE)
            token = logits[:, -1:].argmax(-1)
    torch.compiler.reset()


@pytest.mark.parametrize("build", [t5, bart, marian])
@pytest.mark.parametrize("caching", ["dynamic", "static", "none"])
class TestEncoderWithDecoder:
    """The decoder attends to a memory in which rows with fewer new tokens are padded."""

    def test_greedy(self, build: Build, caching: str) -> None:
        model, mask = tasked(build), left_padded().flip(1)
        for hidden in (None, mask):
            texts = _mixed(model, attention_mask=hidden, **CACHES[caching])
            assert torch.equal(texts, _alone(model, hidden))

    def test_beams(self, build: Build, caching: str) -> None:
        model, beams = tasked(build), {"num_beams": 3, "num_return_sequences": 2}
        texts = _mixed(model, **beams, **CACHES[caching])
        assert torch.equal(texts, _alone(model, **beams))


def _cache(model: PreTrainedModel, *, static: bool) -> Cache:
    if static:
        return StaticCache(config=model.config, max_cache_len=TEXT + NEW)
    return DynamicCache(config=model.config)
