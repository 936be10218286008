"""Optimizers of what a spec trains: AdamW of torch, and of bitsandbytes where it is asked for."""

from collections.abc import Mapping
from inspect import signature

from torch import nn
from torch.optim import AdamW, Optimizer

from ...dsl.diagnostics.report import SpecError
from ...dsl.diagnostics.suggestions import nearest
from ...dsl.diagnostics.training import NoBitsandbytes, NothingTrains, NotPaged, UnknownOptimizer
from ...dsl.diagnostics.warn import warn
from ...runtime.quantized import library
from ..link import parameter_groups

_ADAMW = "adamw"
_CLASSES = {
    "adamw8bit": "AdamW8bit",
    "paged_adamw": "PagedAdamW",
    "paged_adamw8bit": "PagedAdamW8bit",
}
"""What bitsandbytes calls them."""
KINDS = (_ADAMW, *_CLASSES)
_UNPAGED = {"paged_adamw": "adamw", "paged_adamw8bit": "adamw8bit"}


def optimizer(
    model: nn.Module, *, lr: float, decay: float, kind: str, options: Mapping[str, object]
) -> Optimizer:
    """An optimizer with the parameter groups of a spec.

    Raises SpecError where nothing is attached, nothing trains, the kind is unknown or bitsandbytes
    is missing, and TypeError where the class has no such option.
    """
    if kind not in KINDS:
        raise SpecError([UnknownOptimizer(kind, KINDS, nearest(kind, KINDS))])
    groups = parameter_groups(model, lr=lr, decay=decay)
    if not groups:
        raise SpecError([NothingTrains(type(model).__name__)])
    made = _class(kind)
    instead = _UNPAGED.get(kind)
    if instead is not None and _is_on_cpu(model):
        made = _class(instead)
        warn(NotPaged(kind, instead))
    _check_options(made, options)
    return made(groups, **options)  # pyright: ignore[reportArgumentType]


def _check_options(made: type[Optimizer], options: Mapping[str, object]) -> None:
    """Raise TypeError where an optimizer has no such option, or another word means it here."""
    if "weight_decay" in options:
        raise TypeError("`weight_decay` is given: here it is `decay`")
    known = [name for name in signature(made).parameters if name not in _GIVEN]
    for name in options:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean `{near}`?" if near else f"it has {', '.join(known)}"
            raise TypeError(f"`{made.__name__}` has no option `{name}`: {hint}")


_GIVEN = ("params", "lr", "weight_decay")


def _class(kind: str) -> type[Optimizer]:
    if kind == _ADAMW:
        return AdamW
    try:
        module = library("bitsandbytes.optim")
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SpecError([NoBitsandbytes(kind, reason)]) from error
    return getattr(module, _CLASSES[kind])


def _is_on_cpu(model: nn.Module) -> bool:
    """Whether nothing that trains is on a GPU."""
    return all(p.device.type == "cpu" for p in model.parameters() if p.requires_grad)
