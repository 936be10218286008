"""From a model to its traced graph."""

import inspect
from collections.abc import Mapping, Sequence

import torch
from torch import SymInt, Tensor, nn
from torch.export import unflatten

from ...runtime.patched import base_class
from ..model import Size, check_inputs, check_model, quiet
from .cleanup import clean
from .export import Exported, export
from .hierarchy import Builder
from .traced import Input, Traced

SIZE = Size(batch=2, length=7, masked=True)


def trace(
    model: nn.Module, inputs: Mapping[str, Tensor] | Sequence[Tensor] | None = None
) -> Traced:
    """Trace a whole model as a hierarchy of graphs; the model is not run and not changed, its
    weights are not read.

    `inputs`, by name or in the order of the forward, are needed only where they cannot be told
    from the model. A model that cannot be exported gives a `Traced` without a graph, with the
    reason.
    """
    check_model(model)
    check_inputs(inputs)
    name = base_class(model).__name__
    try:
        with torch.inference_mode(mode=False), torch.device("cpu"), quiet():
            exported = export(model, SIZE, None if inputs is None else _named(model, inputs))
            clean(exported.program.graph)
            hierarchy = unflatten(exported.program)
        spec = exported.program.call_spec.out_spec
        assert spec is not None
        root = Builder(model, exported.simple).root(hierarchy, spec)
    except Exception as error:  # noqa: BLE001  (whatever the forward of a foreign model raises)
        return Traced(name, None, (), _reason(error))
    return Traced(name, root, _described(exported))


def _named(
    model: nn.Module, inputs: Mapping[str, Tensor] | Sequence[Tensor]
) -> Mapping[str, Tensor]:
    if isinstance(inputs, Mapping):
        return inputs
    names = inspect.signature(model.forward).parameters
    return dict(zip(names, inputs, strict=False))


def _described(exported: Exported) -> tuple[Input, ...]:
    """The inputs, with the axes that the exporter could leave open."""
    values = {
        node.name: node.meta.get("val")
        for node in exported.program.graph.nodes
        if node.op == "placeholder"
    }
    return tuple(
        Input(name, tuple(value.shape), value.dtype, _open_axes(values.get(name, value)))
        for name, value in exported.inputs.items()
    )


def _open_axes(value: Tensor) -> tuple[int, ...]:
    return tuple(
        axis
        for axis, size in enumerate(value.shape)
        if isinstance(size, SymInt) and size.node.maybe_as_int() is None
    )


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
