"""What each process does under ZeRO-3 of DeepSpeed, which has every parameter in parts.

python -m torch.distributed.run --nproc_per_node=2 -m tests.processes.zero FOLDER
"""

import os
import sys
from pathlib import Path
from typing import Any

import deepspeed  # pyright: ignore[reportMissingImports]
import torch
from torch import distributed, nn

import pefc
from pefc.compiler.state.trainer_checkpoint import write_checkpoint

from .trained import STEPS, adapted, batch, optimizer, save, stepped
from .worker import expect, mean, mine

ZERO = {
    "train_micro_batch_size_per_gpu": 2,
    "gradient_clipping": 0.0,
    "zero_allow_untested_optimizer": True,
    "zero_force_ds_cpu_optimizer": False,
    "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0},
}
NAMES = ("placed", "quantized", "frozen")


def engine(name: str, **settings: object) -> Any:  # noqa: ANN401  (DeepSpeed is not known here)
    """A model whose parameters are shared out."""
    model = adapted(name)
    config = {**ZERO, **settings}
    found, *_ = deepspeed.initialize(model=model, optimizer=optimizer(model), config=config)
    return found


class Engine:
    """An engine steps by itself."""

    def __init__(self, found: Any) -> None:  # noqa: ANN401
        self.step = found.step

    def zero_grad(self) -> None:
        """The engine does it."""


def trained(name: str, folder: Path) -> None:
    """Train, and save with all processes."""
    found = engine(name)
    assert all(parameter.numel() == 0 for parameter in found.parameters())
    steps: Any = Engine(found)
    own = [stepped(found, mine(), steps, found.backward) for _ in range(STEPS)]
    losses = mean(own)
    save(found, folder)
    save_resumed(found, folder)
    inner = found.module
    assert isinstance(inner, nn.Module)
    with torch.no_grad():
        logits = inner.eval()(batch()).logits
    if distributed.get_rank() == 0:
        torch.save({"losses": losses, "logits": logits}, folder.with_suffix(".pt"))
    for act in (
        lambda: pefc.apply("ia3 on ffn", inner),
        lambda: pefc.load(inner, folder),
        lambda: pefc.merge(found),
        lambda: pefc.remove(inner),
    ):
        expect("model-in-processes", act)


def save_resumed(model: nn.Module, folder: Path) -> None:
    """Training goes on with what the networks were that computed prefixes."""
    pefc.save(model, folder.with_name(f"{folder.name}-resumed"), resume=True)


def refused() -> None:
    """What ZeRO keeps pefc from is said."""
    found = engine("allocated")
    assert all(parameter.numel() == 0 for parameter in found.parameters())
    loss = found(mine(), labels=mine()).loss
    expect("terms-away", lambda: pefc.regularizer(found))
    found.backward(loss)
    expect("unheard-gradients", found.step)
    for stage in (1, 2):
        found = engine("allocated", zero_optimization={"stage": stage})
        found.backward(found(mine(), labels=mine()).loss)
        expect("unheard-gradients", found.step)


def noted(folder: Path) -> None:
    """A checkpoint as a Trainer writes it: one process, with the state that DeepSpeed gathers. A
    Trainer itself starts DeepSpeed on GPUs alone.
    """
    stage = {**ZERO["zero_optimization"], "stage3_gather_16bit_weights_on_model_save": True}
    found = engine("placed", zero_optimization=stage)
    state = found._zero3_consolidated_16bit_state_dict()
    inner = found.module
    assert isinstance(inner, nn.Module)
    if distributed.get_rank() == 0:
        write_checkpoint(inner, folder, state)
    expect("values-away", lambda: write_checkpoint(inner, folder, {}))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    deepspeed.init_distributed(dist_backend="gloo")
    for name in NAMES:
        trained(name, folder / name)
    noted(folder / "noted")
    refused()
    distributed.barrier()
    sys.stdout.flush()
    os._exit(0)  # as in `worker`


if __name__ == "__main__":
    main(Path(sys.argv[1]))
