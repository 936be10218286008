"""Diagnostics as text: for people, one line each, and as data for tools. No colour and no printing
here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from unicodedata import combining, east_asian_width

from ..syntax.source import Source, Span
from .report import Diagnostic, Label

TAB = 4
WIDEST = 160
"""Columns of a source line that are shown; a longer line is cut around what is marked."""
SHOWN = 200
"""Diagnostics that are shown in full; a text with more has one mistake many times."""


def report(diagnostics: Iterable[Diagnostic], rest: str) -> str:
    """Diagnostics in full with blank lines between them, and their count; `rest` says where to find
    those that are too many to be shown.
    """
    found = tuple(diagnostics)
    blocks = [full(diagnostic).rstrip() for diagnostic in found[:SHOWN]]
    if len(found) > SHOWN:
        blocks.append(f"the first {SHOWN} are shown; {rest}")
    if len(found) > 1:
        blocks.append(_summary(found))
    return "\n\n".join(blocks)


def _summary(diagnostics: tuple[Diagnostic, ...]) -> str:
    """How many errors and warnings there are."""
    errors = sum(diagnostic.severity == "error" for diagnostic in diagnostics)
    counts = ((errors, "error"), (len(diagnostics) - errors, "warning"))
    return ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for n, word in counts if n)


def full(diagnostic: Diagnostic) -> str:
    """The diagnostic with its lines of source, notes and help."""
    head = f"{diagnostic.severity}[{diagnostic.code()}]: {diagnostic.title()}"
    labels = _with_uses(diagnostic.labels())
    placed = _marks(labels)
    width = max((len(str(mark.last)) for mark in placed), default=1)
    lines = [head, *_snippets(placed, width)]
    lines += [f"{' ' * width} = note: {label.text}" for label in labels if not label.span]
    lines += [f"{' ' * width} = note: {note}" for note in diagnostic.notes()]
    help_text = diagnostic.help()
    if help_text is not None:
        lines.append(f"{' ' * width} = help: {help_text}")
    return "\n".join(lines) + "\n"


def line(diagnostic: Diagnostic) -> str:
    """`file:line:column: error[code]: title`."""
    span = next((label.span for label in diagnostic.labels() if label.span), None)
    place = "" if span is None else f"{span}: "
    return f"{place}{diagnostic.severity}[{diagnostic.code()}]: {diagnostic.title()}"


def as_json(diagnostic: Diagnostic) -> dict[str, object]:
    """The diagnostic as plain data; offsets count characters, lines and columns count from 1."""
    fix = diagnostic.fix()
    return {
        "code": diagnostic.code(),
        "severity": diagnostic.severity,
        "title": diagnostic.title(),
        "labels": [
            {**_place(label.span), "text": label.text} for label in _with_uses(diagnostic.labels())
        ],
        "notes": list(diagnostic.notes()),
        "help": diagnostic.help(),
        "fix": None if fix is None else {**_place(fix.span), "replacement": fix.replacement},
    }


def _place(span: Span | None) -> dict[str, object]:
    if span is None:
        return {"file": None, "line": None, "column": None, "start": None, "stop": None}
    row, column = span.source.position(span.start)
    return {
        "file": span.source.name,
        "line": row,
        "column": column,
        "start": span.start,
        "stop": span.stop,
    }


def _with_uses(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """The labels, and after them the uses of recipes that brought their places in."""
    spans = [label.span for label in labels if label.span is not None]
    uses: list[Label] = []
    for span in spans:
        outer = span.via
        while outer is not None:
            if all(outer != label.span for label in (*labels, *uses)):
                uses.append(Label(outer, "in this use of the recipe"))
            outer = outer.via
    return (*labels, *uses)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A span in lines and columns, with what is said of it."""

    source: Source
    first: int
    last: int
    start: int
    """Where the span starts in its first line, from 0."""
    stop: int
    """Where it stops in its last line."""
    text: str

    @classmethod
    def of(cls, span: Span, text: str) -> "_Mark":
        first, start = span.source.position(span.start)
        last, stop = span.source.position(max(span.start, span.stop - 1))
        return cls(span.source, first, last, start - 1, stop - (span.stop <= span.start), text)

    def covers(self, other: "_Mark") -> bool:
        """Whether both mark the same characters."""
        return replace(self, text=other.text) == other


