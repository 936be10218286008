"""Colour for diagnostics: the text stays what it is, and escape codes go around its parts."""

import os
import re
import sys

_RESET = "\033[0m"
_BOLD = "\033[1m"
_RED = "\033[1;31m"
_YELLOW = "\033[1;33m"
_BLUE = "\033[1;34m"
_CYAN = "\033[1;36m"

_HEAD = re.compile(r"^(error|warning)(\[[a-z0-9-]+\])(: .*)$")
_ARROW = re.compile(r"^( *(?:-->|:::))( .*)$")
_MARK = re.compile(r"^( *\| *)(\^+|-+)( .*)?$")
_LINE = re.compile(r"^( *\d+ \|| *\|)(.*)$")
_REMARK = re.compile(r"^( *= )(note|help)(: .*)$")


def wants_colour() -> bool:
    """Whether stderr takes colour: a terminal that is not told otherwise."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def painted(text: str) -> str:
    """A rendered diagnostic with colour."""
    severity = _RED
    lines: list[str] = []
    for line in text.split("\n"):
        if head := _HEAD.match(line):
            severity = _RED if head[1] == "error" else _YELLOW
        lines.append(_line(line, severity))
    return "\n".join(lines)


def _line(line: str, severity: str) -> str:
    if head := _HEAD.match(line):
        return f"{severity}{head[1]}{head[2]}{_RESET}{_BOLD}{head[3]}{_RESET}"
    if arrow := _ARROW.match(line):
        return f"{_BLUE}{arrow[1]}{_RESET}{arrow[2]}"
    if mark := _MARK.match(line):
        colour = severity if mark[2].startswith("^") else _BLUE
        return f"{_BLUE}{mark[1]}{colour}{mark[2]}{mark[3] or ''}{_RESET}"
    if remark := _REMARK.match(line):
        return f"{_BLUE}{remark[1]}{_CYAN}{remark[2]}{_RESET}{remark[3]}"
    if numbered := _LINE.match(line):
        return f"{_BLUE}{numbered[1]}{_RESET}{numbered[2]}"
    return line
