"""Abstract interpretation of a patch graph: the term that its output is."""

from collections.abc import Mapping
from enum import StrEnum

import torch
from torch import Tensor
from torch.fx import Graph, Node

from ..ops import BASE, shape
from .algebra import EXACT_RULES, ROUNDING_RULES
from .ranges import Ranges
from .reflections import paired
from .terms import Applied, Atom, Constant, Eye, Rule, Sum, Term


def read(graph: Graph, starts: Mapping[str, Term], *, exact: bool) -> Term:
    """The term of the output. `starts` says what tensors are; `exact` leaves out rules that hold
    only without rounding.
    """
    terms: dict[Node, Term] = {}
    rules = EXACT_RULES if exact else {**EXACT_RULES, **ROUNDING_RULES}
    ranges = Ranges()
    for node in graph.nodes:
        terms[node] = _term(node, terms, starts, rules, ranges)
    return terms[graph.output_node()]


def _term(
    node: Node,
    terms: Mapping[Node, Term],
    starts: Mapping[str, Term],
    rules: Mapping[object, Rule],
    ranges: Ranges,
) -> Term:
    if node.op == "output":
        return _argument(node.args[0], terms)  # pyright: ignore[reportReturnType]
    if node.op in {"get_attr", "placeholder"}:
        name = str(node.target)
        unknown = paired(name) if node.meta.get("paired") else Atom(name)
        return starts.get(name, unknown)
    arguments = tuple(_argument(argument, terms) for argument in node.args)
    if node.target == BASE:
        return Applied("base", arguments)
    keywords = tuple((name, _argument(value, terms)) for name, value in sorted(node.kwargs.items()))
    written = Applied(node.target, (*arguments, *keywords))
    found = rules[node.target](*arguments) if node.target in rules else None
    if found is None or not _fits(found, arguments, node):
        return written
    vanished = [argument for argument in arguments if argument is not found]
    is_kept = len(vanished) < len(arguments)
    return found if ranges.are_finite(*(vanished if is_kept else (written,))) else written


def _argument(argument: object, terms: Mapping[Node, Term]) -> object:
    if isinstance(argument, Node):
        return terms[argument]
    if isinstance(argument, list | tuple):
        return tuple(_argument(item, terms) for item in argument)
    if isinstance(argument, slice):
        return ("slice", argument.start, argument.stop, argument.step)
    return argument


def _fits(found: Term, arguments: tuple[object, ...], node: Node) -> bool:
    """Terms carry no shape: an argument that was broadcast is not the result. A product that is
    distributed over a sum has the shape of the product.
    """
    if isinstance(found, Constant | Eye) or (isinstance(found, Applied) and found not in arguments):
        return True
    if isinstance(found, Sum) and node.target is torch.matmul:
        distributed = all(term not in arguments for term, _ in found.terms)
        if distributed:
            return True
    tensors = (n for n in node.all_input_nodes if isinstance(n.meta["val"], Tensor))
    return any(shape(operand) == shape(node) for operand in tensors)


class Identity(StrEnum):
    """What attaching a method does to the output."""

    EXACT = "exact"
    """Bit for bit what it was."""
    ROUNDING = "rounding"
    """Equal in exact arithmetic."""
    CHANGES = "changes"
    """Not shown to be equal."""


def identity(
    fast: Graph, fast_base: Graph, start: Graph, base: Graph, starts: Mapping[str, Term]
) -> Identity:
    """The verdict on one method at one site.

    `fast` is the patch that runs, and `starts` says what its tensors start as, where that is
    one number or a parameter of the module: it
    is exact if the rules that hold in floating point turn it into `fast_base`, what the site
    computes by itself. `start` is the formula with symbolic initial values in place of the
    tensors: it is equal up to rounding if all rules turn it into `base`.
    """
    if read(fast, starts, exact=True) == read(fast_base, {}, exact=True):
        return Identity.EXACT
    if read(start, {}, exact=False) == read(base, {}, exact=False):
        return Identity.ROUNDING
    return Identity.CHANGES
