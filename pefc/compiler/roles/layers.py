"""Blocks: which modules are layers, and which hold an attention or a feed-forward net."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .dataflow import Finding, Flow
from .tape import common_scope, is_inside


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer and its number in its stack."""

    path: str
    index: int


def find_layers(flow: Flow, findings: Sequence[Finding]) -> tuple[Layer, ...]:
    """The repeated modules that hold residual branches, each as large as to hold both attention and
    a feed-forward net.
    """
    attending = [
        flow.maps[f.node].scope for f in findings if f.role.startswith(("attn.", "xattn."))
    ]
    feeding = [flow.maps[f.node].scope for f in findings if f.role.startswith(("ffn.", "moe."))]
    lists = _lists(flow)
    chosen = [path for path in lists if _is_chosen(path, lists, attending, feeding)]
    if chosen:
        return tuple(
            Layer(element, int(element.rpartition(".")[2]))
            for path in chosen
            for element in lists[path]
        )
    single = [path for path in flow.tape.owners if path and _holds_both(path, attending, feeding)]
    smallest = [
        path
        for path in single
        if not any(other != path and is_inside(other, path) for other in single)
    ]
    return tuple(Layer(path, index) for index, path in enumerate(smallest))


def _lists(flow: Flow) -> dict[str, tuple[str, ...]]:
    """The lists of modules, with their elements, where some element holds a residual branch."""
    scopes = {join.scope for join in flow.joins}
    found: dict[str, list[str]] = {}
    for path in flow.tape.owners:
        parent, _, name = path.rpartition(".")
        if name.isdigit():
            found.setdefault(parent, []).append(path)
    return {
        parent: tuple(elements)
        for parent, elements in found.items()
        if any(is_inside(scope, element) for scope in scopes for element in elements)
    }


def _is_chosen(
    path: str, lists: dict[str, tuple[str, ...]], attending: Sequence[str], feeding: Sequence[str]
) -> bool:
    """The innermost list of complete layers; the outermost list where none is complete."""
    complete = {
        p
        for p, elements in lists.items()
        if any(_holds_both(e, attending, feeding) for e in elements)
    }
    around = [other for other in lists if other != path and is_inside(path, other)]
    within = [other for other in lists if other != path and is_inside(other, path)]
    if path in complete:
        return not any(other in complete for other in within)
    return not around and not any(other in complete for other in within)


def _holds_both(path: str, attending: Sequence[str], feeding: Sequence[str]) -> bool:
    return any(is_inside(scope, path) for scope in attending) and any(
        is_inside(scope, path) for scope in feeding
    )


def find_blocks(
    flow: Flow,
    findings: Sequence[Finding],
    layers: Sequence[Layer],
    exits: Mapping[int, str],
) -> Iterator[tuple[str, str, int]]:
    """(path, role, group) of the smallest module that holds all of an attention, or of a
    feed-forward net, and nothing of the other; where there is none, of the module that its output
    comes out of.
    """
    borders = {layer.path for layer in layers} | {""}
    scopes = {attention.context: attention.scope for attention in flow.attentions}
    for group in dict.fromkeys(finding.group for finding in findings):
        members = [finding for finding in findings if finding.group == group]
        inside = [flow.maps[finding.node].scope for finding in members]
        path = common_scope([*inside, *([scopes[group]] if group in scopes else [])])
        families = dict.fromkeys(finding.role.partition(".")[0] for finding in members)
        is_shared = group not in scopes and any(is_inside(s, path) for s in scopes.values())
        if path in borders or is_shared:
            if group not in exits:
                continue
            path = exits[group]
        if group in scopes:
            yield path, next(iter(families)), group
        else:
            yield path, "ffn", group
            if "moe" in families:
                yield path, "moe", group
