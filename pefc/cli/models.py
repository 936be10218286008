"""The model that a command is given, read without the chatter of the libraries that read it."""

import sys
from pathlib import Path

from torch import nn
from transformers.utils import logging

from ..compiler.models import read_model
from ..dsl.diagnostics.commands import NeedsWeights
from ..dsl.diagnostics.core import SpecError
from .console import working


def model_named(reference: str, *, weights: bool = False) -> nn.Module:
    """The model of a folder, hub id or `package.module:function`; maybe on `meta`.

    Raises SpecError where there is none, or weights are asked for and it has none.
    """
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if ":" in reference:
        sys.path.insert(0, str(Path.cwd()))
    with working(f"reading {reference}"):
        model = read_model(reference, weights=weights)
    if weights and any(parameter.is_meta for parameter in model.parameters()):
        raise SpecError([NeedsWeights(reference)])
    return model
