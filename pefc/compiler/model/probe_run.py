"""Probing: what a model reaches that cannot be traced, from runs of a copy of it."""

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...runtime.calls import Reached, noting_reads
from .probe import Inputs, random_inputs
from .quiet import quiet
from .skeleton import without_hooks


@dataclass(frozen=True, slots=True)
class Shown:
    """Which linear maps run by their own forward, as far as that is known."""

    ran: frozenset[str]
    """The modules that do."""
    elsewhere: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """As of a `Site`."""
    open: frozenset[str] = frozenset()
    """The modules of which nothing is known, by the shapes of their paths."""
    is_open: bool = False
    """Nothing is known of any."""

    def of(self, path: str) -> bool | None:
        """Whether a module runs; None where that is not known."""
        if path in self.ran:
            return True
        return None if self.is_open or shape(path) in self.open else False


def shape(path: str) -> str:
    """A path without numbers: `experts.3.up` and `experts.5.up` are alike."""
    return ".".join("*" if part.isdigit() else part for part in path.split("."))


def probed(model: nn.Module) -> Shown:
    """What runs with made inputs show. A map that they do not reach is not known to run where
    another one of a list does: which of its experts a model calls depends on the input.

    What runs is a copy over the same weights, in evaluation mode, without hooks.
    """
    found = Reached()
    try:
        _run(model, found)
    except Exception:  # noqa: BLE001  (no inputs can be made, or whatever a foreign forward raises)
        return Shown(frozenset(), is_open=True)
    elsewhere = {path: tuple(read.items()) for path, read in found.elsewhere.items()}
    lists = frozenset(shape(path) for path in found.ran if shape(path) != path)
    return Shown(frozenset(found.ran), elsewhere, lists)


def _run(model: nn.Module, found: Reached) -> None:
    if any(parameter.is_meta for parameter in model.parameters()):
        raise ValueError("there are no values to run on")
    state = random.getstate()
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(list(devices)), torch.inference_mode(mode=False), quiet():
            copied = _copied(model)
            inputs = random_inputs(copied)
            with torch.no_grad(), noting_reads(copied, found):
                for turned in (inputs, _negated(inputs)):
                    copied(*turned.positional, **turned.named)
    finally:
        random.setstate(state)


def _negated(inputs: Inputs) -> Inputs:
    """What a model that decides by a sign takes another way with."""

    def turn(value: Tensor) -> Tensor:
        return -value if value.is_floating_point() else value

    named = {name: turn(value) for name, value in inputs.named.items()}
    return Inputs(tuple(map(turn, inputs.positional)), named)


def _copied(model: nn.Module) -> nn.Module:
    """A copy with the parameters themselves."""
    memo: dict[int, object] = {id(parameter): parameter for parameter in model.parameters()}
    with _Detaching():
        copied: nn.Module = copy.deepcopy(model, memo)
    for module in copied.modules():
        without_hooks(module)
    return copied.eval()


class _Detaching(TorchFunctionMode):
    """Tensors that a forward has left in a module may be copied too."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        if func is Tensor.__deepcopy__:
            return args[0].detach().clone()
        return func(*args, **(kwargs or {}))
