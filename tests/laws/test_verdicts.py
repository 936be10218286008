"""What a plan says of a method is what merging it says."""

from collections.abc import Callable

import pytest
from torch import nn
from torch.testing import assert_close

import pefc

from ..models import gpt2, llama, output, perturb, plain
from .compositions import linear_methods
from .test_identity import calls

OWN = """
method own(n: int = 4) on linear {
  Q: [in / n, n, n] = 0
  input = x @ block_diag(eye(n) + Q)
}
"""
REMARKS = {"no-bias", "requirement-failed"}
"""What a method may miss on one of the models."""


def codes(error: pefc.SpecError) -> set[str]:
    return {diagnostic.code() for diagnostic in error.diagnostics}


@pytest.mark.filterwarnings("ignore:.*before its ranks are allocated")
@pytest.mark.parametrize("build", [llama, gpt2, plain], ids=lambda build: build.__name__)
def test_what_merges_is_what_merge_takes(build: Callable[[], nn.Module]) -> None:
    base = build().double()
    for call in [*(c for c in calls() if c.partition("(")[0] in linear_methods()), "own"]:
        model = build().double()
        try:
            program = pefc.compile(f"{OWN}{call} on linear", model)
        except pefc.SpecError as error:
            if not codes(error) <= REMARKS:
                raise
            continue
        program.apply()
        perturb(model)
        merges = all(planned.merges for planned in program.plan.attachments)
        adapted = output(model)
        if not merges:
            with pytest.raises(pefc.SpecError, match="no-bias-to-merge"):
                pefc.merge(model)
            continue
        assert_close(output(pefc.merge(model)), adapted, rtol=1e-8, atol=1e-9, msg=call)
        assert not output(base).equal(adapted), call


def test_a_constant_without_a_bias_is_said_before_it_is_refused() -> None:
    for call in ("ssf", "beft"):
        (verdict,) = {
            planned.verdict for planned in pefc.plan(f"{OWN}{call} on attn.q", llama()).attachments
        }
        assert (verdict.merges, verdict.lacks_bias) == (False, True)
        (verdict,) = {
            planned.verdict for planned in pefc.plan(f"{OWN}{call} on attn.q", plain()).attachments
        }
        assert verdict.merges
