"""Exporting: from a model to an exported program of a copy that takes no memory."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.export import Dim, ExportedProgram
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

from ..model import Size, example_inputs, skeleton


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported program, and which modules were called with one tensor and nothing else."""

    program: ExportedProgram
    simple: frozenset[str]
    inputs: Mapping[str, Tensor]


def export(model: nn.Module, size: Size, inputs: Mapping[str, Tensor] | None) -> Exported:
    """Export a fake copy in training mode; raises whatever the exporter does."""
    with FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True) as mode:
        copied = skeleton(model, (), device=_device(model), keep_types=True).train()
        with torch.device(_device(model)):
            given = example_inputs(copied, size) if inputs is None else _faked(inputs, mode)
        with _watched(copied) as simple, _NoLayerDrop():
            try:
                program = _run(copied, given, Dim.DYNAMIC)
            except (RuntimeError, ValueError):
                program = _run(copied, given, Dim.AUTO)
        return Exported(program, frozenset(path for path, plain in simple.items() if plain), given)


def _device(model: nn.Module) -> torch.device:
    """Where the model is; a model on `meta` is traced as on the CPU, where constants keep their
    values.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    return torch.device("cpu") if device.type == "meta" else device


def _faked(inputs: Mapping[str, Tensor], mode: FakeTensorMode) -> dict[str, Tensor]:
    return {name: mode.from_tensor(value, static_shapes=True) for name, value in inputs.items()}


def _run(model: nn.Module, inputs: Mapping[str, Tensor], dimension: object) -> ExportedProgram:
    shapes = {name: dict.fromkeys(dynamic_axes(value), dimension) for name, value in inputs.items()}
    if not isinstance(model, PreTrainedModel):
        with torch.no_grad():
            return torch.export.export(model, (), dict(inputs), dynamic_shapes=shapes, strict=False)
    from transformers.exporters.configs import DynamoConfig  # noqa: PLC0415
    from transformers.exporters.exporter_dynamo import DynamoExporter  # noqa: PLC0415

    config = DynamoConfig(dynamic=True, dynamic_shapes=shapes)
    return DynamoExporter().export_program(model, dict(inputs), config)[0]


def dynamic_axes(value: Tensor) -> tuple[int, ...]:
    """The batch, and the length of what is a sequence."""
    return (0, 1) if value.ndim in (2, 3) else (0,)


@contextmanager
def _watched(model: nn.Module) -> Iterator[dict[str, bool]]:
    """Notes for each module whether every call gave it one tensor and nothing else."""
    simple: dict[str, bool] = {}

    def note(path: str, args: tuple, kwargs: dict) -> None:
        plain = not kwargs and len(args) == 1 and isinstance(args[0], Tensor)
        simple[path] = simple.get(path, True) and plain

    handles = [
        module.register_forward_pre_hook(
            lambda _, args, kwargs, path=path: note(path, args, kwargs), with_kwargs=True
        )
        for path, module in model.named_modules()
    ]
    try:
        yield simple
    finally:
        for handle in handles:
            handle.remove()


class _NoLayerDrop(TorchFunctionMode):
    """Whole layers that are dropped at random cannot be in a graph: the lot that decides it never
    falls on them.
    """

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        if func is torch.rand and args in (([],), ((),)):
            return 1.0
        return func(*args, **(kwargs or {}))
