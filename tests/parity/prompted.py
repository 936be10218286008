"""One base model twice, with equal tensors: prompts beside it in PEFT, inside it in pefc."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from peft import PeftConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import PreTrainedModel

import pefc

LENGTH = 3
GREEDY = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}
Named = Mapping[str, Tensor]
Shares = Callable[[Named], Named]
"""From PEFT's tensors by name to pefc's; gradients go the same way."""


@dataclass(frozen=True, slots=True)
class Case:
    """One method on one model, said to both sides."""

    name: str
    build: Callable[[], PreTrainedModel]
    spec: str
    config: PeftConfig
    shares: Shares

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Pair:
    base: PreTrainedModel
    ours: PreTrainedModel
    theirs: PeftModel
    shares: Shares


def pair(case: Case) -> Pair:
    """Both sides in float64, with every trained tensor moved away from its initial value."""
    base = case.build().double().eval()
    theirs = get_peft_model(deepcopy(base), deepcopy(case.config)).double().eval()
    torch.manual_seed(5)
    with torch.no_grad():
        for tensor in trained(theirs).values():
            tensor.add_(torch.randn_like(tensor), alpha=0.3)
    ours = pefc.apply(case.spec, deepcopy(base))
    both = Pair(base, ours, theirs, case.shares)
    wanted, mine = case.shares(trained(theirs)), trained(ours)
    assert mine.keys() == wanted.keys()
    with torch.no_grad():
        for name, tensor in mine.items():
            tensor.copy_(wanted[name])
    return both


def trained(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    found = {name: tensor.grad for name, tensor in trained(model).items()}
    return {name: gradient for name, gradient in found.items() if gradient is not None}


def encoder(names: Mapping[str, str], place: str) -> Shares:
    """Tensors of PEFT's prompt encoder, by their names there and in the method at a place."""
    renames = {
        f"prompt_encoder.default.{theirs}": f"{place}.{ours}" for theirs, ours in names.items()
    }
    return lambda theirs: {renames[name]: tensor for name, tensor in theirs.items()}


def adapter(places: tuple[str, ...]) -> Shares:
    """LLaMA-Adapter's prompts, which have a batch of one in PEFT, and its gates."""
    renames = {
        f"base_model.model.{place}.adaption_{theirs}": f"{place}.llama_adapter.{ours}"
        for place in places
        for theirs, ours in (("prompt", "P"), ("gate", "g"))
    }
    return lambda theirs: {
        renames[name]: tensor[0] if tensor.ndim == 3 else tensor for name, tensor in theirs.items()
    }


def table(places: tuple[str, ...], heads: int) -> Shares:
    """PEFT has the keys and values of all layers in one table, layer by layer."""

    def shares(theirs: Named) -> Named:
        (rows,) = theirs.values()
        split = rows.view(LENGTH, len(places), 2, heads, -1)
        return {
            f"{place}.prefix.{name}": split[:, layer, kind]
            for layer, place in enumerate(places)
            for kind, name in enumerate("KV")
        }

    return shares


def projection(width: int) -> Shares:
    """PEFT's rows are as wide as all heads of keys, pefc's as the model: the rest is zero."""
    names = {
        "embedding.weight": "E",
        "transform.0.weight": "down.weight",
        "transform.0.bias": "down.bias",
        "transform.2.weight": "up.weight",
        "transform.2.bias": "up.bias",
    }

    def shares(theirs: Named) -> Named:
        ours = dict(encoder(names, "prefix")(theirs))
        for name in ("prefix.E", "prefix.down.weight"):
            missing = width - ours[name].shape[1]
            ours[name] = torch.nn.functional.pad(ours[name], (0, missing))
        return ours

    return shares
