"""Tokens: where the embedded input of a model passes."""

from collections.abc import Mapping

from torch import nn

from ..model import TokenPorts, module_kind
from .embeddings_heads import lookups
from .tape import Call, Tape, is_inside


def find_token_ports(
    tape: Tape, layers: frozenset[str], modules: Mapping[str, nn.Module]
) -> TokenPorts | None:
    """Where the embedded input passes; None in a model that embeds no ids."""
    stems: dict[int, TokenPorts] = {}
    calls: dict[int, Call] = {}
    for node, ids in lookups(tape):
        if module_kind(modules[node.scope]) != "embedding":
            continue
        stem = next(
            call
            for call in tape.calls
            if call.path in _holders(layers, modules)
            and (call.path == "" or any(given.node == ids for given in call.given))
        )
        calls.setdefault(ids, stem)
        stems.setdefault(ids, TokenPorts(stem.path, node.scope, node.shape[-1]))
    for ids, ports in stems.items():
        for other, call in calls.items():
            returned = {entry.node for entry in calls[ids].returned}
            if other != ids and any(given.node in returned for given in call.given):
                return TokenPorts(ports.stem, ports.embed, ports.width, call.path)
    return next(iter(stems.values()), None)


def _holders(layers: frozenset[str], modules: Mapping[str, nn.Module]) -> frozenset[str]:
    """The modules that have layers in them; the model itself where it has none."""
    return frozenset(
        path
        for path in modules
        if not path or any(layer != path and is_inside(layer, path) for layer in layers)
    )
