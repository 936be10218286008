"""One base model twice: adapted by pefc and by HF PEFT, with the same tensors."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from peft import PeftConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

import pefc

from .models import output, states


@dataclass(frozen=True, slots=True)
class Case:
    """One method on one model, said to both sides."""

    name: str
    build: Callable[[], nn.Module]
    spec: str
    config: PeftConfig
    tensors: Mapping[str, str]
    """PEFT's name of a tensor inside its module, and pefc's; `/` begins one at the top."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Pair:
    ours: nn.Module
    theirs: nn.Module
    names: tuple[tuple[str, str], ...]
    """Our and their name of each tensor that a method added."""


def pair(case: Case) -> Pair:
    """Both sides, with every trained tensor moved away from its initial value."""
    base = case.build().double().eval()
    wrapped = get_peft_model(deepcopy(base), deepcopy(case.config))
    theirs = wrapped.base_model.model.double().eval()
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    ours = pefc.apply(pefc.parse(case.spec), base)
    names = tuple(_names(theirs, case.tensors))
    assert names
    _copy(ours, theirs, names)
    return Pair(ours, theirs, names)


def change(case: Case, theirs: nn.Module) -> float:
    """How far the adapted output is from that of the base."""
    base = case.build().double().eval()
    return (output(theirs, states()) - output(base, states())).abs().max().item()


def merged(theirs: nn.Module) -> dict[str, torch.Tensor]:
    """PEFT's merged weights and biases, under the names that the base model has for them."""
    for module in theirs.modules():
        if isinstance(module, BaseTunerLayer):
            module.merge()
    return {
        name.replace(".base_layer", ""): tensor
        for name, tensor in theirs.state_dict().items()
        if ".base_layer." in name
    }


def tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers, under every name that they have."""
    return {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }


def _names(theirs: nn.Module, renames: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (ours[1:] if ours.startswith("/") else f"{name.removesuffix(suffix)}{ours}", name)
        for name in tensors(theirs)
        for suffix, ours in renames.items()
        if name.endswith(f".{suffix}")
    ]


def _copy(ours: nn.Module, theirs: nn.Module, names: tuple[tuple[str, str], ...]) -> None:
    mine, other = tensors(ours), tensors(theirs)
    assert {name for name, parameter in ours.named_parameters() if parameter.requires_grad} == {
        name for name, peer in names if other[peer].requires_grad
    }
    with torch.no_grad():
        for name, peer in names:
            mine[name].copy_(other[peer].reshape(mine[name].shape))
