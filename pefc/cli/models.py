"""The model that a command is given, read without the chatter of the libraries that read it."""

import sys
from collections.abc import Callable
from pathlib import Path

from torch import nn
from transformers.utils import logging

from ..compiler.bases import base
from ..compiler.models import read_model
from ..dsl.checked import Checked
from ..dsl.diagnostics.commands import NeedsWeights
from ..dsl.diagnostics.core import SpecError
from .console import working


def model_named(reference: str) -> nn.Module:
    """The model of a folder, hub id or `package.module:function`; maybe on `meta`.

    Raises SpecError where there is none.
    """
    return _read(reference, lambda: read_model(reference))


def base_named(reference: str, checked: Checked) -> nn.Module:
    """The same with its weights, as a spec wants them.

    Raises SpecError where there is none, or it has no weights.
    """
    model = _read(reference, lambda: base(reference, checked))
    if any(parameter.is_meta for parameter in model.parameters()):
        raise SpecError([NeedsWeights(reference)])
    return model


def _read(reference: str, read: Callable[[], nn.Module]) -> nn.Module:
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if ":" in reference:
        sys.path.insert(0, str(Path.cwd()))
    with working(f"reading {reference}"):
        return read()
