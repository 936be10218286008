"""Sites of a model: its skeleton is traced, and what the trace says of a layer goes for all layers
like it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from ...runtime.calls import Reached
from ...runtime.patched import bare, base_class
from ..model import (
    Cut,
    Shown,
    Site,
    SiteTable,
    Size,
    example_inputs,
    module_kind,
    module_width,
    probed,
    quiet,
    skeleton,
    why_closed,
)
from .feed_forward import LENGTH
from .layers import Layer
from .propagation import carried, carried_calls, carried_layers, siblings
from .repeated_layers import Stack, find_stacks
from .role_rows import Roles, Row, read_roles
from .tape import is_inside, record

_ORDER = ("layer", "attn", "xattn", "ffn", "moe", "attn.q", "attn.k", "attn.v")


def find_sites(model: nn.Module) -> SiteTable:
    """Every site of a model with its role. The model may be on any device, and is not changed. It
    is not run either, unless it cannot be traced: then a copy over the same weights is.
    """
    model = bare(model)
    stacks = find_stacks(model)
    try:
        roles, found = _trace_roles(model, stacks)
        if not _are_layers(stacks, roles.layers):
            stacks = ()
            roles, found = _trace_roles(model, stacks)
    except Exception as error:  # noqa: BLE001  (whatever the forward of a foreign model raises)
        nothing = Roles((), (), frozenset())
        return _table(model, nothing, (), probed(model), reason=_reason(error))
    return _table(model, roles, stacks, _shown(found, stacks), reason=None)


def _shown(found: Reached, stacks: Sequence[Stack]) -> Shown:
    """What a trace has reached goes for the layers that were left out."""
    elsewhere = {
        place.path: tuple((name, place.moved(reader)) for name, reader in read.items())
        for path, read in found.elsewhere.items()
        for place in siblings(path, stacks)
    }
    ran = frozenset(p.path for path in found.ran for p in siblings(path, stacks))
    return Shown(ran, elsewhere)


def _trace_roles(model: nn.Module, stacks: tuple[Stack, ...]) -> tuple[Roles, Reached]:
    """Whatever mode and default device the caller has set."""
    cuts = [Cut(stack.path, stack.kept) for stack in stacks]
    found = Reached()
    with torch.inference_mode(mode=False), torch.enable_grad(), torch.device("cpu"):
        with FakeTensorMode(), quiet():
            copied = skeleton(model, cuts, device=torch.device("cpu"), keep_types=False)
            tape = record(copied, example_inputs(copied, Size(batch=1, length=LENGTH)), found)
        return read_roles(tape, copied), found


def _are_layers(stacks: Sequence[Stack], layers: Sequence[Layer]) -> bool:
    """Only elements that turned out to be layers, or to hold them, may have been left out."""
    return all(
        stack.kept == len(stack.representatives)
        or any(is_inside(layer.path, stack.path) for layer in layers)
        for stack in stacks
    )


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _table(
    model: nn.Module, roles: Roles, stacks: Sequence[Stack], shown: Shown, *, reason: str | None
) -> SiteTable:
    modules = dict(model.named_modules())
    layers = {layer.path: layer.index for layer in carried_layers(roles.layers, stacks)}
    rows = list(carried(roles.rows, stacks))
    rows += _roleless(modules, {row.path for row in rows})
    sites = [
        replace(site, called=shown.of(site.path), elsewhere=shown.elsewhere.get(site.path, ()))
        if site.kind == "linear"
        else site
        for site in (_site(row, modules, layers) for row in dict.fromkeys(rows))
    ]
    places = {path: place for place, path in enumerate(modules)}
    sites.sort(key=lambda site: _place(site, places))
    return SiteTable(
        type(model).__name__,
        tuple(sites),
        max(layers.values(), default=-1) + 1,
        tuple((path, base_class(module).__name__) for path, module in modules.items()),
        reason is None,
        reason,
        roles.tokens,
        tuple(carried_calls(roles.calls, stacks)),
        tuple((path, why) for path, module in modules.items() if (why := why_closed(module))),
    )


def _roleless(modules: Mapping[str, nn.Module], known: set[str]) -> Iterator[Row]:
    for path, module in modules.items():
        kind = module_kind(module)
        if kind is not None and path not in known and not _is_within_linear(path, modules):
            yield Row(path, kind, "conv" if kind == "conv" else "norm" if kind == "norm" else None)


def _is_within_linear(path: str, modules: Mapping[str, nn.Module]) -> bool:
    """What a method added inside a linear map is no site of the model."""
    parent = path.rpartition(".")[0]
    while parent:
        if module_kind(modules[parent]) == "linear":
            return True
        parent = parent.rpartition(".")[0]
    return False


def _site(row: Row, modules: Mapping[str, nn.Module], layers: Mapping[str, int]) -> Site:
    owner = modules.get(row.path)
    layer = _layer_around(row.path, layers)
    if owner is None:
        holder = modules[row.path.rpartition(".")[0]]
        inputs, outputs = row.widths or (None, None)
        return Site(
            row.path,
            "param",
            row.role,
            row.slice,
            layer,
            base_class(holder).__name__,
            inputs,
            outputs,
        )
    inputs, outputs = (None, None) if row.kind == "block" else module_width(owner)
    bias = row.kind != "block" and getattr(owner, "bias", None) is not None
    name = base_class(owner).__name__
    return Site(
        row.path,
        row.kind,
        row.role,
        row.slice,
        layer,
        name,
        inputs,
        outputs,
        bias,
        block=row.block,
        attention=row.attention,
    )


def _layer_around(path: str, layers: Mapping[str, int]) -> int | None:
    while path and path not in layers:
        path = path.rpartition(".")[0]
    return layers.get(path)


def _place(
    site: Site, places: Mapping[str, int]
) -> tuple[int, str, int, tuple[tuple[int, int], ...]]:
    if site.kind == "param":
        return places[site.path.rpartition(".")[0]], site.path, 0, site.slice or ()
    rank = _ORDER.index(site.role) if site.role in _ORDER else len(_ORDER)
    return places[site.path], "", rank, site.slice or ()
