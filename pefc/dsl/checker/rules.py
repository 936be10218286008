"""The rules of a method definition: what they assign, extend or shift, and with what."""

from .. import diagnostics
from ..syntax.expression import Bool, Expression, Name, Number, Text, Unary
from ..syntax.method import Extend, Rule
from ..syntax.source import Span
from ..syntax.vocabulary import SITES
from .formulas import Frame, Place, Stage, look, look_positions

WEIGHT = Place(Stage.TENSOR, "a rule on the site's own parameters")
FORMULA = Place(Stage.FORWARD, "a formula")
SHIFT = Place(Stage.SIZE, "a shift of positions")


def check_rule(item: Rule, frame: Frame) -> None:
    """Checks the target, the formula and the restrictions of a rule."""
    if item.target == "positions" and "positions" in SITES[frame.site].targets:
        _shift(item, frame)
        return
    offered("assign", item.target, _start(item.span, item.target), SITES[frame.site].targets, frame)
    look(item.value, WEIGHT if item.target in ("weight", "bias") else FORMULA, frame)
    if item.over is not None:
        look(item.over, Place(Stage.SIZE, "the probability of a dropout"), frame)
        if item.target not in ("weight", "output"):
            frame.found.append(diagnostics.IllegalOver(item.target, item.over.span))
    if item.where is not None:
        look_positions(item.where, frame)


def _shift(item: Rule, frame: Frame) -> None:
    """Checks `positions += e`."""
    match item:
        case Rule(operator="+=", over=None, where=None):
            _whole(item.value, frame)
        case Rule(operator="+="):
            place = (item.over or item.where or item.value).span
            reason = "a shift holds for every token, at every time"
            frame.found.append(diagnostics.IllegalShift(place, reason))
        case _:
            reason = f"`{item.operator}` is no shift"
            frame.found.append(diagnostics.IllegalShift(item.span, reason))


def _whole(value: Expression, frame: Frame) -> None:
    """Checks what positions are shifted by."""
    match value:
        case Number(number, span) if not isinstance(number, int):
            frame.found.append(diagnostics.IllegalShift(span, "not a whole number"))
        case Unary("-", _, span):
            frame.found.append(diagnostics.IllegalShift(span, "there are no positions below 0"))
        case Text(span=span) | Bool(span=span):
            frame.found.append(diagnostics.IllegalShift(span, "not a number"))
        case Name(name, span) if name in frame.names and not frame.names[name].is_whole:
            frame.used.add(name)
            frame.found.append(diagnostics.IllegalShift(span, "a parameter of another type"))
        case _:
            look(value, SHIFT, frame)


def check_extension(item: Extend, frame: Frame) -> None:
    """Checks what a sequence is lengthened by."""
    for target in item.targets:
        span = word_in(item.span, target)
        offered("extend", target, span, SITES[frame.site].extends, frame)
    for value in item.values:
        look(value, FORMULA, frame)


def offered(verb: str, name: str, span: Span, known: tuple[str, ...], frame: Frame) -> None:
    """Reports what a kind of site does not offer."""
    if name not in known:
        frame.found.append(diagnostics.IllegalTarget(verb, name, frame.site, span, known))


def _start(span: Span, word: str) -> Span:
    return Span(span.source, span.start, span.start + len(word), span.via)


def word_in(span: Span, word: str) -> Span:
    """The last place of a word inside a span."""
    place = span.text.rfind(word)
    return (
        span
        if place < 0
        else _start(Span(span.source, span.start + place, span.stop, span.via), word)
    )
