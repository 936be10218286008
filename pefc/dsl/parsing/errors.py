"""What to say of a token that has no place: what was found, what was expected, what was probably
meant.
"""

import re
import unicodedata

from ...grammar import tables
from .. import diagnostics
from ..diagnostics.report import Diagnostic
from ..diagnostics.suggestions import nearest
from ..syntax.source import Span
from .automaton import Automaton
from .hints import advise
from .lexer import BREAK, END, STRAY, Token
from .recovery import statement_starts

_WORD = re.compile(r"[A-Za-z0-9_]+")
_LONGEST = 30

_LOOKALIKES = str.maketrans("013", "ole")

_CLOSING = {"(": "RPAR", "[": "RSQB", "{": "RBRACE"}
_OPENING = {")": "(", "]": "[", "}": "{"}

_EXPRESSION = frozenset("NAME NUMBER FACTOR STRING LPAR LSQB MINUS NOT MAX TRUE FALSE".split())
_OPERATORS = frozenset(
    "PLUS MINUS MULTIPLY POWER COMPARE RANGE AND OR IF DOT LPAR LSQB AMPERSAND OPTIONAL".split()
)
_SELECTOR = frozenset("PATTERN STRING CLASS LPAR".split())
_PHRASES = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    BREAK: "the end of the statement",
    END: "the end of the text",
    "COMMA": "`,`",
    "COLON": "`:`",
    "DOT": "`.`",
    "EQUAL": "`=`",
    "ADD_TO": "`+=`",
    "UPDATE": "`-=`",
    "TILDE": "`~`",
    "ARROW": "`->`",
    "RANGE": "`..`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "MINUS": "`-`",
    "COMPARE": "a comparison",
    "OPTIONAL": "`?`",
    "AMPERSAND": "`&`",
}


def describe(token: Token, automaton: Automaton) -> Diagnostic:
    """The diagnostic for a token that the automaton has refused."""
    source = automaton.source
    span = Span(source, token.start, token.stop)
    if token.kind == STRAY and not _WORD.match(token.text):
        return _character(span)
    brackets = automaton.open_brackets()
    unclosed = _unclosed(token, automaton, brackets)
    if unclosed is not None:
        return unclosed
    if token.text in _OPENING and _OPENING[token.text] not in {open_.text for open_ in brackets}:
        return diagnostics.UnmatchedBracket(span, token.text)
    return _misspelled(token, automaton) or diagnostics.UnexpectedText(
        _whole(token, automaton),
        _found(token, automaton),
        phrases(automaton.expected()),
        advice=advise(automaton.states[-1], token.kind),
    )


def phrases(kinds: frozenset[str]) -> tuple[str, ...]:
    """Kinds of token in words."""
    words: list[str] = []
    if BREAK in kinds:
        kinds -= {END}
    if {"PATTERN", "CLASS"} <= kinds:
        words.append("a selector")
        kinds -= _SELECTOR
    if {"NAME", "NUMBER", "LPAR"} <= kinds:
        words.append("an expression")
        kinds -= _EXPRESSION
    if {"PLUS", "MULTIPLY"} <= kinds:
        words.append("an operator")
        kinds -= _OPERATORS
    keywords = tables.load().words
    words.extend(f"`{word}`" for word, kind in keywords.items() if kind in kinds)
    words.extend(phrase for kind, phrase in _PHRASES.items() if kind in kinds)
    return tuple(words)


def _character(span: Span) -> Diagnostic:
    character = span.text
    if character == '"':
        line = span.source.text.find("\n", span.start)
        stop = line if line >= 0 else len(span.source.text)
        return diagnostics.UnclosedString(
            Span(span.source, span.start, min(stop, span.start + _LONGEST))
        )
    name = unicodedata.name(character, f"U+{ord(character):04X}").lower()
    shown = f"`{character}`" if character.isascii() and character.isprintable() else name
    return diagnostics.UnknownCharacter(span, character, shown)


def _unclosed(token: Token, automaton: Automaton, brackets: tuple[Token, ...]) -> Diagnostic | None:
    """A bracket that should have been closed before the token."""
    if not brackets:
        return None
    opening = brackets[-1]
    closing = _CLOSING[opening.text]
    ended = token.kind == END or (
        opening.text != "{"
        and (token.text in {"}", ";"} or statement_starts(automaton.source, token.start))
    )
    if not ended and not (opening.text != "{" and automaton.accepts(closing, token.kind)):
        return None
    source = automaton.source
    place = Span(source, token.start, token.stop)
    beginning = Span(source, opening.start, opening.stop)
    return diagnostics.UnclosedBracket(place, opening.text, beginning)


def _misspelled(token: Token, automaton: Automaton) -> Diagnostic | None:
    """A keyword with a slip in it: this word, or the one before."""
    expected = automaton.expected()
    wanted, span = phrases(expected), _whole(token, automaton)
    if _WORD.fullmatch(span.text):
        known = (word for word, kind in tables.load().words.items() if kind in expected)
        keyword = _nearest(span.text, tuple(known))
        if keyword is not None:
            return diagnostics.UnexpectedText(span, _found(token, automaton), wanted, keyword)
    before = automaton.values[-1]
    if isinstance(before, Token) and before.kind == "NAME":
        keyword = _nearest(before.text, automaton.replacements(token.kind))
        if keyword is not None:
            place = Span(span.source, before.start, before.stop)
            return diagnostics.UnexpectedText(place, f"`{before.text}`", wanted, keyword)
    return None


def _nearest(word: str, keywords: tuple[str, ...]) -> str | None:
    """The keyword that was probably meant; digits that look like letters count as those."""
    read = word.lower().translate(_LOOKALIKES)
    if read in keywords:
        return read
    return nearest(word, keywords) if len(word) > 1 else None


def _whole(token: Token, automaton: Automaton) -> Span:
    """The token, or the whole word that a stray digit begins."""
    source = automaton.source
    word = _WORD.match(source.text, token.start) if token.kind == STRAY else None
    return Span(source, token.start, word.end() if word else token.stop)


def _found(token: Token, automaton: Automaton) -> str:
    if token.kind == END:
        return "the end of the text"
    if token.kind == BREAK and token.text == "\n":
        return "the end of the line"
    text = _whole(token, automaton).text
    return f"`{text}`" if len(text) <= _LONGEST else f"`{text[:_LONGEST]}…`"
