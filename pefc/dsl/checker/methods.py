"""A method definition: its parameters, its declarations from top to bottom, its rules."""

from collections.abc import Iterator
from typing import Literal

from .. import diagnostics
from ..diagnostics.report import Diagnostic, SpecError
from ..evaluation import evaluate
from ..syntax.expression import Name, Text
from ..syntax.method import (
    Affine,
    Enumeration,
    Extend,
    Indices,
    Init,
    Let,
    Method,
    MethodItem,
    Module,
    NamedType,
    Parameter,
    Rebase,
    Rule,
    Tensor,
    Tune,
    When,
)
from ..syntax.source import Span
from ..syntax.vocabulary import CONTEXT, FUNCTIONS, SITES, TYPES
from ..syntax.walk import walk
from .arguments import misfit
from .declarations import read
from .formulas import Frame, Known, Place, Stage, look
from .parameters import takes_text, type_of


def check_method(method: Method) -> list[Diagnostic]:
    """The mistakes of a method definition."""
    if method.site not in SITES:
        known = tuple(SITES)
        return [diagnostics.UnknownSite(method.site, _site_span(method), known)]
    frame = _frame(method)
    frame.found += check_parameters(method.parameters)
    for parameter in method.parameters:
        _enter(parameter, frame)
    for item in method.body:
        read(item, frame)
    _unused(method, frame)
    if not any(_has_effect(item) for item in method.body):
        words = SITES[method.site]
        known = (*words.targets, *words.extends, *words.tunes)
        frame.found.append(
            diagnostics.NoEffect(method.name, method.name_span, tuple(dict.fromkeys(known)))
        )
    return frame.found


def check_parameters(parameters: tuple[Parameter, ...]) -> list[Diagnostic]:
    """The mistakes in names, types and constant defaults of parameters."""
    found: list[Diagnostic] = []
    seen: dict[str, Span] = {}
    for parameter in parameters:
        first = seen.setdefault(parameter.name, parameter.span)
        if first is not parameter.span:
            found.append(diagnostics.DuplicateParameter(parameter.name, parameter.span, first))
        found.extend(_type(parameter))
        found.extend(_default(parameter))
    return found


def _type(parameter: Parameter) -> Iterator[Diagnostic]:
    match parameter.type:
        case NamedType(name, span) if name not in TYPES:
            yield diagnostics.UnknownType(name, span, TYPES)
        case Enumeration(members, span):
            for member in members:
                if members.count(member) > 1:
                    yield diagnostics.DuplicateParameter(member, span, span)
        case _:
            pass


def _default(parameter: Parameter) -> Iterator[Diagnostic]:
    """Mistakes of a default that is a constant by itself."""
    default, kind = parameter.default, type_of(parameter)
    if default is None:
        return
    if not isinstance(kind, str):
        text = takes_text(parameter)
        is_member = isinstance(default, Name) and default.name in kind
        if not is_member and not (text and isinstance(default, Text)):
            yield diagnostics.UnknownMember(
                parameter.name, f"`{default.span.text}`", default.span, kind, text
            )
        return
    if any(isinstance(node, Name) for node in walk(default)):
        return
    try:
        mistake = misfit(evaluate(default, {}), kind, parameter.name, default.span)
    except SpecError as error:
        yield from error.diagnostics
        return
    if mistake is not None:
        yield mistake


def _frame(method: Method) -> Frame:
    """The names that a kind of site offers."""
    words = SITES[method.site]
    names = {dim: Known(Stage.SIZE, owner="a dim of the site") for dim in words.dims}
    weights = dict.fromkeys(words.weights, Known(Stage.TENSOR, owner="a value of the site"))
    ports = dict.fromkeys(
        (*words.ports, *CONTEXT), Known(Stage.FORWARD, owner="a port of the site")
    )
    members = {
        member
        for parameter in method.parameters
        if isinstance(parameter.type, Enumeration)
        for member in parameter.type.members
    }
    later = dict(_declared(method.body))
    return Frame(method.site, {**names, **weights, **ports}, frozenset(members), later, [])


def _enter(parameter: Parameter, frame: Frame) -> None:
    """Makes a parameter known, after a look at its default."""
    kind = type_of(parameter)
    if parameter.default is not None and isinstance(kind, str):
        look(parameter.default, Place(Stage.SIZE, "the default of a parameter"), frame)
    first = frame.names.get(parameter.name)
    if first is not None and first.span is None:
        frame.found.append(diagnostics.Rebound(parameter.name, parameter.span, first.owner))
    role = _role(parameter)
    stage = Stage.SIZE if role == "value" else Stage.FORWARD
    frame.names[parameter.name] = Known(
        stage,
        role,
        "a parameter",
        parameter.span,
        is_whole=_is_whole(parameter),
        is_function=_is_function(parameter),
    )


def _role(parameter: Parameter) -> Literal["value", "method", "methods"]:
    match parameter.type:
        case NamedType("method"):
            return "method"
        case NamedType("methods"):
            return "methods"
        case _:
            return "value"


def _is_whole(parameter: Parameter) -> bool:
    match parameter.type:
        case None:
            return True
        case NamedType(name):
            return name == "int" or name not in TYPES
        case _:
            return False


def _is_function(parameter: Parameter) -> bool:
    """Whether each member of an enumeration is a function of one argument."""
    match parameter.type:
        case Enumeration(members, text=False):
            return all(name in FUNCTIONS and FUNCTIONS[name].is_unary for name in members)
        case _:
            return False


def _declared(body: tuple[MethodItem, ...]) -> Iterator[tuple[str, Span]]:
    """Every name that a body declares."""
    for item in body:
        match item:
            case Tensor() | Affine() | Module():
                yield item.name, item.span
            case Indices() | Let() | Init():
                for name in item.names:
                    yield name, item.span
            case When(then=then, otherwise=otherwise):
                yield from _declared(then)
                yield from _declared(otherwise)
            case _:
                pass


def _unused(method: Method, frame: Frame) -> None:
    for parameter in method.parameters:
        if parameter.name not in frame.used:
            frame.found.append(
                diagnostics.UnusedParameter(method.name, parameter.name, parameter.span)
            )
    values = {name for node in walk(method) if isinstance(node, Let | Init) for name in node.names}
    for name, span in frame.later.items():
        if name not in frame.used:
            kind = diagnostics.UnusedValue if name in values else diagnostics.UnusedTensor
            frame.found.append(kind(name, span))


def _has_effect(item: MethodItem) -> bool:
    match item:
        case Rule() | Extend() | Tune() | Rebase():
            return True
        case When(then=then, otherwise=otherwise):
            return any(_has_effect(inner) for inner in (*then, *otherwise))
        case _:
            return False


def _site_span(method: Method) -> Span:
    """Where the kind of site stands in the head of a definition."""
    text = method.span.text
    start = text.find(method.site, text.find(" on ") + 1)
    if start < 0:
        return method.name_span
    span = method.span
    return Span(span.source, span.start + start, span.start + start + len(method.site), span.via)
