"""The items of a method definition, one by one: declarations, values, rules."""

from typing import assert_never

from .. import diagnostics
from ..evaluation import misfits, with_flags
from ..syntax.expression import Bool, Call, Expression, Name, Number, Text
from ..syntax.method import (
    Affine,
    Extend,
    Indices,
    Init,
    Let,
    Loss,
    MethodItem,
    Module,
    Rebase,
    Require,
    Rule,
    Shrink,
    Tensor,
    Tune,
    When,
)
from ..syntax.source import Span
from ..syntax.vocabulary import FUNCTIONS, MODULES, POLICIES, SITES
from .formulas import TEST, Frame, Known, Place, Stage, look
from .rules import FORMULA, check_extension, check_rule, offered, word_in

SIZE = Place(Stage.SIZE, "the size of a tensor")
DISTRIBUTION = Place(Stage.SIZE, "a distribution")
SEED = Place(Stage.SIZE, "a seed")
INITIAL = Place(Stage.TENSOR, "an initial value")
INIT = Place(Stage.TENSOR, "`init`")
CONDITION = Place(Stage.SIZE, "`require`")
SHRINK = Place(Stage.SIZE, "`shrink`")


def read(item: MethodItem, frame: Frame) -> None:
    """Checks an item and enters what it declares."""
    match item:
        case Tensor():
            _tensor(item, frame)
        case Affine():
            _affine(item, frame)
        case Indices():
            _indices(item, frame)
        case Module():
            _module(item, frame)
        case Let() | Init():
            _values(item, frame)
        case Require(condition):
            look(condition, CONDITION, frame)
        case When():
            _when(item, frame)
        case Rule():
            check_rule(item, frame)
        case Extend():
            check_extension(item, frame)
        case Tune():
            for parameter in item.parameters:
                offered("tune", parameter.name, parameter.span, SITES[frame.site].tunes, frame)
        case Loss(value):
            look(value, FORMULA, frame)
        case Shrink():
            _shrink(item, frame)
        case Rebase(value):
            look(value, INIT, frame)
            if not SITES[frame.site].weights:
                offered("rebase", "W", item.span, (), frame)
        case _:
            assert_never(item)


def _declare(name: str, span: Span, known: Known, frame: Frame) -> None:
    """Makes a name known, unless it means something already."""
    first = frame.names.get(name)
    words = SITES[frame.site]
    if first is not None:
        frame.found.append(diagnostics.Rebound(name, span, first.owner, first.span))
    elif name in FUNCTIONS or name in words.calls:
        frame.found.append(diagnostics.Rebound(name, span, "a function"))
    elif name in words.targets:
        frame.found.append(diagnostics.Rebound(name, span, "a target of rules"))
    else:
        frame.names[name] = known


def _tensor(item: Tensor, frame: Frame) -> None:
    for size in item.shape:
        _size(size, frame)
    _initial(item, frame)
    owner = "a tensor"
    _declare(item.name, item.span, Known(Stage.TENSOR, "value", owner, item.span), frame)


def _affine(item: Affine, frame: Frame) -> None:
    _size(item.source, frame)
    _size(item.target, frame)
    _initial(item, frame)
    _declare(item.name, item.span, Known(Stage.TENSOR, "map", "a map", item.span), frame)


def _indices(item: Indices, frame: Frame) -> None:
    for shape in item.shapes:
        for size in shape:
            _size(size, frame)
    for size in item.of or ():
        _size(size, frame)
    look(item.value, INIT, frame)
    for name in item.names:
        _declare(name, item.span, Known(Stage.TENSOR, "value", "an index", item.span), frame)


def _module(item: Module, frame: Frame) -> None:
    callee = item.call.function
    function = MODULES.get(callee.name) if isinstance(callee, Name) else None
    if function is None:
        name, span = callee.span.text, callee.span
        frame.found.append(diagnostics.UnknownFunction(name, span, tuple(MODULES)))
    else:
        frame.found.extend(misfits(function, with_flags(item.call)))
    for argument in with_flags(item.call).arguments:
        look(argument.value, SIZE, frame)
    _declare(item.name, item.span, Known(Stage.TENSOR, "map", "a module", item.span), frame)


