"""The checkpoint of a Trainer: an adapter folder, with the file that the Trainer resumes from."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.processes import ValuesAway
from ..runtime.checkpoints import MARK, kept, mark
from ..runtime.state import replace_file
from ..runtime.whole import is_away
from .attached import attached
from .plan import Plan
from .saving import write

STATE = "model.safetensors"


def write_checkpoint(
    model: nn.Module, folder: Path, values: Mapping[str, torch.Tensor] | None
) -> None:
    """Write what training changes and what the adapter has. `values` is the state of the model
    where it was gathered from several devices.

    Raises SpecError where the folder cannot be written, or `values` lacks what is not here.
    """
    plan = attached(model).plan
    assert isinstance(plan, Plan)
    if any(is_away(p) and name not in (values or {}) for name, p in model.named_parameters()):
        raise SpecError([ValuesAway(plan.model)])
    write(plan, model, folder, resume=True, values=values or {})
    tensors = {
        name: tensor.detach().contiguous().cpu() for name, tensor in kept(model, values).items()
    }
    replace_file(
        folder / STATE,
        lambda path: save_file({**tensors, MARK: mark(model)}, path, metadata={"format": "pt"}),
    )
