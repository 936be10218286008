from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel, StaticCache

from .prefixed import gpt2, llama, mistral, patched, seeded, t5

Make = Callable[[], PreTrainedModel]
IDS = torch.randint(2, 64, (2, 9), generator=torch.Generator().manual_seed(1))
LEFT = torch.ones_like(IDS)
LEFT[0, :3] = 0
NEW = 8
CACHED = [(llama, "dynamic"), (llama, "static"), (mistral, "dynamic"), (mistral, "static")]


def tuned(make: Make, implementation: str = "sdpa") -> nn.Module:
    model = patched(seeded(make))
    model.set_attn_implementation(implementation)
    return model


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("mask", [torch.ones_like(IDS), LEFT], ids=["full", "left"])
@pytest.mark.parametrize(("make", "cache"), [*CACHED, (gpt2, "dynamic"), (t5, "dynamic")])
def test_cached_decoding_is_the_full_forward(
    make: Make, cache: str, mask: Tensor, implementation: str
) -> None:
    model = tuned(make, implementation)
    wanted = {"do_sample": False, "max_new_tokens": NEW, "output_logits": True}
    wanted["return_dict_in_generate"] = True
    given = {"input_ids": IDS, "attention_mask": mask, **wanted}
    cached = model.generate(**given, cache_implementation=cache)
    plain = model.generate(**given, use_cache=False)
    assert torch.equal(cached.sequences, plain.sequences)
    assert len(cached.logits) == NEW
    atol = 1e-12 if implementation == "sdpa" else 1e-5
    torch.testing.assert_close(cached.logits, plain.logits, rtol=0, atol=atol)


def test_padding_on_the_left_changes_nothing() -> None:
    model = tuned(llama)
    wanted = {"do_sample": False, "max_new_tokens": NEW}
    padded = model.generate(IDS, attention_mask=LEFT, **wanted)
    alone = model.generate(IDS[:1, 3:], attention_mask=LEFT[:1, 3:], **wanted)
    assert torch.equal(padded[0, 9:], alone[0, 6:])


@pytest.mark.parametrize("make", [llama, mistral])
@pytest.mark.parametrize("static", [False, True])
@torch.no_grad()
def test_right_padding_then_chunks(make: Make, static: bool) -> None:
    """A chunk of several tokens after a cached one: neither the first call nor a single query."""
    model = tuned(make)
    mask = torch.ones_like(IDS)
    mask[0, 7:] = 0
    expected = model(IDS, attention_mask=mask).logits
    cache = (
        StaticCache(model.config, max_cache_len=16) if static else DynamicCache(config=model.config)
    )
    pieces = [
        model(IDS[:, start:stop], attention_mask=mask[:, :stop], past_key_values=cache).logits
        for start, stop in [(0, 5), (5, 8), (8, 9)]
    ]
    torch.testing.assert_close(torch.cat(pieces, 1), expected, rtol=0, atol=1e-12)
    alone = model(IDS[:1, :7]).logits
    torch.testing.assert_close(expected[:1, :7], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [llama, t5])
@pytest.mark.parametrize(
    "search",
    [{"do_sample": True, "top_k": 20}, {"do_sample": False, "num_beams": 3}],
    ids=["sampling", "beams"],
)
def test_searches_do_not_depend_on_the_cache(make: Make, search: dict[str, object]) -> None:
    model, found = tuned(make), []
    for cached in (True, False):
        torch.manual_seed(3)
        given = {"attention_mask": LEFT, "max_new_tokens": NEW, "use_cache": cached, **search}
        found.append(model.generate(IDS, **given))
    assert torch.equal(*found)
    torch.manual_seed(3)
    base = seeded(make).generate(IDS, attention_mask=LEFT, max_new_tokens=NEW, **search)
    assert not torch.equal(base, found[0])