def _size(size: Expression, frame: Frame) -> None:
    match size:
        case Number(value, span) if not isinstance(value, int) or value < 1:
            frame.found.append(diagnostics.WrongShape(span, "not an integer of at least 1"))
        case Text(span=span) | Bool(span=span):
            frame.found.append(diagnostics.WrongShape(span, "not a number"))
        case Name(name, span) if name in frame.names and not frame.names[name].is_whole:
            frame.used.add(name)
            frame.found.append(diagnostics.WrongShape(span, "a parameter of another type"))
        case _:
            look(size, SIZE, frame)


def _initial(item: Tensor | Affine, frame: Frame) -> None:
    """Checks the initial value, the distribution and the seed of a declaration."""
    if item.value is not None:
        look(item.value, INITIAL, frame)
    if item.distribution is not None:
        _distribution(item.distribution, frame)
    if item.seed is not None:
        look(item.seed, SEED, frame)


def _distribution(expression: Expression, frame: Frame) -> None:
    match expression:
        case Call(Name(name, span), arguments):
            pass
        case Name(name, span):
            arguments = ()
        case _:
            known = _distributions()
            frame.found.append(
                diagnostics.UnknownDistribution(expression.span.text, expression.span, known)
            )
            return
    function = FUNCTIONS.get(name)
    if function is None or function.family != "distribution":
        frame.found.append(diagnostics.UnknownDistribution(name, span, _distributions()))
        return
    call = expression if isinstance(expression, Call) else Call(expression, (), expression.span)
    frame.found.extend(misfits(function, call))
    if name == "vocabulary" and frame.site != "tokens":
        frame.found.append(diagnostics.UnfitDistribution(name, frame.site, span))
    for argument in arguments:
        if function.parameters == ("distribution",):
            _distribution(argument.value, frame)
        else:
            look(argument.value, DISTRIBUTION, frame)


def _distributions() -> tuple[str, ...]:
    return tuple(name for name, entry in FUNCTIONS.items() if entry.family == "distribution")


def _values(item: Let | Init, frame: Frame) -> None:
    place = FORMULA if isinstance(item, Let) else INIT
    stages = [look(value, place, frame) for value in item.values]
    names, parts = len(item.names), len(item.values)
    if parts == 1:
        parts = _parts(item.values[0])
        stages *= parts
    if names != parts:
        frame.found.append(diagnostics.WrongUnpacking(names, parts, item.span))
        stages = [max(stages)] * names
    least = Stage.SIZE if isinstance(item, Let) else Stage.TENSOR
    for name, stage in zip(item.names, stages, strict=True):
        _declare(name, item.span, Known(max(stage, least), "value", "a value", item.span), frame)


def _parts(value: Expression) -> int:
    match value:
        case Call(Name(name)) if name in FUNCTIONS:
            return FUNCTIONS[name].results
        case _:
            return 1


def _when(item: When, frame: Frame) -> None:
    look(item.test, TEST, frame)
    then, otherwise = frame.branch(), frame.branch()
    for inner in item.then:
        read(inner, then)
    for inner in item.otherwise:
        read(inner, otherwise)
    _merge(then, frame)
    _merge(otherwise, frame)


def _merge(branch: Frame, frame: Frame) -> None:
    """Makes known what a branch declares; what both declare is known when the later one is."""
    for name, known in branch.names.items():
        other = frame.names.get(name)
        if other is None or known.stage > other.stage:
            frame.names[name] = known


def _shrink(item: Shrink, frame: Frame) -> None:
    look(item.to, SHRINK, frame)
    known = frame.names.get(item.dim)
    if known is None or known.owner != "a parameter":
        names = tuple(name for name, entry in frame.names.items() if entry.owner == "a parameter")
        span = word_in(item.span, item.dim)
        frame.found.append(
            diagnostics.UnknownPolicy(item.dim, span, names, "no parameter of the method")
        )
    frame.used.add(item.dim)
    name = item.policy.function.span.text
    if name in POLICIES:
        frame.found.extend(misfits(POLICIES[name], item.policy))
    else:
        span, known = item.policy.function.span, tuple(POLICIES)
        frame.found.append(diagnostics.UnknownPolicy(name, span, known, "no allocator"))
    for argument in item.policy.arguments:
        look(argument.value, SHRINK, frame)
