"""Attachments, `tune`, `quantize` and `fuse`: their places, labels, counts and settings."""

from collections.abc import Iterator
from dataclasses import replace

from .. import diagnostics
from ..checked import Attachment, Fusion, Quantization, Tuning
from ..diagnostics.report import Diagnostic, SpecError
from ..diagnostics.suggestions import nearest
from ..evaluation import describe, evaluate
from ..syntax.expression import Argument, Factor, Name, Number
from ..syntax.method import Affine, Module, Tensor
from ..syntax.selector import Selection
from ..syntax.source import Span
from ..syntax.statement import Attach, Setting, TuneStatement
from ..syntax.vocabulary import DTYPES, SETTINGS, SITES, SYNONYMS
from ..syntax.walk import walk
from .arguments import bind
from .parameters import builtin_table
from .scope import Constants, Run, Scope, Usable
from .selectors import resolved
from .substitution import literal

_LEAST = 2
"""Members of a fusion."""


def attachment(
    statement: Attach, usable: Usable, scope: Scope, run: Run, task: str | None
) -> Attachment:
    """A method at a selection."""
    use, constants, found = statement.use, scope.constants, run.found
    bound = bind(use, usable.table, constants=constants, found=found)
    places = {parameter.name: n for n, parameter in enumerate(usable.method.parameters)}
    arguments = tuple(sorted(bound, key=lambda pair: places.get(pair[0], len(places))))
    selection = _selection(statement.selection, constants, found)
    _target(statement, usable, found)
    settings = statement.settings
    if settings:
        settings = _settings(settings, usable.table.owner, usable.tensors, constants, found)
        found.extend(_of_base(usable, settings))
    label = statement.label or use.name
    first = run.labels.setdefault((task, label, selection), statement)
    if first is not statement:
        found.append(diagnostics.DuplicateLabel(label, use.span, first.use.span))
    return Attachment(
        usable.method, arguments, selection, label, statement.expect, settings, task, statement.span
    )


def tuning(statement: TuneStatement, scope: Scope, run: Run, task: str | None) -> Tuning:
    """The model's own parameters, trained."""
    selection = resolved(statement.selection, scope.constants, run.found)
    tensors = ("weight", "bias") if statement.what is None else (statement.what,)
    settings = _settings(statement.settings, "tune", tensors, scope.constants, run.found)
    of_base = (setting for setting in settings if setting.name == "dtype")
    run.found.extend(diagnostics.DtypeOfBase("tune", setting.span) for setting in of_base)
    return Tuning(statement.what, selection, statement.expect, settings, task, statement.span)


def quantization(statement: Attach, scope: Scope, run: Run) -> Quantization:
    """Base weights in few bits."""
    unwanted(replace(statement, selection=None), run, "`quantize` takes `on SELECTOR` only")
    table = builtin_table("quantize")
    arguments = bind(statement.use, table, constants=scope.constants, found=run.found)
    selection = _selection(statement.selection, scope.constants, run.found)
    return Quantization(arguments, selection, statement.span)


def fusion(statement: Attach, scope: Scope, run: Run) -> Fusion:
    """AdapterFusion over tasks."""
    use = statement.use
    unwanted(replace(statement, selection=None), run, "`fuse` takes `on SELECTOR` only")
    members = tuple(_member(argument, run) for argument in use.arguments)
    if len(members) < _LEAST:
        run.found.append(diagnostics.FewMembers(use.span))
    first: dict[str, Span] = {}
    for name, argument in zip(members, use.arguments, strict=True):
        if name in first:
            run.found.append(diagnostics.RepeatedMember(name, argument.span, first[name]))
        first.setdefault(name, argument.span)
    selection = _selection(statement.selection, scope.constants, run.found)
    return Fusion(members, selection, statement.span)


def unwanted(statement: Attach, run: Run, allowed: str) -> None:
    """Reports clauses that have no meaning at a statement."""
    name = statement.use.name
    clauses: list[tuple[str, Span]] = []
    if statement.selection is not None:
        clauses.append(("on", statement.selection.span))
    tail = Span(
        statement.span.source, statement.use.span.stop, statement.span.stop, statement.span.via
    )
    if statement.label is not None:
        clauses.append(("as", tail))
    if statement.expect is not None:
        clauses.append(("expect", tail))
    if statement.settings:
        clauses.append(("with", statement.settings[0].span))
    run.found.extend(
        diagnostics.UnwantedClause(name, clause, _trimmed(span), allowed)
        for clause, span in clauses
    )


