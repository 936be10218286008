"""After a mistake: where reading goes on, so that each mistake is told once and none is missed."""

import re

from .source import Source

_THING = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|[()\[\]{};\n]')
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


def next_stop(source: Source, offset: int, *, brackets: int) -> tuple[int, str]:
    """The next place where a statement may end, and its character: `;`, a newline, `{`, `}` or nothing at the end.

    `brackets` is how many parentheses and square brackets are open at the offset.
    """
    text, inner = source.text, 0
    for thing in _THING.finditer(text, offset):
        at = thing.start()
        match thing[0][0]:
            case "(" | "[":
                brackets += 1
            case ")" | "]":
                brackets = max(0, brackets - 1)
            case "{" if brackets == 0 and _opens_block(text, at):
                return at, "{"
            case "{":
                inner += 1
            case "}" if inner:
                inner -= 1
            case "}":
                return at, "}"
            case ";":
                return at, ";"
            case "\n" if _ends(source, at, brackets):
                return at, "\n"
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
