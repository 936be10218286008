import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.fx import Graph  # noqa: TID251

import pefc
from pefc.compiler.lower.method.signatures import LinearFacts
from pefc.compiler.lower.patch import plain_patch
from pefc.compiler.lower.sites.linear import merged_parameters
from pefc.compiler.ops.functions import FUNCTIONS
from pefc.compiler.passes import LAST, PASSES, optimized, thinned
from pefc.compiler.passes.low_rank_norm import root
from pefc.compiler.passes.rewriter import copied

from . import grown
from .compositions import compositions
from .formulas import Case, Values, case, cases, examples
from .grown import formulas

REWRITES = {**{rewrite.name: rewrite for rewrite in (*PASSES, *LAST)}, "all": optimized}
PARTS = ("thin-norm", "all")
"""Of which the laws with many examples look at the whole, and at what has the most cases."""


def check(of: Case, seed: int, *, training: bool, names: Iterable[str] = tuple(REWRITES)) -> None:
    """Each pass alone, and all of them, keep what a patch computes and what gradients it gives.

    In 64 bits, because sums and products may change their order.
    """
    torch.manual_seed(seed)
    values = Values(of, training=training)
    graph = plain_patch(of.facts, of.members)
    before = computed(values, graph)
    assert before["y"].shape == (2, 3, of.facts.outputs)
    if not all(bool(value.isfinite().all()) for value in before.values()):
        return  # there is nothing to be compared
    for name in names:
        for what, after in computed(values, REWRITES[name](copied(graph))).items():
            apart = float((after - before[what]).abs().max())
            size = float(before[what].abs().max())
            assert apart <= 1e-9 * size + 1e-11, f"{name}: {what} is {apart} of {size} away"


def computed(values: Values, graph: Graph) -> dict[str, torch.Tensor]:
    """y, and the gradients of a sum of its entries by x and all tensors."""
    x = torch.randn(2, 3, values.facts.inputs, dtype=torch.float64, generator=_generator())
    tensors = {name: t for name, t in values.known.items() if t.is_floating_point()}
    leaves = {"x": x, **tensors}
    for leaf in leaves.values():
        leaf.requires_grad_()
    y = values.run(graph, x)
    assert isinstance(y, torch.Tensor)
    weights = torch.randn(y.shape, dtype=y.dtype, generator=_generator())
    found = torch.autograd.grad((y * weights).sum(), list(leaves.values()), allow_unused=True)
    pairs = zip(leaves.items(), found, strict=True)
    return {
        "y": y.detach(),
        **{n: torch.zeros_like(leaf) if g is None else g for (n, leaf), g in pairs},
    }


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@settings(max_examples=examples(25))
@given(of=cases(), seed=st.integers(0, 99), training=st.booleans())
def test_every_pass_keeps_what_a_patch_computes(of: Case, seed: int, training: bool) -> None:
    check(of, seed, training=training)


@settings(max_examples=examples(60))
@given(of=compositions(), seed=st.integers(0, 99), training=st.booleans())
def test_passes_keep_compositions(of: Case, seed: int, training: bool) -> None:
    check(of, seed, training=training, names=PARTS)


@settings(max_examples=examples(12))
@given(of=compositions(), seed=st.integers(0, 99), training=st.booleans())
def test_every_pass_keeps_compositions(of: Case, seed: int, training: bool) -> None:
    check(of, seed, training=training)


@settings(max_examples=examples(80))
@given(of=formulas(), seed=st.integers(0, 99), training=st.booleans())
def test_passes_keep_any_formula(of: Case, seed: int, training: bool) -> None:
    check(of, seed, training=training, names=PARTS)


@settings(max_examples=examples(20))
@given(of=formulas(), seed=st.integers(0, 99), training=st.booleans())
def test_every_pass_keeps_any_formula(of: Case, seed: int, training: bool) -> None:
    check(of, seed, training=training)


def test_random_formulas_use_every_function_of_linear_maps() -> None:
    """Functions of other sites and of initial values aside."""
    text = Path(grown.__file__).read_text(encoding="utf-8")
    elsewhere = {"svd", "qr", "factors", "int"}
    named = {name for name in FUNCTIONS if re.search(rf'\b{name}\(|"{name}"', text)}
    assert set(FUNCTIONS) - named == elsewhere