def _marks(labels: tuple[Label, ...]) -> list[_Mark]:
    """The marks of labels; a second one at the place of the primary one says nothing more."""
    marks = [_Mark.of(label.span, label.text) for label in labels if label.span is not None]
    return [mark for place, mark in enumerate(marks) if place == 0 or not mark.covers(marks[0])]


def _snippets(marks: list[_Mark], width: int) -> Iterator[str]:
    """One block a source, that of the primary mark first."""
    sources = list(dict.fromkeys(id(mark.source) for mark in marks))
    for place, key in enumerate(sources):
        own = [mark for mark in marks if id(mark.source) == key]
        arrow = "-->" if place == 0 else ":::"
        name = own[0].source.name
        yield f"{' ' * width}{arrow} {name}:{own[0].first}:{own[0].start + 1}"
        yield f"{' ' * width} |"
        yield from _lines(own, marks[0], width)


def _lines(marks: list[_Mark], primary: _Mark, width: int) -> Iterator[str]:
    shown = sorted({number for mark in marks for number in _numbers(mark)})
    previous: int | None = None
    for number in shown:
        if previous is not None and number > previous + 1:
            yield "..."
        previous = number
        here = [mark for mark in marks if number in (mark.first, mark.last)]
        text = marks[0].source.line(number)
        offset = _cut(text, min((_range(m, number, text)[0] for m in here), default=0))
        yield f"{number:>{width}} | {_shown(text[offset : offset + WIDEST])}".rstrip()
        for mark in sorted(here, key=lambda mark: (mark is not primary, mark.start)):
            yield f"{' ' * width} | {_underline(mark, primary, number, text, offset)}".rstrip()


def _numbers(mark: _Mark) -> Iterable[int]:
    """The lines of a mark that are shown: of a long one, its two ends."""
    if mark.last - mark.first < 4:
        return range(mark.first, mark.last + 1)
    return (mark.first, mark.last)


def _cut(text: str, start: int) -> int:
    return 0 if len(text) <= WIDEST else max(0, min(start - WIDEST // 2, len(text) - WIDEST))


def _range(mark: _Mark, number: int, text: str) -> tuple[int, int]:
    start = mark.start if number == mark.first else len(text) - len(text.lstrip())
    stop = mark.stop if number == mark.last else len(text)
    return start, max(stop, start)


def _underline(mark: _Mark, primary: _Mark, number: int, text: str, offset: int) -> str:
    start, stop = _range(mark, number, text)
    start, stop = max(start - offset, 0), min(max(stop - offset, 0), WIDEST)
    shown = text[offset : offset + WIDEST]
    pad = " " * _columns(shown[:start])
    sign = "^" if mark is primary else "-"
    signs = sign * max(1, _columns(shown[start:stop]))
    said = mark.text if number == mark.last else "…"
    return f"{pad}{signs} {said}"


def _shown(text: str) -> str:
    """Tabs as spaces, and characters that would move the cursor as a replacement sign."""
    return "".join(
        " " * TAB
        if letter == "\t"
        else letter
        if letter.isprintable()
        else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )


def _columns(text: str) -> int:
    """The columns that a text takes on a terminal."""
    if text.isascii():
        return len(text) + (TAB - 1) * text.count("\t")
    return sum(_width(letter) for letter in text)


def _width(letter: str) -> int:
    if letter == "\t":
        return TAB
    if combining(letter):
        return 0
    return 2 if east_asian_width(letter) in "WF" else 1
