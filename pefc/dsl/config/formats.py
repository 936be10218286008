"""Configs in YAML, TOML and JSON, as nodes."""

import json
import re
import tomllib
from typing import NoReturn

from ..syntax.source import Source
from .node import Node
from .python_values import Finder, Numeral, Pairs, node_of, refuse

LANGUAGES = {".yaml": "YAML", ".yml": "YAML", ".toml": "TOML", ".json": "JSON"}

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_config(source: Source, suffix: str) -> Node:
    """Everything that a config holds; raises SpecError if it is not of its language."""
    try:
        match LANGUAGES[suffix]:
            case "YAML":
                from .yaml import read_yaml  # noqa: PLC0415  # few specs need it

                return read_yaml(source)
            case "TOML":
                return _toml(source)
            case _:
                return _json(source)
    except RecursionError:
        refuse(source, 0, LANGUAGES[suffix], "nested too deeply")


def _json(source: Source) -> Node:
    def constant(name: str) -> NoReturn:
        refuse(source, source.text.find(name), "JSON", f"`{name}` is no number")

    try:
        value: object = json.loads(
            source.text,
            object_pairs_hook=Pairs,
            parse_int=Numeral,
            parse_float=Numeral,
            parse_constant=constant,
        )
    except json.JSONDecodeError as error:
        refuse(source, error.pos, "JSON", error.msg.lower())
    return node_of(value, Finder(source))


def _toml(source: Source) -> Node:
    try:
        value = tomllib.loads(source.text, parse_float=Numeral)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        refuse(source, _toml_offset(source, message), "TOML", _AT.sub("", message).lower())
    except ValueError:
        refuse(source, 0, "TOML", "a number has too many digits")
    return node_of(value, Finder(source))


def _toml_offset(source: Source, message: str) -> int:
    """The offset of `(at line 3, column 5)`."""
    place = _AT.search(message)
    if place is None or place[1] is None:
        return len(source.text)
    lines = source.text.splitlines(keepends=True)[: int(place[1]) - 1]
    return sum(map(len, lines)) + int(place[2]) - 1
