"""Training as Accelerate prepares it."""

from pathlib import Path

import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from torch import Tensor, nn

from .trained import STEPS, adapted, optimizer, stepped


def prepared(name: str, *, parts: bool) -> tuple[Accelerator, nn.Module, torch.optim.Optimizer]:
    """A model and its optimizer, wrapped or in parts."""
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=True)
    if parts:
        # Accelerate takes the plugin on GPUs alone; what it then does goes on a CPU as well.
        accelerator.state.distributed_type = DistributedType.FSDP
        accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            auto_wrap_policy="transformer_based_wrap",
            transformer_cls_names_to_wrap=["LlamaDecoderLayer"],
            cpu_ram_efficient_loading=False,
        )
    model = adapted(name)
    return accelerator, *accelerator.prepare(model, optimizer(model))


def train(name: str, ids: Tensor, folder: Path, *, parts: bool) -> tuple[nn.Module, list[float]]:
    """The losses of some steps. Before the last one, the training goes back to what was noted
    before it, and takes it again.
    """
    accelerator, model, steps = prepared(name, parts=parts)
    losses = [stepped(model, ids, steps, accelerator.backward) for _ in range(STEPS - 1)]
    if not parts:
        accelerator.save_state(str(folder))
        stepped(model, ids, steps, accelerator.backward)
        accelerator.load_state(str(folder))
    losses.append(stepped(model, ids, steps, accelerator.backward))
    return model, losses
