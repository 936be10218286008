"""Turns peft.lark into tables.json: `python -m pefc.grammar.build`. The only place that needs Lark,
and no part of a run.

Lark takes 80 ms to import and 240 ms to build the LALR(1) tables; reading them takes 5 ms.
"""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from lark import Lark
from lark.grammar import NonTerminal, Rule, Terminal
from lark.lexer import TerminalDef

FOLDER = Path(__file__).parent
GRAMMAR = FOLDER / "peft.lark"
TABLES = FOLDER / "tables.json"

Row = dict[str, tuple[Any, Any]]
"""A state of Lark's table: what to do on each symbol."""


def build(grammar: str) -> str:
    """The text of tables.json for a grammar; a conflict in the grammar is an error."""
    lark = Lark(grammar, parser="lalr", start="spec", maybe_placeholders=True)
    table = lark.parser.parser._parse_table  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # noqa: SLF001  # Lark shows its tables nowhere else
    rows = table.states  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    rules = {rule: number for number, rule in enumerate(lark.rules)}
    states = _numbered(table.start_states["spec"], rows)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    words, patterns = _terminals(lark)
    parts = {
        "grammar": fingerprint(grammar),
        "end": states[table.end_states["spec"]],  # pyright: ignore[reportUnknownMemberType]
        "words": words,
        "patterns": patterns,
        "rules": [_rule(rule) for rule in lark.rules],
        "rows": [_row(rows[state], rules, states) for state in states],  # pyright: ignore[reportUnknownArgumentType]
    }
    return _printed(parts)


def fingerprint(grammar: str) -> str:
    """What tells whether tables are those of a grammar."""
    return sha256(grammar.encode()).hexdigest()[:16]


def _terminals(lark: Lark) -> tuple[dict[str, str], dict[str, str]]:
    """Words with their terminals, and the patterns of the terminals that are no words."""
    words: dict[str, str] = {}
    patterns: dict[str, str] = {}
    for terminal in sorted(lark.terminals, key=_reach, reverse=True):
        pattern = terminal.pattern.to_regexp()
        spelled = re.fullmatch(r"(?:\(\?:)?([a-zW]+(?:\|[a-z]+)*)\)?", pattern)
        if spelled is None:
            patterns[terminal.name] = pattern
            continue
        for word in spelled[1].split("|"):
            if word in words:
                raise ValueError(f"`{word}` is in the terminals {words[word]} and {terminal.name}")
            words[word] = terminal.name
    return dict(sorted(words.items())), patterns


def _reach(terminal: TerminalDef) -> tuple[int, int, str]:
    """Longer signs are tried first: `**` before `*`."""
    return terminal.pattern.max_width, terminal.pattern.min_width, terminal.name


def _rule(rule: Rule) -> dict[str, Any]:
    """`name` and `size` for the automaton; `action` and `keep` for the value.

    `keep` lists the children that carry meaning: an index, an index in brackets for a list to be
    spliced in, None for an optional part that is not there.
    """
    gaps = list(rule.options.empty_indices) or [False] * len(rule.expansion)
    symbols = iter(enumerate(rule.expansion))
    keep: list[int | list[int] | None] = []
    for gap in gaps:
        if gap:
            keep.append(None)
            continue
        index, symbol = next(symbols)
        match symbol:
            case Terminal(filter_out=True):
                continue
            case NonTerminal(name=name) if name.startswith("_"):
                keep.append([index])
            case _:
                keep.append(index)
    return {
        "name": rule.origin.name,
        "size": len(rule.expansion),
        "action": _action(rule, keep),
        "keep": keep,
    }


def _action(rule: Rule, keep: list[int | list[int] | None]) -> str | None:
    """The function that makes the value; None hands the only child on, `_` makes a list."""
    name = rule.alias or rule.origin.name
    if name.startswith("_"):
        return "_"
    if rule.options.expand1 and not rule.alias and len(keep) == 1:
        return None
    return name


def _numbered(start: int, rows: dict[int, Row]) -> dict[int, int]:
    """Numbers for the states, breadth first, so that every run gives the same."""
    found = {start: 0}
    queue = [start]
    for state in queue:
        for _, (_, target) in sorted(rows[state].items()):
            if not isinstance(target, Rule) and target not in found:
                found[target] = len(found)
                queue.append(target)
    return found


def _row(row: Row, rules: dict[Rule, int], states: dict[int, int]) -> dict[str, int]:
    """What a state does on a symbol: go to a state, or with a negative number reduce by the rule
    ~n.
    """
    return {
        symbol: ~rules[target] if isinstance(target, Rule) else states[target]
        for symbol, (_, target) in sorted(row.items())
    }


def _printed(parts: dict[str, Any]) -> str:
    """JSON with a line for each rule and row, so that a change of the grammar can be reviewed."""
    return "{\n" + ",\n".join(f'"{name}": {_lines(part)}' for name, part in parts.items()) + "\n}\n"


def _lines(part: object) -> str:
    if not isinstance(part, list):
        return json.dumps(part)
    return "[\n" + ",\n".join(json.dumps(item) for item in part) + "\n]"  # pyright: ignore[reportUnknownVariableType]


if __name__ == "__main__":
    TABLES.write_text(build(GRAMMAR.read_text()))
