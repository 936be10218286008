"""After a mistake: where reading goes on, so that each mistake is told once and none is missed."""

import re

from ..syntax.source import Source

_THING = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|#[^\n]*|[(\[]+|[)\]]+|\}+|\{+|[;\n]')
_CONTINUED = re.compile(r"[-,+*/%@=<>&~][ \t\r]*(?:#[^\n]*)?\Z")
_STATEMENT = re.compile(
    r"[ \t\r]*(?:(?:let|param|task|tune|import|recipe|method)[ \t]"
    r"|[A-Za-z_]\w*[ \t]*(?:\([^\n]*\)[ \t\r]*(?:$|[;{#]|(?:on|all|in)[ \t])|(?:on|all)[ \t]))",
    re.MULTILINE,
)
"""A line that can hardly be anything but the beginning of a statement."""


def statement_starts(source: Source, offset: int) -> bool:
    """Whether what stands here, first on its line, looks like a new statement."""
    line = source.text.rfind("\n", 0, offset) + 1
    return not source.text[line:offset].strip() and _STATEMENT.match(source.text, line) is not None


def next_stop(
    source: Source, offset: int, *, brackets: int, stops: frozenset[str]
) -> tuple[int, str]:
    """The next place where the statement ends, and its character: one of `stops`, or nothing at the
    end of the text.

    `brackets` is how many parentheses and square brackets are open at the offset.
    """
    text, inner = source.text, 0
    for thing in _THING.finditer(text, offset):
        at, sign = thing.start(), thing[0][0]
        match sign:
            case "(" | "[":
                brackets += len(thing[0])
            case ")" | "]":
                brackets = max(0, brackets - len(thing[0]))
            case "{" if brackets or not _opens_block(text, at):
                inner += len(thing[0])
            case "}" if inner:
                inner = max(0, inner - len(thing[0]))
            case "\n" if not _ends(source, at, brackets):
                pass
            case _ if sign in stops:
                return at, sign
            case _:
                pass
    return len(text), ""


def _opens_block(text: str, at: int) -> bool:
    """A brace of a pattern, `attn.{q,v}`, touches what stands before it."""
    return at == 0 or text[at - 1] in " \t)"


def _ends(source: Source, newline: int, brackets: int) -> bool:
    text = source.text
    if _STATEMENT.match(text, newline + 1):
        return True
    start = text.rfind("\n", 0, newline) + 1
    return brackets == 0 and not _CONTINUED.search(text, start, newline)
