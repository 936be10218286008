"""Quantized modules in the place of plain ones."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from ....dsl.diagnostics.adapters import NoValues
from ....dsl.diagnostics.quantization import DistortedWeights
from ....dsl.diagnostics.quantize_statement import NotFiniteWeight
from ....dsl.diagnostics.report import SpecError
from ....dsl.diagnostics.warn import warn
from ....runtime import quantized
from ....runtime.change import Change
from ....runtime.patched import Aside, replacing
from ....runtime.quantized import floating_weight
from ....runtime.quantized.form import Form, form, is_packed
from ...model import is_transposed, load_quantizer, was_transposed
from ...passes.quantized_reads import READINGS
from ...plan import Plan, by_statement

Modules = Mapping[str, nn.Module]
"""By path."""


def packed_modules(plan: Plan, model: nn.Module) -> Modules:
    """The modules of a model that a plan quantizes, made anew; the model is not changed.

    Raises SpecError where the model has no values, or such as are not finite.
    """
    mistakes = [
        NotFiniteWeight(packing.span, packing.site.path)
        for packing in plan.packings
        if not (packing.is_there or _weight(packing.site.path, plan, model).isfinite().all())
    ]
    if mistakes:
        raise SpecError(by_statement(mistakes))
    return dict(_packed(plan, model))


def _packed(plan: Plan, model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for packing in plan.packings:
        if packing.is_there:
            continue
        load_quantizer(packing.span)
        module = model.get_submodule(packing.site.path)
        yield packing.site.path, packed_module(module, packing.form)


def _weight(path: str, plan: Plan, model: nn.Module) -> Tensor:
    weight = model.get_submodule(path).get_parameter("weight").detach()
    if weight.is_meta:
        raise SpecError([NoValues(plan.model)])
    return weight


def packed_module(module: nn.Module, form: Form) -> nn.Linear:
    """A quantized module for a plain one."""
    weight = module.get_parameter("weight")
    with torch.no_grad():
        rows = weight.T if is_transposed(module) else weight
        return quantized.pack.packed(module, form, rows)


def with_modules(model: nn.Module, modules: Modules) -> nn.Module:
    """A tree of its own with other modules at some paths; without any, the model itself."""
    if not modules:
        return model
    return replacing(model, {id(model.get_submodule(path)): new for path, new in modules.items()})


def requantized(module: nn.Module, shape: tuple[int, ...], parts: Iterable[Tensor]) -> nn.Linear:
    """A quantized module with another weight [out, in], in the same form; its rows come in parts of
    whole blocks.
    """
    kind = form(module)
    assert kind is not None
    made = quantized.pack.packed_rows(module, kind, shape, parts)
    made.source_cls = getattr(module, "source_cls", nn.Linear)  # pyright: ignore[reportArgumentType]
    return made


def plain(module: nn.Module, weight: Tensor, dtype: torch.dtype) -> nn.Module:
    """A plain module for a quantized one, with a weight [out, in]: of the class that it was made
    from, so that what is saved of it loads there.
    """
    outputs, inputs = weight.shape
    with torch.device("meta"):
        if was_transposed(module):
            made = module.source_cls(outputs, inputs)  # pyright: ignore[reportCallIssue]
            weight = weight.T
        else:
            made = nn.Linear(inputs, outputs)
    value = weight.to(dtype).contiguous()
    made._parameters["weight"] = nn.Parameter(value, requires_grad=False)
    made._parameters["bias"] = module._parameters.get("bias")
    return made.train(module.training)


def plain_modules(
    model: nn.Module, dtype: torch.dtype, made: Modules
) -> Iterator[tuple[str, nn.Module]]:
    """Plain modules for all quantized ones of a model, but for those that are `made` already."""
    for path, module in model.named_modules():
        if is_packed(module) and path not in made:
            yield path, plain(module, floating_weight(module), dtype)


def put(change: Change, model: nn.Module, modules: Modules) -> None:
    """Put modules into the model, at every path of those that they stand for."""
    others = {id(model.get_submodule(path)): new for path, new in modules.items()}
    for parent in model.modules():
        for name, child in parent._modules.items():
            if id(child) in others:
                change.draft(parent._modules)[name] = others[id(child)]
    _settle(change, model)


def _settle(change: Change, model: nn.Module) -> None:
    """Let quantized weights stay what they are while the model evaluates, and warn of those that do
    not compute with what they were quantized to.
    """
    distorted: list[str] = []
    for path, module in change.named_modules(model):
        if is_packed(module):
            for store, name, value in quantized.pack.settling(module):
                change.draft(store, ordered=False)[name] = value
            if quantized.read.is_distorted(module):
                distorted.append(path)
    if distorted:
        warn(DistortedWeights(distorted[0], len(distorted) - 1))


def readings() -> dict[str, Callable[..., Tensor]]:
    """How a patch reads a quantized weight: functions of the module, by the names that patches
    call.
    """
    functions = (
        quantized.read.product,
        quantized.read.thin_product,
        quantized.read.row_squares,
        quantized.read.values,
    )
    return dict(zip(READINGS, functions, strict=True))


class Reading(nn.Module):
    """One such function as a module, for graphs."""

    def __init__(self, module: nn.Module, read: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module = Aside(module)
        self.read = read

    def forward(self, *operands: Tensor) -> Tensor:
        """What the function reads of the module."""
        return self.read(self.module.module, *operands)
