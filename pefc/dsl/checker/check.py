"""One check from end to end: definitions first, then statements from top to bottom, then what was
left over.
"""

from collections.abc import Mapping
from pathlib import Path
from types import NoneType

from .. import diagnostics
from ..checked import Checked, Value, check_type, check_values
from ..diagnostics.report import Diagnostic, SpecError
from ..parsing import library
from ..syntax.source import Span
from ..syntax.statement import Recipe, Spec, Task
from .constants import own_constants
from .definitions import check_definition, check_definitions, gather
from .imports import folder
from .names import STANDARD
from .scope import Run, Scope
from .statements import Block, rehearse, steps_of

NONE: Mapping[str, Value] = {}


def check(
    spec: Spec,
    *,
    overrides: Mapping[str, Value] = NONE,
    root: Path | None = None,
    tasks: tuple[str, ...] = (),
) -> Checked:
    """The spec with names, arguments and types checked; raises SpecError with every mistake, in the
    order of the text, and TypeError or ValueError where an argument is none.

    `overrides` are values for `param`s; imports stay inside `root`, by default the folder of the
    spec's own file. `tasks` are those of a living model, which `fuse` may name.
    """
    check_type("spec", spec, Spec, "what `pefc.parse` or `pefc.read` gives")
    check_type("root", root, (Path, NoneType), "a `pathlib.Path`")
    check_type("tasks", tasks, tuple, "a tuple of names")
    overrides = check_values("overrides", overrides)
    source = spec.span.source
    run = Run(root.resolve() if root else folder(source.name) or Path.cwd())
    scope = Scope((folder(source.name) or run.root) / Path(source.name).name)
    run.open.append(scope.path)
    run.living = tasks
    gather(spec, scope, run)
    check_definitions(spec, scope, run)
    _tasks(spec, run)
    _overrides(spec, overrides, run)
    constants = own_constants(spec)
    steps = steps_of(spec.statements, Block(scope, run, overrides=overrides))
    _leftovers(spec, scope, run)
    warnings = _sorted(run.found)
    if any(diagnostic.severity == "error" for diagnostic in warnings):
        raise SpecError(warnings)
    values = tuple((name, scope.constants[name]) for name in constants)
    return Checked(spec, steps, values, warnings)


def check_library() -> tuple[Diagnostic, ...]:
    """The mistakes in the standard library, of which there are none."""
    run = Run(Path.cwd())
    for name in library.names():
        definition = library.definition(name)
        assert definition is not None
        check_definition(definition, STANDARD, run)
        if isinstance(definition, Recipe):
            rehearse(definition, Block(STANDARD, run))
    return _sorted(run.found)


def _tasks(spec: Spec, run: Run) -> None:
    for statement in spec.statements:
        if isinstance(statement, Task):
            run.tasks.setdefault(statement.name, statement)


def _overrides(spec: Spec, overrides: Mapping[str, Value], run: Run) -> None:
    """Reports overrides that name no `param`."""
    constants = own_constants(spec)
    known = tuple(name for name, entry in constants.items() if entry.overridable)
    for name in overrides:
        if name not in known:
            place = constants[name].name_span if name in constants else None
            run.found.append(diagnostics.UnknownOverride(name, known, place))


def _leftovers(spec: Spec, scope: Scope, run: Run) -> None:
    """Reports constants that nothing used, and mistakes in recipes that nothing used."""
    for statement in reversed(spec.statements):
        if isinstance(statement, Recipe) and id(statement) not in run.expanded:
            rehearse(statement, Block(scope, run))
    run.found[:] = [_in_hindsight(diagnostic, scope) for diagnostic in run.found]
    for name, constant in own_constants(spec).items():
        if not constant.overridable and name not in scope.constants.used:
            run.found.append(diagnostics.UnusedConstant(name, constant.name_span))


def _in_hindsight(diagnostic: Diagnostic, scope: Scope) -> Diagnostic:
    """An unknown name that the file defines further down was used too early."""
    if not isinstance(diagnostic, diagnostics.UnknownName):
        return diagnostic
    name, span = diagnostic.name, diagnostic.span
    place = scope.places.get(name)
    if place is None or place.source is not span.source or place.start < span.start:
        return diagnostic
    scope.constants.used.add(name)
    return diagnostics.UsedBeforeDefinition(name, span, place)


def _sorted(found: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Without repetitions, by file and place; what has no place comes first."""
    files: dict[str, int] = {}
    unique: dict[object, tuple[tuple[int, int], Diagnostic]] = {}
    for diagnostic in found:
        span = next((label.span for label in diagnostic.labels() if label.span), None)
        if span is None:
            unique[diagnostic.title()] = ((-1, 0), diagnostic)
            continue
        place = _outermost(span)
        order = files.setdefault(place.source.name, len(files))
        key = (type(diagnostic), span.source.name, span.start, span.stop)
        unique.setdefault(key, ((order, place.start), diagnostic))
    return tuple(entry for _, entry in sorted(unique.values(), key=lambda pair: pair[0]))


def _outermost(span: Span) -> Span:
    while span.via is not None:
        span = span.via
    return span
