"""The LALR(1) tables that build.py made of peft.lark."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Keep = tuple[int | tuple[int] | None, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the grammar, as the parser applies it."""

    name: str
    size: int
    action: str | None
    """The function that makes the value; None hands the only child on, `_` makes a list."""
    keep: Keep
    """The children that carry meaning: an index, `(index,)` of a list to be spliced in, None for an
    absent part.
    """


@dataclass(frozen=True, slots=True)
class Tables:
    """The automaton and the terminals."""

    rows: tuple[dict[str, int], ...]
    """For each state, what it does on a symbol: go to a state, or reduce by the rule ~n. The start
    is state 0.
    """
    rules: tuple[Rule, ...]
    end: int
    words: dict[str, str]
    """Keywords, with their terminals."""
    patterns: dict[str, str]
    """The other terminals as regular expressions, longest first."""


@cache
def load() -> Tables:
    """The tables, read once."""
    parts = json.loads(Path(__file__).with_name("tables.json").read_text(encoding="utf-8"))
    rules = tuple(
        Rule(rule["name"], rule["size"], rule["action"], _keep(rule["keep"]))
        for rule in parts["rules"]
    )
    return Tables(tuple(parts["rows"]), rules, parts["end"], parts["words"], parts["patterns"])


def _keep(entries: list[int | list[int] | None]) -> Keep:
    return tuple((entry[0],) if isinstance(entry, list) else entry for entry in entries)
