"""Abstract interpretation of a patch graph: the term that its output is."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.fx import Graph, Node

from ..lower.nodes import BASE, shape
from .ranges import Ranges
from .reflections import paired
from .rules import EXACT_RULES, ROUNDING_RULES
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
