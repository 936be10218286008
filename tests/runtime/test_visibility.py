import pytest
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv
from transformers.masking_utils import flash_attention_mask

from pefc.runtime.attention.masks import visible, widened

from .prefixed import LENGTH, WINDOW, llama, mistral, patched, referring, seeded, t5

IDS = torch.randint(2, 64, (2, 9), generator=torch.Generator().manual_seed(4))
LEFT, RIGHT = torch.ones_like(IDS), torch.ones_like(IDS)
LEFT[0, :3] = 0
RIGHT[0, 6:] = 0


def flash(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    sliding_window: int | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """What flash attention computes: padding is cut out of each row, and queries and keys are
    aligned by their last ones.
    """
    key, value = (repeat_kv(x, module.num_key_value_groups) for x in (key, value))
    context, (queries, keys) = torch.zeros_like(query), (query.shape[2], key.shape[2])
    for row in range(query.shape[0]):
        real = torch.ones(keys) if attention_mask is None else attention_mask[row]
        assert real.shape == (keys,)
        k, asked = real.bool(), (real[-queries:] if queries > 1 else torch.ones(1)).bool()
        order = torch.arange(int(k.sum()))
        ahead = order[None, :] - order[-int(asked.sum()) :, None]
        hidden = ahead > 0
        if sliding_window is not None and keys > sliding_window:
            hidden |= ahead <= -sliding_window
        scores = query[row][:, asked] @ key[row][:, k].transpose(1, 2) * scaling
        weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
        context[row, :, asked] = weights @ value[row][:, k]
    return context.transpose(1, 2), None


AttentionInterface.register("flash_by_definition", flash)
AttentionMaskInterface.register("flash_by_definition", flash_attention_mask)


def flashing(model: nn.Module) -> nn.Module:
    """A patched copy whose attention is flash attention; what the library asks about the package
    of that name does not matter here.
    """
    tuned = patched(model)
    tuned.config._attn_implementation = "flash_by_definition"
    return tuned


@pytest.mark.parametrize("mask", [None, LEFT, RIGHT], ids=["full", "left", "right"])
@pytest.mark.parametrize("make", [llama, mistral])
@torch.no_grad()
def test_flash_attention(make: object, mask: Tensor | None) -> None:
    model = seeded(make)
    kept = ... if mask is None else mask.bool()
    actual = flashing(model)(IDS, attention_mask=mask).logits[kept]
    expected = referring(model)(IDS, attention_mask=mask).logits[kept]
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [llama, mistral])
def test_flash_attention_decodes(make: object) -> None:
    model, wanted = seeded(make), {"do_sample": False, "max_new_tokens": 8}
    actual = flashing(model).generate(IDS, attention_mask=LEFT, **wanted)
    assert torch.equal(actual, patched(model).generate(IDS, attention_mask=LEFT, **wanted))


def test_what_flash_attention_cannot_do_is_refused() -> None:
    module, q = nn.Module(), torch.zeros(1, 2, 9, 4)
    keys = torch.zeros(1, 2, 9 + LENGTH, 4)
    lengths = torch.tensor([0, 4, 9])
    for options in (
        {"cu_seq_lens_q": lengths, "cu_seq_lens_k": lengths},
        {"position_ids": torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 4]])},
    ):
        with pytest.raises(ValueError, match="packed sequences cannot read a prefix"):
            widened("flash_attention_2", module, q, keys, None, options, LENGTH)
    window = {"sliding_window": WINDOW, "softcap": 30.0}
    with pytest.raises(ValueError, match="window of 4 keys and soft caps or sinks cannot"):
        widened("flash_attention_2", module, q, keys, None, window, LENGTH)


@pytest.mark.parametrize("option", ["cache", "indices", "block_indices"])
def test_attention_that_picks_its_keys_is_refused(option: str) -> None:
    q, keys = torch.zeros(1, 2, 9, 4), torch.zeros(1, 2, 9 + LENGTH, 4)
    with pytest.raises(ValueError, match=f"picks its keys by `{option}` cannot read a prefix"):
        widened("sdpa", nn.Module(), q, keys, None, {option: object()}, LENGTH)


def test_masks_that_broadcast() -> None:
    row = torch.tensor([[[[False]]], [[[True]]]])
    assert visible(row, 2, 1).tolist() == [[[[True, False, False]]], [[[True, True, True]]]]
    assert visible(torch.tensor([[-7.0, 3.0]]), 2, 2).tolist() == [[0.0, 0.0, -7.0, 3.0]]
    assert visible(torch.tensor([[0, 1]]), 2, 1).tolist() == [[1, 0, 1]]


def flexible(model: nn.Module) -> nn.Module:
    tuned = patched(model)
    tuned.set_attn_implementation("flex_attention")
    return tuned


# torch, asked to compile, warns of what it and transformers deprecate.
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("make", "rows"), [(mistral, 2), (t5, 1)])
@torch.no_grad()
def test_flex_attention(make: object, rows: int) -> None:
    """By what the kernel stands for, in 32 bits. T5 runs on one row, because its bias has one."""
    model, ids, mask = seeded(make, torch.float32), IDS[:rows], LEFT[:rows]
    given = {"input_ids": ids, "attention_mask": mask}
    given |= {"decoder_input_ids": ids[:, :5]} if make is t5 else {}
    tuned, kept = flexible(model), ... if make is t5 else mask.bool()
    with torch.compiler.set_stance("force_eager"):
        actual, expected = tuned(**given)[0][kept], referring(model)(**given)[0][kept]
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
        if make is mistral:
            wanted = {"do_sample": False, "max_new_tokens": 4, "attention_mask": mask}
            texts = tuned.generate(ids, **wanted)
            assert torch.equal(texts, referring(model).generate(ids, **wanted))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("make", "rows"), [(mistral, 2), (t5, 1)])
@torch.no_grad()
def test_the_kernel_of_flex_attention(make: object, rows: int) -> None:
    """Of T5 the encoder alone: each shape takes a kernel of its own, and many seconds."""
    torch.compiler.reset()
    model, ids, mask = seeded(make, torch.float32), IDS[:rows], LEFT[:rows]
    tuned, reference = flexible(model), referring(model)
    if make is t5:
        tuned, reference = tuned.encoder, reference.encoder
    actual, expected = (each(ids, attention_mask=mask)[0] for each in (tuned, reference))
    torch.testing.assert_close(actual[mask.bool()], expected[mask.bool()], rtol=0, atol=1e-5)
