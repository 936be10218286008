"""`pefc merge`: a model with its adapter in the weights, as a folder."""

from dataclasses import replace
from pathlib import Path

import typer
from transformers.utils import logging

from ...compiler.merge import Cost, Wish, merge_folder
from ...runtime.quantized.form import DTYPES
from ..io.console import working
from ..io.errors import show
from ..views.paths import size

_WORTH_SAYING = 0.0005
"""A share that does not show as 0.0%."""


def merge(
    base: Path,
    adapter: Path,
    out: Path,
    *,
    loss: float,
    into: str | None,
    requantize: bool,
    other_base: bool,
) -> None:
    """Write the merged model, and say what changed and what was lost."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    dtype = None if into is None else DTYPES[into]
    wish = Wish(loss=loss, into=dtype, requantize=requantize)
    with working(f"merging {adapter} into {base}"):
        written = merge_folder(base, adapter, out, wish, other_base=other_base)
    tuned = f", {_count(written.tuned, 'tuned parameter')}" if written.tuned else ""
    typer.echo(
        f"{out}: {base} with {_count(len(written.costs), 'module')} merged{tuned}, "
        f"{size(written.bytes)}"
    )
    worst = max(written.costs, key=lambda cost: cost.lost, default=None)
    if worst is not None and worst.lost >= _WORTH_SAYING:
        typer.echo(_loss(worst))
    show(written.warnings)


def _loss(worst: Cost) -> str:
    names = {dtype: name for name, dtype in DTYPES.items()}
    form = None if worst.form is None else replace(worst.form, compute=None)
    to = names.get(worst.dtype, str(worst.dtype)) if form is None else str(form)
    return f"rounding to {to} lost up to {worst.lost:.1%} of an update, at `{worst.patched.path}`"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
