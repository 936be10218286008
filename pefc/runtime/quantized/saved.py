"""Quantized weights as bitsandbytes saves them: the few bits under the name of the weight, and what
they are read with under names that begin like it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping

import bitsandbytes.functional as bnb
import torch
from bitsandbytes.nn.modules import Int8Params, Params4bit
from torch import Tensor, nn

from .form import Form
from .pack import empty, rows_of

_STATE = ".quant_state.bitsandbytes__"
_SCALES, _LAYOUT = "SCB", "weight_format"
_WEIGHT = "weight"


def saved_weights(names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The quantized weights among what a file holds, each with what is saved beside it."""
    known = dict.fromkeys(names)
    found = {name.partition(_STATE)[0] for name in known if _STATE in name}
    found |= {_beside(name, _WEIGHT) for name in known if name.rpartition(".")[2] == _SCALES}
    result: dict[str, list[str]] = {name: [] for name in sorted(found & known.keys())}
    for name in known:
        for owner in _owners(name):
            if owner in result:
                result[owner].append(name)
    return {name: tuple(beside) for name, beside in result.items()}


def _owners(name: str) -> Iterator[str]:
    """The weights to which a tensor may belong."""
    head, is_inner, _ = name.partition(f".{_WEIGHT}.")
    if is_inner:
        yield f"{head}.{_WEIGHT}"
    if name.rpartition(".")[2] in {_SCALES, _LAYOUT}:
        yield _beside(name, _WEIGHT)


def _beside(name: str, other: str) -> str:
    folder = name.rpartition(".")[0]
    return f"{folder}.{other}" if folder else other


def saved_form(
    name: str, beside: Mapping[str, Tensor], compute: torch.dtype | None
) -> tuple[Form, tuple[int, ...] | None, torch.dtype]:
    """The form of a saved weight, the shape [out, in] that its state says it has, and the dtype of
    its values.

    Raises ValueError where the state is none.
    """
    state = next((n for n in beside if n.startswith(f"{name}{_STATE}")), None)
    if state is None:
        return Form("int8", double=False, compute=None), None, torch.float32
    try:
        facts = json.loads(bytes(beside[state].tolist()))
        form = Form(facts["quant_type"], "nested_offset" in facts, compute)
        return form, tuple(facts["shape"]), getattr(torch, facts["dtype"])
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        message = f"`{state}` is no state of a quantized weight"
        raise ValueError(message) from error


def restored(
    module: nn.Module, form: Form, name: str, weight: Tensor, beside: Mapping[str, Tensor]
) -> nn.Linear:
    """The module of bitsandbytes for a saved weight, in the place of a hollow one."""
    made = empty(form, module.in_features, module.out_features, bias=False)  # pyright: ignore[reportArgumentType]
    made.source_cls = getattr(module, "source_cls", nn.Linear)  # pyright: ignore[reportArgumentType]
    if form.format == "int8":
        made.weight = rows_of(weight, beside[_beside(name, _SCALES)])
        return made
    stats = {inner.removeprefix(f"{name}."): tensor for inner, tensor in beside.items()}
    packed = Params4bit.from_prequantized(weight, stats, device=str(weight.device))
    made.weight, made.quant_state = packed, packed.quant_state  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    return made


def state_tensors(module: nn.Linear, name: str) -> Mapping[str, Tensor]:
    """What is saved of a quantized module's weight, by name."""
    weight = module.weight
    if isinstance(weight, Int8Params):
        assert weight.SCB is not None
        return {name: weight.data, _beside(name, _SCALES): weight.SCB}
    state = getattr(weight, "quant_state", None)
    assert isinstance(state, bnb.QuantState)
    beside = {f"{name}.{inner}": value for inner, value in state.as_dict(packed=True).items()}
    return {name: weight.data, **beside}


def is_state(name: str) -> bool:
    """Whether a saved tensor is text, whose length depends on the numbers in it."""
    return _STATE in name


def is_layout(name: str) -> bool:
    """Whether a saved tensor says nothing about the values of a weight."""
    return name.rpartition(".")[2] == _LAYOUT
