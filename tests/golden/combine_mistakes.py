"""Mistakes of whoever combines adapters: each function makes one, in an empty working folder."""

from collections.abc import Callable

import torch
from torch import nn

import pefc

from ..models import Buffered, pair, pictures, plain
from .command_mistakes import command

LORA = "lora(r=2) on attn.{q,v}"


def folders(one: str = LORA, two: str = LORA) -> tuple[str, str]:
    """Two adapters of the plain model, in `a` and `b`."""
    for name, spec in (("a", one), ("b", two)):
        pefc.save(pefc.apply(spec, plain()), name)
    return "a", "b"


def unknown_way() -> None:
    pefc.combine(folders(), "out", how="liner")


def few_adapters() -> None:
    pefc.combine(folders()[:1], "out", how="linear")


def weight_count() -> None:
    pefc.combine(folders(), "out", how="linear", weights=[0.5, 0.3, 0.2])


def unfit_weight() -> None:
    command("combine", *folders(), "-o", "out", "--how", "linear", "--weights", "0.7,x")


def unfit_density() -> None:
    pefc.combine(folders(), "out", how="ties", density=20)


def missing_density() -> None:
    pefc.combine(folders(), "out", how="dare")


def unfit_rank() -> None:
    pefc.combine(folders(), "out", how="svd", rank=0)


def unfit_seed() -> None:
    words = ("--how", "dare", "--density", "0.2", "--seed", "-1")
    command("combine", *folders(), "-o", "out", *words)


def unused_option() -> None:
    pefc.combine(folders(), "out", how="linear", density=0.2, seed=1)


def many_tasks() -> None:
    tasks = "task movies { lora(r=2) on attn.q }\ntask tweets { lora(r=2) on attn.q }\n"
    pefc.combine(folders(two=tasks), "out", how="linear")


def unlike_base() -> None:
    pefc.save(pefc.apply("lora(r=2) on map", pair()), "a")
    model: nn.Module = pair()
    with torch.no_grad():
        model.head.weight.mul_(2)
    pefc.save(pefc.apply("lora(r=2) on map", model), "b")
    pefc.combine(("a", "b"), "out", how="linear")


def unlike_form() -> None:
    pefc.combine(folders(two="lora(r=2) on attn.{q,k}"), "out", how="linear")


def unlike_rank() -> None:
    pefc.combine(folders(two="lora(r=3) on attn.{q,v}"), "out", how="linear")


def not_low_rank() -> None:
    pefc.combine(folders("ia3 on attn.k", "ia3 on attn.k"), "out", how="cat")


def whole_parameters() -> None:
    both = folders("tune on ffn.down", "tune on ffn.down")
    pefc.combine(both, "out", how="ties", density=0.2)


def whole_buffers() -> None:
    for folder in ("a", "b"):
        model = pefc.apply("lora(r=2) on up", Buffered()).train()
        model(pictures())
        pefc.save(model, folder)
    pefc.combine(("a", "b"), "out", how="linear")


COMBINE_MISTAKES: tuple[Callable[[], None], ...] = (
    unknown_way,
    few_adapters,
    weight_count,
    unfit_weight,
    unfit_density,
    missing_density,
    unfit_rank,
    unfit_seed,
    unused_option,
    many_tasks,
    unlike_base,
    unlike_form,
    unlike_rank,
    not_low_rank,
    whole_parameters,
    whole_buffers,
)