def _trimmed(span: Span) -> Span:
    """A span without blanks at its start."""
    blanks = len(span.text) - len(span.text.lstrip())
    return Span(span.source, span.start + blanks, span.stop, span.via)


def _member(argument: Argument, run: Run) -> str:
    name = argument.value.name if isinstance(argument.value, Name) else argument.value.span.text
    known = (*run.tasks, *run.living)
    if argument.name is not None or name not in known:
        run.found.append(diagnostics.UnknownTask(name, argument.span, known))
    return name


def _selection(
    selection: Selection | None, constants: Constants, found: list[Diagnostic]
) -> Selection | None:
    return None if selection is None else resolved(selection, constants, found)


def _target(statement: Attach, usable: Usable, found: list[Diagnostic]) -> None:
    """Reports a missing selector, or one that the method has no use for."""
    words = SITES.get(usable.method.site)
    if words is None:
        return
    name, selection = statement.use.name, statement.selection
    if selection is None:
        if words.selector == "required":
            found.append(diagnostics.MissingTarget(name, words.kind, statement.use.span))
    elif words.selector == "forbidden":
        found.append(diagnostics.UnwantedTarget(name, selection.span))


def _settings(
    settings: tuple[Setting, ...],
    owner: str,
    tensors: tuple[str, ...],
    constants: Constants,
    found: list[Diagnostic],
) -> tuple[Setting, ...]:
    """The settings with their values."""
    seen: dict[tuple[str, str | None], Span] = {}
    for setting in settings:
        key = (setting.name, setting.tensor)
        if key in seen:
            found.append(diagnostics.RepeatedSetting(setting.name, setting.span, seen[key]))
        seen.setdefault(key, setting.span)
        if setting.name not in SETTINGS:
            meant = SYNONYMS.get(setting.name)
            meant = meant if meant in SETTINGS else nearest(setting.name, SETTINGS)
            found.append(diagnostics.UnknownSetting(setting.name, setting.span, SETTINGS, meant))
        if setting.tensor is not None and setting.name == "dtype":
            found.append(diagnostics.DtypeOfTensor(setting.tensor, setting.span))
        elif setting.tensor is not None and setting.tensor not in tensors:
            found.append(diagnostics.UnknownTensor(owner, setting.tensor, setting.span, tensors))
    return tuple(_valued(setting, constants, found) for setting in settings)


def _valued(setting: Setting, constants: Constants, found: list[Diagnostic]) -> Setting:
    value, span = setting.value, setting.value.span
    if setting.name == "dtype":
        return _with_dtype(setting, constants, found)
    try:
        result = evaluate(value, constants)
    except SpecError as error:
        found.extend(error.diagnostics)
        return setting
    if isinstance(result, bool) or not isinstance(result, int | float):
        found.append(
            diagnostics.WrongType(setting.name, "a number or a factor", describe(result), span)
        )
        return setting
    if isinstance(value, Factor) and setting.name == "decay":
        found.append(diagnostics.WrongType("decay", "a number", f"the factor {span.text}", span))
    if result < 0:
        found.append(diagnostics.NegativeSetting(setting.name, f"{result:g}", span))
    return (
        setting
        if isinstance(value, Factor | Number)
        else replace(setting, value=literal(result, span))
    )


def _with_dtype(setting: Setting, constants: Constants, found: list[Diagnostic]) -> Setting:
    """`dtype=bf16`, with the member itself as its value."""
    value, span = setting.value, setting.value.span
    try:
        result = evaluate(value, {**{name: name for name in DTYPES}, **constants})
    except SpecError:
        result = None
    if isinstance(result, str) and result in DTYPES:
        return replace(setting, value=Name(result, span))
    found.append(diagnostics.UnknownMember("dtype", f"`{span.text}`", span, DTYPES))
    return setting


def _of_base(usable: Usable, settings: tuple[Setting, ...]) -> Iterator[Diagnostic]:
    """Reports the dtype of a method that trains parameters of the base alone."""
    if any(isinstance(item, Affine | Module | Tensor) for item in walk(usable.method)):
        return
    for setting in settings:
        if setting.name == "dtype":
            yield diagnostics.DtypeOfBase(usable.method.name, setting.span)
