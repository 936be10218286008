"""Lines on a page: blocks, indentation, long lines, blank lines and comments."""

import re

from ..syntax.expression import Text
from ..syntax.method import Method, MethodItem, When
from ..syntax.source import Source
from ..syntax.statement import Comment, Modify, Recipe, Spec, Statement, Task
from .expression import COMMA, text
from .method import item
from .statement import statement

WIDTH = 100

_STEP = "  "
_CONTINUATION = "    "
_BRACE = re.compile(r"#[^\n]*|([{}])")

Block = Modify | Task | Recipe | Method | When
Line = Statement | MethodItem | Text
"""What has a line of its own; the text is the documentation of a definition."""


def format(spec: Spec) -> str:
    """The canonical text of a spec."""
    page = _Page(spec.span.source, spec.comments)
    for node in spec.statements:
        page.node(node, "")
    page.comments_before(len(spec.span.source.text) + 1, "")
    return "".join(f"{line}\n" for line in page.lines)


class _Page:
    """The lines so far, and the comments that are still to be placed."""

    def __init__(self, source: Source, comments: tuple[Comment, ...]) -> None:
        self.lines: list[str] = []
        self._source = source
        self._comments = comments
        self._placed = 0
        self._row = 0
        """The line of the source where the last thing written ends; 0 at the start of a block."""
        self._commented = False
        """Whether a comment stands at the end of the last line."""

    def node(self, node: Line, indent: str) -> None:
        """A statement or an item, with the comments before it and beside it."""
        block = isinstance(node, Modify | Task | Recipe | Method | When)
        stop = self._brace(_head(node)) if block else node.span.stop
        row = self._row_of(node.span.start)
        self.comments_before(stop, indent, row)
        self._blank(row)
        self.lines.extend(_folded(_code(node) + (" {" if block else ""), indent))
        self._beside(stop)
        if block:
            self._block(node, stop, indent)

    def comments_before(self, stop: int, indent: str, row: int | None = None) -> None:
        """Comments that stand before an offset, each on its own line; those inside of the thing on
        `row` come first.
        """
        while self._placed < len(self._comments):
            comment = self._comments[self._placed]
            if comment.span.start >= stop:
                return
            found = self._row_of(comment.span.start)
            self._blank(found if row is None else min(found, row))
            self._row = found if row is None else min(found, row)
            self.lines.append(indent + comment.text)
            self._placed += 1

    def _block(self, node: Block, start: int, indent: str) -> None:
        """What stands between braces, and the closing one; `start` is where the opening one has
        been written.
        """
        body = _body(node)
        otherwise = node.otherwise if isinstance(node, When) else ()
        last = body[-1].span.stop if body else start
        close = self._brace(last) if otherwise else node.span.stop
        written = len(self.lines)
        self._inside(body, close - 1, indent)
        if isinstance(node, When) and otherwise:
            self._otherwise(node, close, indent)
            return
        if len(self.lines) == written and not self._commented:
            self.lines[-1] += "}"
        else:
            self.lines.append(f"{indent}}}")
        self._beside(close)

    def _otherwise(self, node: When, close: int, indent: str) -> None:
        """`} else {` or `} else if … {`, and what follows."""
        match node.otherwise:
            case (When() as chained,):
                code, start = f"}} else {_code(chained)} {{", self._brace(_head(chained))
            case _:
                chained, code, start = None, "} else {", self._brace(close)
        self.lines.extend(_folded(code, indent))
        self._beside(start)
        if chained is not None:
            self._block(chained, start, indent)
            return
        self._inside(node.otherwise, node.span.stop - 1, indent)
        self.lines.append(f"{indent}}}")
        self._beside(node.span.stop)

    def _inside(self, nodes: tuple[Line, ...], stop: int, indent: str) -> None:
        self._row = 0
        for node in nodes:
            self.node(node, indent + _STEP)
        self.comments_before(stop, indent + _STEP)

    def _beside(self, stop: int) -> None:
        """Puts a comment that stands right after an offset beside the last line."""
        self._row = self._row_of(stop)
        self._commented = False
        if self._placed == len(self._comments):
            return
        comment = self._comments[self._placed]
        between = self._source.text[stop : comment.span.start]
        if comment.span.start >= stop and not between.strip(" \t;"):
            self.lines[-1] += f"  {comment.text}"
            self._commented = True
            self._placed += 1

    def _blank(self, row: int) -> None:
        """A single blank line where the source has some."""
        if self._row and row > self._row + 1:
            self.lines.append("")

    def _row_of(self, offset: int) -> int:
        return self._source.position(offset)[0]

    def _brace(self, offset: int) -> int:
        """Where the next brace ends, comments left out; it counts only if there are comments to
        place.
        """
        if self._comments:
            for found in _BRACE.finditer(self._source.text, offset):
                if found[1]:
                    return found.end()
        return offset


def _code(node: Line) -> str:
    """The line of a node, without a brace."""
    if isinstance(node, Text):
        return text(node.value)
    if isinstance(node, Statement):
        return statement(node)
    return item(node)


def _head(node: Block) -> int:
    """An offset before the opening brace, and after every other."""
    match node:
        case Task():
            return node.name_span.stop
        case Modify():
            return node.use.span.stop
        case When():
            return node.test.span.stop
        case Method() | Recipe():
            return node.parameters[-1].span.stop if node.parameters else node.name_span.stop


def _body(node: Block) -> tuple[Line, ...]:
    match node:
        case Task() | Modify():
            return node.body
        case When():
            return node.then
        case Method() | Recipe() if node.documentation is not None:
            return (node.documentation, *node.body)
        case Method() | Recipe():
            return node.body


def _folded(code: str, indent: str) -> list[str]:
    """A line, broken after commas if it is too long."""
    flat = indent + code.replace(COMMA, ", ")
    if len(flat) <= WIDTH:
        return [flat]
    first, *pieces = code.split(COMMA)
    lines = [indent + first]
    for piece in pieces:
        if len(lines[-1]) + len(piece) + len(", ,") <= WIDTH:
            lines[-1] += f", {piece}"
        else:
            lines[-1] += ","
            lines.append(indent + _CONTINUATION + piece)
    return lines
