import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from pefc.compiler.lower.patch import initial_value, plain_patch
from pefc.compiler.lower.sites.linear import merged_parameters
from pefc.compiler.passes import optimized
from pefc.compiler.prove.affine import is_affine
from pefc.compiler.prove.identity import Identity
from pefc.compiler.prove.verdict import judge
from pefc.dsl import syntax
from pefc.runtime.patched.initial_values import draw

from .formulas import Case, Values, cases

DTYPES = (torch.float32, torch.bfloat16, torch.float64)


def at_start(of: Case, dtype: torch.dtype) -> Values:
    """The tensors of a case with the values that attaching gives them."""
    values = Values(of, dtype)
    for position, member in enumerate(of.members):
        for tensor in member.method.tensors:
            value = values.known[member_path(of, position, tensor.name)]
            if tensor.distribution is not None:
                draw(*tensor.distribution, value, 0, tensor.name)
            elif isinstance(tensor.value, syntax.Number):
                value.fill_(tensor.value.value)
            else:
                graph = optimized(initial_value(of.facts, of.members[: position + 1], tensor))
                value.copy_(values.run(graph))
    return values


def member_path(of: Case, position: int, name: str) -> str:
    member = of.members[position]
    own = f"{member.prefix}.{name}"
    scoped = next(tensor for tensor in member.method.tensors if tensor.name == name).scope
    return own if scoped is None else f"{member.prefix}.shared.{name}"


def before_and_after(of: Case, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """The output of the base, and of the fast patch with its initial values."""
    values = at_start(of, dtype)
    x = torch.randn(2, 3, of.facts.inputs).to(dtype)
    result = values.run(optimized(plain_patch(of.facts, of.members)), x)
    assert isinstance(result, torch.Tensor)
    return values.base(x), result


@given(of=cases(most=1), seed=st.integers(0, 99))
def test_what_is_said_of_identity_is_what_numbers_say(of: Case, seed: int) -> None:
    torch.manual_seed(seed)
    verdict = judge(of.facts, of.members[0]).identity
    assume(verdict is not Identity.CHANGES)
    if verdict is Identity.EXACT:
        for dtype in DTYPES:
            assert torch.equal(*before_and_after(of, dtype))
    before, after = before_and_after(of, torch.float64)
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-11)


@settings(max_examples=20)
@given(of=cases(), seed=st.integers(0, 99))
def test_what_is_called_affine_has_the_merged_weight_and_bias(of: Case, seed: int) -> None:
    torch.manual_seed(seed)
    graph = plain_patch(of.facts, of.members)
    assume(is_affine(graph))
    values = Values(of)
    x = torch.randn(2, 3, of.facts.inputs, dtype=torch.float64)
    weight, bias = values.run(merged_parameters(of.facts, of.members))  # type: ignore[misc]
    found = values.run(optimized(graph), x)
    assert isinstance(found, torch.Tensor)
    size = float(found.abs().max())
    expected = functional.linear(x, weight, bias)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-11 * size)
