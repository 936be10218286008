"""What can be said of a method at the sites of one size, before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.fx import Node

from ...dsl import syntax
from ..lower import Facts, LinearFacts, Member, initial_value, merged_parameters, plain_patch
from ..passes import optimized, thinned
from .affine import is_affine
from .constants import adds_constant
from .costs import Costs, costs
from .identity import Identity, identity, read
from .ranges import Ranges
from .terms import Atom, Constant, Term
from .weight_reads import Need, need


@dataclass(frozen=True, slots=True)
class Verdict:
    """The properties of one method at one site, as if it stood there alone."""

    identity: Identity
    merges: bool
    """It folds into the parameters of the module."""
    needs: Need
    """What it reads of the base weight beside the base map."""
    costs: Costs
    """What it adds to each token; a copy of a parameter works in the place of the module's own."""
    lacks_bias: bool = False
    """It adds a constant, and the module has no bias that could hold it."""

    @property
    def affine(self) -> bool:
        """y stays affine in x, so that the method has a weight and a bias."""
        return self.merges or self.lacks_bias


def judge(facts: Facts, member: Member) -> Verdict:
    """Prove what holds for a method at a site."""
    members = (member,)
    plain = plain_patch(facts, members)
    fast = optimized(plain)
    start = plain_patch(facts, members, initial=True)
    base = plain_patch(facts, ())
    affine = isinstance(facts, LinearFacts) and is_affine(plain)
    lacks_bias = affine and _lacks_bias(facts, members)
    return Verdict(
        identity(fast, optimized(base), start, base, _starts(facts, member)),
        affine and not lacks_bias,
        need(fast),
        Costs(0) if member.owns else costs(facts, fast),
        lacks_bias,
    )


def folded_parameters(facts: LinearFacts, members: tuple[Member, ...]) -> frozenset[str]:
    """The parameters of a linear map that change when methods are folded into them."""
    values = thinned(merged_parameters(facts, members)).output_node().args[0]
    assert isinstance(values, tuple)
    pairs = zip(("weight", "bias"), values, strict=True)
    return frozenset(n for n, node in pairs if isinstance(node, Node) and _origin(node) != n)


def _origin(node: Node) -> str | None:
    """The parameter that a node is, whichever way it is turned."""
    if node.target is torch.transpose:
        return _origin(node.args[0])  # pyright: ignore[reportArgumentType]
    return str(node.target) if node.op == "get_attr" else None


def _lacks_bias(facts: Facts, members: tuple[Member, ...]) -> bool:
    if not isinstance(facts, LinearFacts) or facts.bias:
        return False
    return adds_constant(merged_parameters(facts, members))


def _starts(facts: Facts, member: Member) -> Mapping[str, Term]:
    """The tensors, by their paths, that start as one number or as a parameter of the module, or as
    what may not be finite.
    """
    found: dict[str, Term] = {}
    for tensor in member.method.tensors:
        shared = "" if tensor.scope is None else "shared."
        path = f"{member.prefix}.{shared}{tensor.name}"
        if member.owns:
            found[path] = Atom(tensor.name)
        elif isinstance(tensor.value, syntax.Number):
            found[path] = Constant(float(tensor.value.value))
        elif tensor.value is not None:
            start = read(initial_value(facts, (member,), tensor), found, exact=True)
            if not Ranges().are_finite(start):
                found[path] = start
    return found
