"""The checkpoint of a Trainer: an adapter folder, with the file that the Trainer resumes from."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from ...dsl.checker.check import check
from ...dsl.diagnostics.adapters import DamagedAdapter, OtherBase
from ...dsl.diagnostics.processes import ValuesAway
from ...dsl.diagnostics.report import SpecError
from ...dsl.diagnostics.training import OtherCheckpoint
from ...dsl.diagnostics.warn import warn
from ...dsl.parsing import parse
from ...dsl.syntax.source import Source
from ...runtime.distributed import is_away, is_part
from ...runtime.files import MANIFEST, differences, fingerprint, replace_file
from ...runtime.patched import bare
from ...runtime.training import MARK, ORIGIN, kept, mark
from ..plan import Plan, attached
from .manifest import validated_origin
from .same_spec import unlike
from .save import SPEC, owned, write

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
    given = {name: value for name, value in (values or {}).items() if not is_part(value)}
    apart = [p for name, p in model.named_parameters() if name not in given]
    if any(is_away(p) or is_part(p) for p in apart):
        raise SpecError([ValuesAway(plan.model, by_engine=any(map(is_away, apart)))])
    for found in write(plan, model, folder, resume=True, values=values or {}):
        warn(found)
    tensors = {
        name: tensor.detach().contiguous().cpu() for name, tensor in kept(model, values).items()
    }
    marks = {MARK: mark(model), ORIGIN: _origin(folder)}
    replace_file(
        folder / STATE,
        lambda path: save_file({**tensors, **marks}, path, metadata={"format": "pt"}),
    )


def _origin(folder: Path) -> torch.Tensor:
    """The spec and the base of the adapter that was just written, for `check_origin`."""
    spec = (folder / SPEC).read_text(encoding="utf-8")
    manifest = json.loads((folder / MANIFEST).read_bytes())
    text = json.dumps({"spec": spec, "base": manifest["base"]}, separators=(",", ":"))
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def check_origin(model: nn.Module, text: bytes) -> None:
    """Raise SpecError where a checkpoint was written with another spec than a model carries, or on
    another base.
    """
    try:
        saved = validated_origin(text)
    except ValueError as error:
        raise SpecError([DamagedAdapter(STATE, f"`{ORIGIN}`: {error}")]) from error
    plan = attached(model).plan
    assert isinstance(plan, Plan)
    found = unlike(check(parse(Source(SPEC, saved.spec))), plan, model)
    if found is not None:
        raise SpecError([OtherCheckpoint(plan.model, *found)])
    if not any(map(is_away, model.parameters())):
        different = differences(saved.base, fingerprint(bare(model), owned(plan)))
        if different:
            raise SpecError([OtherBase(STATE, plan.model, different)])
