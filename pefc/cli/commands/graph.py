"""`pefc graph`: what a module computes before and after, as text or as a page."""

from dataclasses import dataclass
from pathlib import Path

import typer

from ... import compiler
from ...compiler.plan import Patched, Plan
from ...compiler.select import select
from ...dsl.diagnostics.commands import UntouchedLayer, UntouchedSite
from ...dsl.diagnostics.model_files import OutputExists
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ...dsl.diagnostics.selection import NoSuchSite
from ...dsl.diagnostics.suggestions import nearest
from ...dsl.read import parse
from ...dsl.syntax.statement import TuneStatement
from ..io.console import draw, working
from ..io.models import model_named
from ..io.outputs import write
from ..io.specs import checked_spec
from ..views.graph_html import START, page
from ..views.graph_parts import Part, layer_parts, parts
from ..views.graph_text import graph_view
from .plan import remark


@dataclass(frozen=True, slots=True)
class Where:
    """Which part of the model is wanted: a module, a layer, or all of it."""

    site: str | None
    layer: int | None


def graph(
    spec: str, reference: str, settings: tuple[str, ...], where: Where, html: Path | None
) -> None:
    """Print the graphs, or write a page."""
    checked = checked_spec(spec, settings)
    if html is not None:
        _check_page(html)
    model = model_named(reference)
    with working("compiling"):
        program = compiler.compiled(checked, model)
        shown = parts(program, _wanted(program.plan, where))
        if where.layer is not None:
            shown = (*layer_parts(program, where.layer), *shown)
    remark(program.plan)
    if html is None:
        draw(*graph_view(program.plan, shown))
        return
    write(html, page(program.plan, shown))
    typer.echo(f"{html}: {_counted(shown)}")


def _wanted(plan: Plan, where: Where) -> tuple[Patched, ...]:
    """The patched modules of the wanted part; raises SpecError where there are none."""
    found = plan.modules
    if where.site is not None:
        found = _named(plan, where.site)
    if where.layer is not None:
        found = tuple(p for p in found if p.members[0].site.layer == where.layer)
        if not found:
            layers = {p.members[0].site.layer for p in plan.modules}
            known = tuple(sorted(layer for layer in layers if layer is not None))
            raise SpecError([UntouchedLayer(where.layer, known)])
    return found


def _named(plan: Plan, text: str) -> tuple[Patched, ...]:
    """The patched modules that a selector names, by the role, path or class of what is patched."""
    known = tuple(patched.path for patched in plan.modules)
    statement, *others = parse(f"tune on {text}", name="--site").statements
    if others or not isinstance(statement, TuneStatement):
        raise SpecError([UntouchedSite(text, known)])
    constants, paths = dict(plan.checked.constants), set[str]()
    mistakes: list[Diagnostic] = []
    for kind in dict.fromkeys(planned.site.kind for planned in plan.attachments):
        try:
            selected = select(statement.selection, kind, plan.table, constants)
            paths.update(site.path for site in selected.sites)
        except SpecError as error:
            mistakes.extend(d for d in error.diagnostics if not isinstance(d, NoSuchSite))
    inside = tuple(f"{path}." for path in paths)
    found = tuple(
        patched
        for patched in plan.modules
        if any(m.site.path in paths or m.site.path.startswith(inside) for m in patched.members)
    )
    if not found:
        is_slip = not mistakes or nearest(text, known) is not None
        raise SpecError([UntouchedSite(text, known)] if is_slip else mistakes[:1])
    return found


def _check_page(html: Path) -> None:
    """Raise SpecError where a page would be written over another file."""
    try:
        is_other = html.is_file() and not html.read_bytes().startswith(START.encode())
    except OSError:  # then it cannot be written either, which is said when it is tried
        return
    if is_other:
        raise SpecError([OutputExists(str(html), "page")])


def _counted(shown: tuple[Part, ...]) -> str:
    return f"{len(shown)} kind{'' if len(shown) == 1 else 's'} of module"
