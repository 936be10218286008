"""`pefc compile`: the adapter folder, with the initial values."""

from pathlib import Path

import typer

from ... import compiler
from ...compiler.link import tokenize_as
from ...compiler.state import write
from ...dsl.diagnostics.commands import UnwritableFile
from ...dsl.diagnostics.report import SpecError
from ..io.console import working
from ..io.models import base_named
from ..io.specs import checked_spec
from ..views.paths import size
from .plan import remark


def compile(spec: str, reference: str, settings: tuple[str, ...], out: Path) -> None:
    """Write the folder that `pefc.load` reads, and name it."""
    checked = checked_spec(spec, settings)
    model = base_named(reference, checked)
    with working("compiling"):
        program = compiler.compiled(checked, model, tokenize_as(reference))
        program.apply()
    remark(program.plan)
    try:
        write(program.plan, model, out, resume=True)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SpecError([UnwritableFile(str(out), reason)]) from error
    written = sum(path.stat().st_size for path in out.iterdir())
    typer.echo(f"{out}: {program.plan.trainable:,} trained parameters, {size(written)}")
