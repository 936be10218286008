"""What each process does; `torch.distributed.run` starts two of them.

python -m torch.distributed.run --nproc_per_node=2 -m tests.processes.worker FOLDER
"""

import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers import Trainer, TrainingArguments

import pefc

from ..training.trained import arguments as usual
from . import accelerated
from .trained import FULL, SIXTEEN, WAYS, adapted, batch, checkpoint, save, taught, train


def spread(model: nn.Module, **options: object) -> nn.Module:
    """The same model in parts: each layer, and what is outside of layers."""
    for layer in model.model.layers:  # pyright: ignore[reportGeneralTypeIssues, reportAttributeAccessIssue]
        fully_shard(layer, **options)  # pyright: ignore[reportArgumentType, reportCallIssue]
    fully_shard(model, **options)  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert all(isinstance(parameter, DTensor) for parameter in model.parameters())
    return model


def prepared(model: nn.Module, way: str) -> nn.Module:
    if way == "wrapped":
        return DistributedDataParallel(model)
    if way == "checkpointed":
        model.gradient_checkpointing_enable({"use_reentrant": False})  # pyright: ignore[reportCallIssue]
    return spread(model)


def whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def mine() -> Tensor:
    """The rows of this process."""
    process = distributed.get_rank()
    return batch()[2 * process : 2 * process + 2]


def mean(losses: list[float]) -> list[float]:
    together = torch.tensor(losses, dtype=torch.float64)
    distributed.all_reduce(together)
    return (together / distributed.get_world_size()).tolist()


def trained(name: str, way: str, folder: Path) -> None:
    """Train, note losses and weights, and save with all processes."""
    if way.startswith("accelerated"):
        state = folder.with_suffix(".state")
        model, own = accelerated.train(name, mine(), state, parts=way.endswith("parts"))
    else:
        model = prepared(adapted(name), way)
        own = train(model, mine())
    losses = mean(own)
    inner = model.module if isinstance(model, DistributedDataParallel) else model
    assert isinstance(inner, nn.Module)
    values = {n: whole(p).detach().clone() for n, p in inner.named_parameters() if p.requires_grad}
    if isinstance(model, DistributedDataParallel) and distributed.get_rank():
        distributed.barrier()  # whole in each process: one is enough
    else:
        save(model, folder)
        if isinstance(model, DistributedDataParallel):
            distributed.barrier()
    with torch.no_grad():
        logits = model.eval()(batch()).logits
    if distributed.get_rank() == 0:
        torch.save(
            {"losses": losses, "values": values, "logits": logits}, folder.with_suffix(".pt")
        )


def refused(folder: Path) -> None:
    """What changes a model in parts is refused, and what fails for one fails for all."""
    model = spread(adapted("placed"))
    for act in (
        lambda: pefc.apply("ia3 on ffn", model),
        lambda: pefc.load(model, folder),
        lambda: pefc.merge(model),
        lambda: pefc.remove(model),
        lambda: pefc.apply("ia3 on ffn", DistributedDataParallel(adapted("placed"))),
    ):
        expect("model-in-processes", act)
    (folder / "file").touch()
    expect("unwritable-file", lambda: pefc.save(model, folder / "file"))


def expect(code: str, act: Callable[[], object]) -> None:
    with pytest.raises(pefc.SpecError, match=code):
        act()


def in_sixteen(name: str) -> nn.Module:
    """A model in parts that computes in 16 bits."""
    return spread(adapted(name), mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16))


def mixed(folder: Path) -> None:
    """What a call computes with in 16 bits is saved as it is kept, in 32."""
    model = in_sixteen("mixed")
    with torch.no_grad():
        model.eval()(batch())
    save(model, folder / "mixed")


def full(name: str, folder: Path) -> None:
    """A checkpoint of all parts, which the first process writes alone, and the adapter as all of
    them save it. Without the parts of the others it writes nothing.
    """
    model = adapted(name)
    trainer = Trainer(model, TrainingArguments(**usual(folder, ddp_backend="gloo")))
    train(spread(model), mine())
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_model_state_dict(model, options=options)
    if distributed.get_rank() == 0:
        checkpoint(trainer, folder / f"{name}-checkpoint", state)  # pyright: ignore[reportArgumentType]
        for parts in (model.state_dict(), None):
            expect("values-away", partial(checkpoint, trainer, folder / "none", parts))
    distributed.barrier()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pefc.save(model, folder / f"{name}-saved", resume=True)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    for name, way in WAYS:
        trained(name, way, folder / f"{name}-{way}")
    refused(folder)
    mixed(folder)
    for name in FULL:
        full(name, folder / "full")
    sixteen = {name: mean(train(in_sixteen(name), mine())) for name in SIXTEEN}
    losses = mean(taught(folder / "taught", rows=2))
    if distributed.get_rank() == 0:
        torch.save(losses, folder / "taught.pt")
        torch.save(sixteen, folder / "sixteen.pt")
    distributed.barrier()
    sys.stdout.flush()
    # Gloo aborts now and then when the other process is gone before its threads have ended.
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
