"""A checked spec as a text that needs no other file: constants worked out, recipes and aliases
expanded.
"""

from collections.abc import Callable, Iterator

from ..syntax.expression import (
    Argument,
    Bool,
    Expression,
    Name,
    Number,
    Range,
    Sequence,
    Text,
    Unary,
)
from ..syntax.method import Enumeration, Method, NamedType, Use
from ..syntax.source import Source, Span
from ..syntax.statement import Attach, Constant, Modify, Spec, Statement, Task, TuneStatement
from ..syntax.walk import walk
from .spec import Attachment, Checked, Fusion, Modified, Quantization, Step, Tuning, Value, leaves

_NOWHERE = Span(Source("<canonical>", ""), 0, 0)


def canonical(checked: Checked, is_standard: Callable[[Method], bool]) -> Spec:
    """The spec that does the same without imports, recipes, aliases and overrides.

    Methods that are not of the standard library are written out in full.
    """
    methods: dict[str, Method] = {}
    for step in leaves(checked.steps):
        if isinstance(step, Attachment) and not is_standard(step.method):
            methods[step.method.name] = step.method
    constants = tuple(_constant(name, value) for name, value in _used(checked))
    statements = tuple(_statements(checked.steps))
    return Spec((*methods.values(), *constants, *statements), span=_NOWHERE)


def _used(checked: Checked) -> tuple[tuple[str, Value], ...]:
    """The constants that layers and conditions of selections name; arguments are written as
    values.
    """
    used = {
        node.name
        for step in leaves(checked.steps)
        if step.selection is not None
        for node in walk(step.selection)
        if isinstance(node, Name)
    }
    return tuple((name, value) for name, value in checked.constants if name in used)


def _constant(name: str, value: Value) -> Constant:
    return Constant(name, _expression(value), overridable=False, name_span=_NOWHERE, span=_NOWHERE)


def _statements(steps: tuple[Step, ...]) -> Iterator[Statement]:
    """One statement a step; those of a task stand inside of it, all together."""
    names = [_task(step) for step in steps]
    for place, (step, name) in enumerate(zip(steps, names, strict=True)):
        if name is None:
            yield _statement(step)
        elif name not in names[:place]:
            own = (s for s, other in zip(steps, names, strict=True) if other == name)
            yield Task(name, tuple(map(_statement, own)), _NOWHERE, _NOWHERE)


def _task(step: Step) -> str | None:
    """The task of a step, which is that of everything inside of it."""
    match step:
        case Modified(body=(first, *_)):
            return _task(first)
        case Attachment() | Tuning():
            return step.task
        case _:
            return None


def _statement(step: Step) -> Statement:
    match step:
        case Attachment(method, arguments, selection, label, expect, settings):
            use = Use(method.name, _arguments(arguments, method), _NOWHERE, _NOWHERE)
            name = None if label == method.name else label
            return Attach(use, selection, name, expect, settings, span=_NOWHERE)
        case Tuning(what, selection, expect, settings):
            return TuneStatement(what, selection, expect, settings, span=_NOWHERE)
        case Quantization(arguments, selection):
            return Attach(
                Use("quantize", _arguments(arguments, None), _NOWHERE, _NOWHERE),
                selection,
                span=_NOWHERE,
            )
        case Fusion(members, selection):
            names = tuple(Argument(None, Name(member, _NOWHERE), _NOWHERE) for member in members)
            return Attach(Use("fuse", names, _NOWHERE, _NOWHERE), selection, span=_NOWHERE)
        case Modified(modifier, arguments, body):
            use = Use(modifier, _arguments(arguments, None), _NOWHERE, _NOWHERE)
            return Modify(use, tuple(_statement(inner) for inner in body), _NOWHERE)


def _arguments(
    arguments: tuple[tuple[str, Value], ...], method: Method | None
) -> tuple[Argument, ...]:
    parameters = {p.name: p.type for p in method.parameters} if method else {}
    return tuple(
        Argument(
            name,
            _given(value, parameters.get(name)),
            _NOWHERE,
        )
        for name, value in arguments
    )


def _given(value: Value, kind: NamedType | Enumeration | None) -> Expression:
    """A value of a type: a member stands bare."""
    if isinstance(kind, Enumeration) and value in kind.members:
        return Name(str(value), _NOWHERE)
    return _expression(value)


def _expression(value: Value) -> Expression:
    match value:
        case bool():
            return Bool(value, _NOWHERE)
        case int() | float() if value < 0:
            return Unary("-", Number(-value, _NOWHERE), _NOWHERE)
        case int() | float():
            return Number(value, _NOWHERE)
        case str():
            return Text(value, _NOWHERE)
        case range():
            return Range(_expression(value.start), _expression(value.stop - 1), _NOWHERE)
        case _:
            return Sequence(tuple(_expression(item) for item in value), _NOWHERE)
