"""Configs in YAML, TOML and JSON, as nodes."""

import json
import re
import tomllib
from typing import TYPE_CHECKING, Literal, NoReturn

from .. import diagnostics
from ..diagnostics import SpecError
from ..source import Source, Span
from .node import Items, Leaf, Node, Table
from .values import DEEPEST, Finder, Numeral, Pairs, node_of

if TYPE_CHECKING:
    import yaml

LANGUAGES = {".yaml": "YAML", ".yml": "YAML", ".toml": "TOML", ".json": "JSON"}

_LARGEST = 200_000
"""Nodes of a config; an alias in YAML counts as often as it is used."""

_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_config(source: Source, suffix: str) -> Node:
    """Everything that a config holds; raises SpecError if it is not of its language."""
    try:
        match LANGUAGES[suffix]:
            case "YAML":
                return _yaml(source)
            case "TOML":
                return _toml(source)
            case _:
                return _json(source)
    except RecursionError:
        _refuse(source, 0, LANGUAGES[suffix], "nested too deeply")


def _json(source: Source) -> Node:
    def constant(name: str) -> NoReturn:
        _refuse(source, source.text.find(name), "JSON", f"`{name}` is no number")

    try:
        value: object = json.loads(
            source.text,
            object_pairs_hook=Pairs,
            parse_int=Numeral,
            parse_float=Numeral,
            parse_constant=constant,
        )
    except json.JSONDecodeError as error:
        _refuse(source, error.pos, "JSON", error.msg.lower())
    return node_of(value, Finder(source))


def _toml(source: Source) -> Node:
    try:
        value = tomllib.loads(source.text, parse_float=Numeral)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        _refuse(source, _toml_offset(source, message), "TOML", _AT.sub("", message).lower())
    except ValueError:
        _refuse(source, 0, "TOML", "a number has too many digits")
    return node_of(value, Finder(source))


def _toml_offset(source: Source, message: str) -> int:
    """The offset of `(at line 3, column 5)`."""
    place = _AT.search(message)
    if place is None or place[1] is None:
        return len(source.text)
    lines = source.text.splitlines(keepends=True)[: int(place[1]) - 1]
    return sum(map(len, lines)) + int(place[2]) - 1


def _yaml(source: Source) -> Node:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(source.text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _refuse(source, mark.index if mark else 0, "YAML", error.problem or "not readable")
    except yaml.YAMLError as error:
        offset = getattr(error, "position", 0)
        _refuse(source, offset, "YAML", str(getattr(error, "reason", "not readable")))
    return Leaf("null", "null") if root is None else _Yaml(source).node(root, 0)


class _Yaml:
    """Makes nodes of YAML's own, with a count, so that aliases of aliases end."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._count = 0

    def node(self, made: "yaml.Node", depth: int) -> Node:
        import yaml

        self._count += 1
        span = self._span(made)
        if self._count > _LARGEST or depth > DEEPEST:
            _refuse(self._source, span.start, "YAML", "nested too deeply, or too many aliases")
        match made:
            case yaml.MappingNode():
                return self._table(made, span, depth)
            case yaml.SequenceNode():
                return Items(tuple(self.node(item, depth + 1) for item in made.value), span)
            case yaml.ScalarNode():
                return Leaf(made.value, _kind(made), span)
            case _:
                _refuse(self._source, span.start, "YAML", "an unknown kind of node")

    def _table(self, made: "yaml.MappingNode", span: Span, depth: int) -> Table:
        entries: list[tuple[Leaf, Node]] = []
        seen: set[str] = set()
        for key, value in made.value:
            name = self.node(key, depth + 1)
            if not isinstance(name, Leaf):
                _refuse(self._source, span.start, "YAML", "a key that is no text")
            if name.text in seen:
                raise SpecError([diagnostics.DuplicateKey(name.span, name.text)])
            seen.add(name.text)
            entries.append((name, self.node(value, depth + 1)))
        return Table(tuple(entries), span)

    def _span(self, made: "yaml.Node") -> Span:
        start, stop = made.start_mark.index, made.end_mark.index
        return Span(self._source, start, start + len(self._source.text[start:stop].rstrip()))


def _kind(made: "yaml.ScalarNode") -> Literal["text", "number", "bool", "null"]:
    """What a plain scalar is, by the rules of YAML 1.2: `on` and `1e-4` are what they look like."""
    if made.style is not None:
        return "text"
    if made.value in {"", "~", "null"}:
        return "null"
    if made.value in {"true", "false"}:
        return "bool"
    return "number" if _NUMBER.fullmatch(made.value) else "text"


def _refuse(source: Source, offset: int, language: str, reason: str) -> NoReturn:
    place = Span(source, min(offset, len(source.text)), min(offset + 1, len(source.text)))
    raise SpecError([diagnostics.BadConfig(place, language, reason)])
