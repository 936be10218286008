"""What stands before the text is seen by all of it, and by nothing of it that is not read."""

import pytest
import torch
from torch import Tensor

from ..models import bert, gpt2, llama, sdpa
from ..runtime.prompt_models import mistral, t5
from .tuned import BUILDS, IDS, LEFT, RIGHT, SPECS, Build, assert_near, named, output, tuned

SPEC = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
MASKED = (llama, mistral, gpt2, t5, bert)
# Padding lies between a prompt and the text: T5 computes the distance, Mistral's window counts it.
APART = ((t5, "prompt"), (t5, "p_tuning"), (t5, "combined"))
APART += ((mistral, "prompt"), (mistral, "p_tuning"), (mistral, "combined"))
PADDED_LEFT = [
    pytest.param(build, spec, id=f"{build.__name__}-{name}")
    for build in MASKED
    for name, spec in SPECS.items()
    if (build, name) not in APART
]


def counted(mask: Tensor) -> Tensor:
    """Positions of a text after padding."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


@SPEC
@pytest.mark.parametrize("build", BUILDS, ids=named)
@torch.no_grad()
def test_every_token_sees_it(build: Build, spec: str) -> None:
    difference = output(tuned(build, spec)) - output(build().double())
    assert difference.abs().amax(-1).min() > 1e-4


@SPEC
@pytest.mark.parametrize("build", [llama, mistral, gpt2, sdpa], ids=named)
@torch.no_grad()
def test_without_a_mask_no_token_sees_a_later_one(build: Build, spec: str) -> None:
    model, changed = tuned(build, spec), IDS.clone()
    changed[:, 5] += 1
    before, after = output(model), output(model, changed % 64)
    assert_near(after[:, :5], before[:, :5])
    assert (after - before)[:, 5:].abs().amax(-1).min() > 1e-4


@SPEC
@pytest.mark.parametrize("build", MASKED, ids=named)
@torch.no_grad()
def test_a_mask_of_ones_is_none(build: Build, spec: str) -> None:
    model = tuned(build, spec)
    assert_near(output(model, attention_mask=torch.ones_like(IDS)), output(model))


@SPEC
@pytest.mark.parametrize("build", MASKED, ids=named)
@torch.no_grad()
def test_a_row_padded_on_the_right_is_the_row_alone(build: Build, spec: str) -> None:
    model = tuned(build, spec)
    kept = slice(None, 5) if build is t5 else slice(None, 6)
    found = output(model, attention_mask=RIGHT)[:1, kept]
    assert_near(found, output(model, IDS[:1, :6])[:, kept])


@pytest.mark.parametrize(("build", "spec"), PADDED_LEFT)
@torch.no_grad()
def test_a_row_padded_on_the_left_is_the_row_alone(build: Build, spec: str) -> None:
    model = tuned(build, spec)
    given = {} if build is t5 else {"position_ids": counted(LEFT)}
    kept = slice(None) if build is t5 else slice(3, None)
    found = output(model, attention_mask=LEFT, **given)[:1, kept]
    assert_near(found, output(model, IDS[:1, 3:]))


@SPEC
@pytest.mark.parametrize("mask", [None, LEFT, RIGHT], ids=["none", "left", "right"])
@pytest.mark.parametrize("build", MASKED, ids=named)
@torch.no_grad()
def test_eager_attention_computes_the_same(build: Build, spec: str, mask: Tensor | None) -> None:
    # Eager attention of the Llama family masks whole rows in 32 bits, or they are not finite.
    wide = build not in (llama, mistral)
    model = tuned(build, spec).to(torch.float64 if wide else torch.float32)
    assert model.config._attn_implementation == "sdpa"
    expected = output(model, attention_mask=mask)
    model.set_attn_implementation("eager")
    found = output(model, attention_mask=mask)
    kept = ... if mask is None or build is t5 else mask.bool()
    assert not torch.equal(found, expected)
    assert_near(found[kept], expected[kept], 1e-12 if wide else 1e-5)
