"""From text to tokens: words, signs, and which newlines end a statement."""

import re
from functools import cache
from typing import NamedTuple

from ...grammar import tables
from ..syntax.source import Source, Span
from ..syntax.statement import Comment

BREAK = "_BREAK"
END = "$END"
STRAY = "STRAY"
"""The kind of a character that begins no token."""

_CONTINUES = frozenset(
    "COMMA EQUAL ADD_TO UPDATE TILDE ARROW PLUS MINUS MULTIPLY POWER COMPARE RANGE AMPERSAND"
    " AND OR NOT EXCEPT".split()
)
"""After these a newline does not count."""
_OPENS = {"LPAR": 1, "LSQB": 1, "RPAR": -1, "RSQB": -1}
_SEMICOLON, _SEPARATOR = re.compile(";"), re.compile(r"[;\n]")
_LAYOUT = re.compile(r"[ \t\r\n;]+|#[^\n]*")


class Token(NamedTuple):
    """A word or sign of the text. (A named tuple, as it is made a hundred thousand times.)"""

    kind: str
    text: str
    start: int
    stop: int


class Scanner:
    """Reads a text token by token; what the parser can use decides what a word is."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.position = 0
        self.brackets = 0
        """Open parentheses and square brackets: in them newlines do not count."""
        self.comments: list[Comment] = []
        self._previous = BREAK
        self._plain, self._selecting = _patterns()
        self._words = tables.load().words
        if source.text.startswith("\ufeff"):
            self.position = 1

    def next(self, row: dict[str, int]) -> Token:
        """The next token, given the symbols that the parser can use now."""
        selecting = "PATTERN" in row
        text = self.source.text
        while True:
            match = selecting and self._selecting.match(text, self.position)
            match = match or self._plain.match(text, self.position)
            kind = match.lastgroup if match else None
            if match is None or kind is None:
                return self._rest()
            if kind == BREAK:
                broken = self._layout()
                if broken is not None:
                    return broken
                continue
            start, stop = match.span(kind)
            word = text[start:stop]
            if kind == "NAME":
                keyword = self._words.get(word)
                if keyword is not None and (keyword in row or "NAME" not in row):
                    kind = keyword
            elif kind in _OPENS:
                self.brackets += _OPENS[kind]
            self.position = stop
            self._previous = kind
            return Token(kind, word, start, stop)

    def resume(self, position: int, *, brackets: int) -> None:
        """Goes on somewhere else, after a mistake."""
        self.position = position
        self.brackets = brackets
        self._previous = STRAY

    def _layout(self) -> Token | None:
        """Skips blank space and comments; a token if they end a statement."""
        quiet = self.brackets > 0 or self._previous in _CONTINUES
        ends = _SEMICOLON if quiet else _SEPARATOR
        first: int | None = None
        while match := _LAYOUT.match(self.source.text, self.position):
            begin, self.position = match.span()
            if match[0].startswith("#"):
                self._comment(match[0].rstrip(), begin)
            elif first is None and (end := ends.search(match[0])):
                first = begin + end.start()
        if first is None or self._previous in {BREAK, "LBRACE"}:
            return None
        self._previous = BREAK
        return Token(BREAK, self.source.text[first], first, first + 1)

    def _comment(self, text: str, start: int) -> None:
        if self.comments and self.comments[-1].span.start >= start:
            return
        self.comments.append(Comment(text, Span(self.source, start, start + len(text))))

    def _rest(self) -> Token:
        """The end of the text, or a character that begins no token."""
        text = self.source.text
        while self.position < len(text) and text[self.position] in " \t\r":
            self.position += 1
        start = self.position
        if start == len(text):
            return Token(END, "", start, start)
        return Token(STRAY, text[start], start, start + 1)


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The tokens of statements and formulas, and those of a selector, where a word may hold dots
    and stars.
    """
    patterns = tables.load().patterns
    plain = [name for name in patterns if name not in {"PATTERN", "CLASS"}]
    plain.sort(key=lambda name: name != "NAME")
    selecting = ["PATTERN", "STRING", "CLASS", "LPAR", "RPAR"]
    return _alternatives(plain, patterns), _alternatives(selecting, patterns)


def _alternatives(names: list[str], patterns: dict[str, str]) -> re.Pattern[str]:
    groups = "|".join(f"(?P<{name}>{patterns[name]})" for name in names)
    return re.compile(rf"[ \t\r]*+(?:{groups}|(?P<{BREAK}>[\n;#]))")
