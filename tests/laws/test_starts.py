"""What a plan says of where outputs start, and of merging, for methods drawn at random."""

import re
import warnings
from copy import deepcopy
from functools import cache
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

import pefc
from pefc.compiler.lower.method.signatures import LinearFacts
from pefc.compiler.model.sites import SiteTable
from pefc.compiler.plan import planner as planning
from pefc.compiler.prove.identity import Identity

from ..models import perturb, words
from .compositions import compositions
from .formulas import Case, case, cases, examples
from .grown import formulas
from .vanishing import vanishing

DTYPES = (torch.float32, torch.bfloat16)
ROUNDINGS = 16
"""Units in the last place of the largest output that a method which changes nothing may be away."""
TOGETHER = {"no-weight", "no-bias", "formula-failed"}
"""What may be said of methods that do not go together, or of ranks that a site is too small for."""


class Mapped(nn.Module):
    """One linear map behind an embedding."""

    def __init__(self, facts: LinearFacts) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.e = nn.Embedding(64, facts.inputs)
        if facts.transposed:
            self.map: nn.Module = Conv1D(facts.outputs, facts.inputs)
            nn.init.normal_(self.map.weight)
            nn.init.normal_(self.map.bias)
        else:
            self.map = nn.Linear(facts.inputs, facts.outputs, bias=facts.bias)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.map(self.e(input_ids))


@cache
def base(facts: LinearFacts) -> tuple[nn.Module, SiteTable]:
    model = Mapped(facts).eval()
    return model, planning.find_sites(model)


def compiled(of: Case) -> pefc.Program | None:
    """The methods of a case on a model of its own; None where they do not go together."""
    model, table = base(of.facts)
    spec = of.spec.replace("on linear as", "on map as")
    with patch.object(planning, "find_sites", lambda _model: table):
        try:
            return pefc.compile(spec, deepcopy(model))
        except pefc.SpecError as error:
            if not {found.code() for found in error.diagnostics} <= TOGETHER:
                raise
            return None


def worst(program: pefc.Program) -> Identity:
    order = (Identity.EXACT, Identity.ROUNDING, Identity.CHANGES)
    verdicts = (planned.verdict.identity for planned in program.plan.attachments)
    return max(verdicts, key=order.index)


def output(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(words())


def check_start(of: Case) -> None:
    """Whether the model starts as its plan says, in each dtype."""
    program = compiled(of)
    if program is None:
        return
    verdict = worst(program)
    for dtype in DTYPES:
        model = deepcopy(program.model).to(dtype)
        before = output(model)
        after = output(pefc.Program(program.plan, model).apply())
        assert after.dtype == dtype
        if verdict is Identity.EXACT:
            assert torch.equal(before, after)
        elif verdict is Identity.ROUNDING:
            apart = float((after - before).abs().max() / before.abs().max())
            assert apart <= ROUNDINGS * torch.finfo(dtype).eps


def check_merge(of: Case) -> None:
    """Whether the model merges where its plan says so, and nowhere else."""
    program = compiled(of)
    if program is None:
        return
    before = output(program.model)
    model = program.apply()
    perturb(model)
    adapted = output(model)
    if not adapted.isfinite().all():
        return
    if not all(planned.merges for planned in program.plan.attachments):
        with pytest.raises(pefc.SpecError, match=r"not-affine|no-bias-to-merge"):
            pefc.merge(model)
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*before its ranks are allocated")
        pefc.merge(model)
    size = torch.stack([before, adapted]).abs().max()
    assert (output(model) - adapted).abs().max() <= 1e-4 * size


@settings(max_examples=examples(24))
@given(of=compositions(sliced=False))
def test_compositions_start_as_the_plan_says(of: Case) -> None:
    check_start(of)


@settings(max_examples=examples(24))
@given(of=formulas() | cases(sliced=False))
def test_formulas_start_as_the_plan_says(of: Case) -> None:
    check_start(of)


@settings(max_examples=examples(24))
@given(of=vanishing())
def test_what_starts_as_no_number_is_not_called_unchanged(of: Case) -> None:
    check_start(of)


BARE = {
    "weight += B @ diag(z / (z + 1)) @ A": "exact",
    "weight += B @ log(abs(A) + 0.5)": "exact",
    "weight += B @ diag(sqrt(sum(A ** 2, in))) @ A": "exact",
    "weight += B @ (A / clamp(norm(B), 1e-4))": "exact",
    "weight = diag(norm(W + B @ A, in) / norm(W + B @ A, in)) @ W": "rounding",
    "weight += B @ diag(sqrt(n)) @ A": "changes",
    "weight += B @ diag(log(z)) @ A": "changes",
    "weight += B @ diag(z / z) @ A": "changes",
    "weight += B @ diag(z // z) @ A": "changes",
    "weight += B @ diag(n ** 0.5) @ A": "changes",
    "weight += B @ diag(z ** -1) @ A": "changes",
    "weight += B @ diag(exp(n * -1000)) @ A": "changes",
    "weight += B @ exp(tanh(A))": "exact",
    "weight += B @ exp(100 * A)": "changes",
    "weight += B @ sqrt(A)": "changes",
    "weight += B @ (A / norm(B))": "changes",
    "weight += B @ (A / norm(relu(n)))": "changes",
    "weight += drift(B @ diag(log(z)) @ A)": "changes",
    "weight = (W / W) * W": "changes",
    "output += log(x @ A.T) @ B.T": "changes",
    "output += 0 * sqrt(y)": "changes",
    "q: [r] = log(z)\n  weight += B @ diag(q) @ A": "changes",
    "q: [r] = log(z)\n  u: [r] = 0 * q\n  weight += B @ diag(u) @ A": "changes",
}
"""Rules of a method, and what is to be said of where they start."""
TENSORS = {"A": "[r, in] ~ normal(0, 1)", "B": "[out, r] = 0", "n": "[r] = -1", "z": "[r] = 0"}


def own(rule: str) -> Case:
    """One rule, and the tensors that it names."""
    named = set(re.findall(r"\w+", rule))
    declared = "\n  ".join(f"{n}: {of}" for n, of in TENSORS.items() if n in named)
    rank = "r: int = 2" if declared else ""
    text = f"method own({rank}) on linear {{\n  {declared}\n  {rule}\n}}\nown on linear as m0"
    return case(LinearFacts(8, 12, bias=True, transposed=False), text)


@pytest.mark.parametrize("rule", BARE)
def test_what_vanishes_in_a_proof_is_a_number(rule: str) -> None:
    of = own(rule)
    program = compiled(of)
    assert program is not None
    assert worst(program) == BARE[rule]
    check_start(of)


@settings(max_examples=examples(24))
@given(of=compositions(sliced=False))
def test_compositions_merge_where_the_plan_says(of: Case) -> None:
    check_merge(of)


@settings(max_examples=examples(24))
@given(of=st.booleans().flatmap(lambda affine: formulas(affine=affine)) | cases(sliced=False))
def test_formulas_merge_where_the_plan_says(of: Case) -> None:
    check_merge(of)


def test_a_stack_merges() -> None:
    rule = "weight += stack(B @ A, 2 * W)[1]"
    check_merge(own(rule))
