"""`train.peft`, `train.yaml#model.peft`: from the name of a spec to its tree."""

from contextlib import suppress
from pathlib import Path

from .. import diagnostics
from ..diagnostics.report import SpecError
from ..parsing import parse
from ..syntax.method import Alias, Method
from ..syntax.source import Source, Span
from ..syntax.statement import Recipe, Spec
from .files import load_source
from .formats import LANGUAGES, read_config
from .node import Items, Leaf, Node, Table
from .python_values import node_of
from .source_map import Draft
from .structure import write_spec
from .structure_texts import Definitions

DEFINITIONS = frozenset(("method", "recipe"))
KEY = "peft"
"""The key of a config that holds the spec if none is named."""


def read(reference: str | Path) -> Spec:
    """The spec of a `.peft` file, or of a key of a config; raises SpecError with every mistake in
    finding or reading it.
    """
    name, _, key = str(reference).rpartition("#")
    if not name:
        name, key = key, ""
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix in LANGUAGES:
        return _embedded(load_source(path, name), suffix, key)
    if suffix == ".peft" and key:
        raise SpecError([diagnostics.NotAConfig(name, key)])
    source = load_source(path, name) if suffix == ".peft" or not path.is_file() else None
    if source is None or suffix != ".peft":
        raise SpecError([diagnostics.NotASpec(name, suffix)])
    return parse(source)


def parse_value(value: object, *, name: str = "<spec>") -> Spec:
    """The spec of a text, or of a structure of lists and tables."""
    if isinstance(value, str):
        return parse(Source(name, value))
    return _spec(node_of(value), None, name)


def _embedded(source: Source, suffix: str, key: str) -> Spec:
    document = read_config(source, suffix)
    whole = Span(source, 0, len(source.text))
    return _spec(_under(document, key, source.name), whole, source.name)


def _under(document: Node, key: str, path: str) -> Node:
    """The value under a key with dots; without a key, that of `peft`, or a config that is nothing
    but a spec.
    """
    if not key and not isinstance(document, Table):
        return document
    node: Node | None = document
    for word in (key or KEY).split("."):
        table = node
        node = table.get(word) if isinstance(table, Table) else None
        if node is None:
            known = table.keys() if isinstance(table, Table) else ()
            raise SpecError([diagnostics.MissingKey(path, key or KEY, known)])
    return node


def _spec(node: Node, whole: Span | None, name: str) -> Spec:
    default = whole if isinstance(node, Leaf) or node.span is None else node.span
    draft = Draft(default, _own_definitions(node))
    write_spec(node, draft)
    if draft.mistakes:
        raise SpecError(draft.mistakes)
    generated = Source(name, draft.text)
    try:
        return draft.relocated(parse(generated), generated)
    except SpecError as error:
        found = [draft.relocated(mistake, generated) for mistake in error.diagnostics]
        raise SpecError(found) from None


def _own_definitions(node: Node) -> Definitions:
    """The definitions that stand in a structure, as far as they can be read."""
    found: dict[str, Method | Alias | Recipe] = {}
    for entry in node.items if isinstance(node, Items) else ():
        if not _is_definition(entry):
            continue
        draft = Draft(None)
        write_spec(entry, draft)
        with suppress(SpecError):
            for statement in parse(Source("<structure>", draft.text)).statements:
                if isinstance(statement, Method | Alias | Recipe):
                    found[statement.name] = statement
    return found


def _is_definition(entry: Node) -> bool:
    if isinstance(entry, Table):
        return not DEFINITIONS.isdisjoint(entry.keys())
    return isinstance(entry, Leaf) and entry.text.lstrip().startswith(tuple(DEFINITIONS))