@settings(max_examples=examples(60))
@given(of=cases() | compositions() | formulas(), seed=st.integers(0, 99))
def test_merged_parameters_stay_what_they_are(of: Case, seed: int) -> None:
    torch.manual_seed(seed)
    values = Values(of, training=False)
    graph = merged_parameters(of.facts, of.members)
    for after, before in zip(values.run(thinned(graph)), values.run(graph), strict=True):  # pyright: ignore[reportArgumentType]
        assert (after is None) == (before is None)
        if before is not None:
            torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-11)


METHOD = """
method own({}) on linear {{
  {}
}}
own on linear
"""
THIN = "A: [r, in] ~ normal(0, 1)\n  B: [out, r] ~ normal(0, 1)\n  "

CIRCULANT = "k: [out / 3, in / 3, 3] ~ normal(0, 1)\n  "
HARD = {
    "blocks are circulant": CIRCULANT + "weight = circulant(k) / 2 + W",
    "a circulant matrix stands in a product": CIRCULANT
    + "g: [in] ~ normal(0, 1)\n  weight += circulant(k) @ diag(g)",
    "a Kronecker product stands for the weight": "C: [3, 2] ~ normal(0, 1)\n"
    "  D: [out / 3, in / 2] ~ normal(0, 1)\n  weight = kron(C, D)",
    "a product is summed twice": THIN + "weight = diag(1 / norm(W + B @ A + B @ A, in)) @ W",
    "a row is broadcast in a norm": THIN
    + "v: [in] = 0\n  weight = diag(1 / norm(v + B @ A, in)) @ W",
    "a row is added to the weight": "v: [in] = 0\n  weight += v",
    "a column is added under dropout": "v: [out, 1] = 0\n  weight += v over dropout(0.5)",
    "a number is added under dropout": "weight += 0.5 over dropout(0.5)",
    "W is taken away where no bias is left": "c: [out] = 0\n  bias = c\n"
    "  weight -= W over dropout(0.5)",
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("what", HARD)
def test_passes_leave_alone_what_only_looks_like_their_form(
    what: str, bias: bool, training: bool
) -> None:
    of = case(
        LinearFacts(6, 9, bias, transposed=False),
        METHOD.format("r: int = 2" if "r," in HARD[what] else "", HARD[what]),
    )
    check(of, 0, training=training)


WRONG = {
    "weight = norm(W, in)": "weight",
    "output = c": "output",
    "input = x @ W.T": "input",
    "bias += W": "do not fit",
    "output = c / (2 - 2) * y": "divides by zero",
    "weight += W.T": "do not fit",
}


@pytest.mark.parametrize("rule", WRONG)
def test_a_rule_that_changes_a_shape_is_a_diagnostic(rule: str) -> None:
    tensors = "c: [out] = 0\n  " if "c" in rule.split() else ""
    of = case(LinearFacts(7, 9, True, transposed=False), METHOD.format("", tensors + rule))
    with pytest.raises(pefc.SpecError, match="formula-failed") as caught:
        plain_patch(of.facts, of.members)
    assert WRONG[rule] in caught.value.diagnostics[0].labels()[0].text


ABOVE = {
    "the weight": "dora(r=2) on linear as m0",
    "a product": "lora(r=2) on linear as m0; dora(r=2) on linear as m1",
    "a dense summand": "method dense on linear {\n  D: [out, in] = 0\n  weight += D\n}\n"
    "dense on linear as m0; dora(r=2) on linear as m1",
    "a norm that trains": "method live(r: int = 2) on linear {\n  A: [r, in] ~ normal(0, 1)\n"
    "  B: [out, r] = 0\n  let V = W + B @ A\n  weight = diag(norm(V, in)) @ V\n}\n"
    "lora(r=2) on linear as m0; live on linear as m1",
}


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("spec", ABOVE.values(), ids=ABOVE)
def test_the_norm_of_a_zero_row_has_the_gradient_of_the_formula(spec: str, start: bool) -> None:
    """Zero where the row is zero still."""
    torch.manual_seed(0)
    of = case(LinearFacts(8, 12, True, transposed=False), spec)
    values = Values(of, training=False)
    values.known["weight"][3] = 0
    for name, value in values.known.items():
        if start and name.endswith((".B", ".D")):
            value.zero_()
    graph = plain_patch(of.facts, of.members)
    fast = optimized(copied(graph))
    assert any(node.target is root for node in fast.nodes) or "dense" in spec
    before, after = computed(values, graph), computed(values, fast)
    if start and "dora" in spec:  # 0 / 0 of the formula itself
        assert torch.equal(after["y"].isnan(), before["y"].isnan())
        return
    for what, value in before.items():
        assert bool(value.isfinite().all())
        torch.testing.assert_close(after[what], value, rtol=1e-9, atol=1e-9)
