"""The model and the batches that a command is given, read without the chatter of the libraries that
read them.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from torch import Tensor, nn
from transformers.utils import logging

from ...compiler.link import base
from ...compiler.model import function_named, read_model, reason_of
from ...dsl.checked import Checked
from ...dsl.diagnostics.commands import NeedsWeights
from ...dsl.diagnostics.model_files import NotBatches
from ...dsl.diagnostics.report import SpecError
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
        _import_from_here()
    with working(f"reading {reference}"):
        return read()


def batches_named(reference: str) -> Iterator[object]:
    """The batches that `package.module:function` returns or yields.

    Raises SpecError where it leads to no function, and, while they are read, where it fails.
    """
    _import_from_here()
    return _batches(reference, function_named(reference, "batches"))


def _batches(reference: str, function: Callable[[], object]) -> Iterator[object]:
    try:
        made = function()
        kind = type(made).__name__
        if isinstance(made, Iterable) and not isinstance(made, Mapping | Tensor):
            yield from made  # pyright: ignore[reportUnknownVariableType]
            return
    except Exception as error:
        raise SpecError([NotBatches(reference, reason_of(error))]) from error
    reason = f"it returns one `{kind}`, not a list of batches"
    raise SpecError([NotBatches(reference, reason)])


def _import_from_here() -> None:
    sys.path.insert(0, str(Path.cwd()))
