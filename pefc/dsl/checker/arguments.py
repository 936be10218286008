"""Arguments bound to parameters: by keyword, by position, or bare as a member or the name of a
bool.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .. import diagnostics
from ..checked import Value
from ..diagnostics.report import Diagnostic, SpecError
from ..diagnostics.suggestions import nearest
from ..evaluation import describe, evaluate
from ..syntax.expression import Argument, Expression, Name
from ..syntax.method import Use
from ..syntax.source import Span
from .parameters import Table, Type, words


@dataclass(slots=True)
class _Binding:
    """The arguments that were read so far."""

    table: Table
    constants: Mapping[str, Value]
    found: list[Diagnostic]
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    places: dict[str, Span] = field(default_factory=dict[str, Span])
    keyword: bool = False
    """Whether an argument was given by keyword."""


def bind(
    use: Use, table: Table, *, constants: Mapping[str, Value], found: list[Diagnostic]
) -> tuple[tuple[str, Value], ...]:
    """The arguments with their values, in the order of the parameters; mistakes go to `found`."""
    if not use.arguments and not table.required:
        return table.fixed
    binding = _Binding(table, constants, found)
    for argument in use.arguments:
        if argument.name is None:
            _positional(argument.value, binding)
        else:
            _keyword(argument, argument.name, binding)
    meanings = dict(table.meanings)
    found += [
        diagnostics.MissingArgument(table.owner, name, words(kind), use.span, meanings.get(name))
        for name, kind in table.types.items()
        if name in table.required and name not in binding.places
    ]
    own = tuple((name, binding.values[name]) for name in table.types if name in binding.values)
    return (*table.fixed, *own)


def _keyword(argument: Argument, name: str, binding: _Binding) -> None:
    table = binding.table
    binding.keyword = True
    span = _name_span(argument, name)
    if name not in table.types:
        if any(name == fixed for fixed, _ in table.fixed):
            binding.found.append(
                diagnostics.FixedArgument(table.owner, name, table.base, argument.span)
            )
        else:
            binding.found.append(
                diagnostics.UnknownArgument(table.owner, name, span, tuple(table.types))
            )
        return
    _give(name, argument.value, argument.span, binding)


def _name_span(argument: Argument, name: str) -> Span:
    span = argument.span
    return Span(span.source, span.start, span.start + len(name), span.via)


def _positional(expression: Expression, binding: _Binding) -> None:
    if isinstance(expression, Name) and _bare(expression, binding):
        return
    table = binding.table
    free = tuple(name for name in table.types if name not in binding.places)
    if not free:
        most = len(table.types)
        binding.found.append(
            diagnostics.TooManyArguments(table.owner, most, expression.span, tuple(table.types))
        )
    elif binding.keyword:
        binding.found.append(diagnostics.PositionalAfterKeyword(table.owner, expression.span, free))
    else:
        _give(free[0], expression, expression.span, binding)


def _bare(name: Name, binding: _Binding) -> bool:
    """Whether a bare name was a member or the name of a bool, or a mistake for one of these."""
    table = binding.table
    word = name.name
    if word in table.members:
        takers = [
            key for key, kind in table.types.items() if not isinstance(kind, str) and word in kind
        ]
        taker = next((key for key in takers if key not in binding.places), takers[0])
        _give(taker, name, name.span, binding)
        return True
    if table.types.get(word) == "bool" and word not in binding.constants:
        if _is_new(word, name.span, binding):
            binding.values[word] = True
        return True
    if word in binding.constants:
        return False
    bools = [key for key, kind in table.types.items() if kind == "bool"]
    known = (*sorted(table.members), *bools, *binding.constants)
    hint = _hint(word, table) or (None if nearest(word, known) else _quotes(word, table))
    binding.found.append(diagnostics.UnknownName(word, name.span, known, hint))
    return True


def _hint(word: str, table: Table) -> str | None:
    """Help for a name that is a parameter of the method, where a constant was meant."""
    if word not in table.types:
        return None
    return (
        f"`{word}` is a parameter of `{table.owner}`, no constant: define it with `let {word} = …`"
    )


def _quotes(word: str, table: Table) -> str | None:
    """Help for a word that was probably meant as a text."""
    taker = next((name for name in table.types if name in table.texts), None)
    return None if taker is None else f'any text goes in quotes: `{taker}="{word}"`'


def _is_new(name: str, span: Span, binding: _Binding) -> bool:
    first = binding.places.get(name)
    if first is not None:
        binding.found.append(diagnostics.RepeatedArgument(name, span, first))
        return False
    binding.places[name] = span
    return True


def _give(name: str, expression: Expression, span: Span, binding: _Binding) -> None:
    if not _is_new(name, span, binding):
        return
    table = binding.table
    value = value_of(expression, table.types[name], name, binding)
    if value is None:
        return
    if name in table.sizes and not isinstance(value, int):
        given = describe(value)
        binding.found.append(diagnostics.WrongType(name, "an integer", given, expression.span))
        return
    if name in table.sizes and isinstance(value, int) and value < 1:
        binding.found.append(diagnostics.NotPositive(name, str(value), expression.span))
        return
    binding.values[name] = value


def value_of(expression: Expression, kind: Type, name: str, binding: _Binding) -> Value | None:
    """The value of an argument of a type, or None after a mistake."""
    if not isinstance(kind, str):
        return _member(expression, kind, name, binding)
    try:
        value = evaluate(expression, binding.constants)
    except SpecError as error:
        binding.found.extend(_explained(entry, binding.table) for entry in error.diagnostics)
        return None
    mistake = misfit(value, kind, name, expression.span)
    if mistake is not None:
        binding.found.append(mistake)
        return None
    return value


def _explained(diagnostic: Diagnostic, table: Table) -> Diagnostic:
    if isinstance(diagnostic, diagnostics.UnknownName):
        hint = _hint(diagnostic.name, table)
        return diagnostics.UnknownName(diagnostic.name, diagnostic.span, diagnostic.known, hint)
    return diagnostic


def _member(
    expression: Expression, members: tuple[str, ...], name: str, binding: _Binding
) -> Value | None:
    """The member that is meant, or the text where the parameter takes any."""
    text = name in binding.table.texts
    if isinstance(expression, Name) and expression.name in members:
        return expression.name
    if isinstance(expression, Name) and expression.name not in binding.constants:
        shown = f"`{expression.name}`"
        binding.found.append(diagnostics.UnknownMember(name, shown, expression.span, members, text))
        return None
    try:
        value = evaluate(expression, binding.constants)
    except SpecError as error:
        binding.found.extend(error.diagnostics)
        return None
    if value in members or (text and isinstance(value, str)):
        return value
    given = describe(value)
    binding.found.append(diagnostics.UnknownMember(name, given, expression.span, members, text))
    return None


def misfit(value: Value, kind: str, name: str, span: Span) -> Diagnostic | None:
    """Why a value is not of a type."""
    match kind:
        case "value":
            fits = True
        case "int":
            fits = type(value) is int
        case "float":
            fits = type(value) is int or type(value) is float
        case "prob":
            fits = type(value) is int or type(value) is float
            if fits and not 0 <= value < 1:  # pyright: ignore[reportOperatorIssue]
                return diagnostics.NotProbability(name, f"{value:g}", span)
        case "bool":
            fits = type(value) is bool
        case "string":
            fits = type(value) is str
        case "range":
            fits = type(value) is range
        case _:
            fits = kind == "list" and type(value) is tuple
    return None if fits else diagnostics.WrongType(name, words(kind), describe(value), span)


def uncounted(use: Use, bound: tuple[tuple[str, Value], ...]) -> list[Diagnostic]:
    """Which arguments of `adapterdrop` are no counts of layers."""
    names = iter(name for name, _ in bound)
    places = {argument.name or next(names, ""): argument.value.span for argument in use.arguments}
    return [
        diagnostics.NotACount(name, describe(value), places.get(name, use.span))
        for name, value in bound
        if (isinstance(value, range) and (value.start < 0 or not value))
        or (isinstance(value, int) and value < 0)
    ]
