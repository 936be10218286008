"""A spec that is written as a structure becomes text."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeGuard

from .. import diagnostics
from ..format.expression import text as quoted
from .node import Items, Leaf, Node, Table
from .source_map import Draft
from .structure_texts import free_parameters

CLAUSES = ("on", "in", "where", "as", "expect", "with")
TUNE_CLAUSES = ("on", "in", "where", "expect", "with")
KEYS = {
    "task": ("do",),
    "let": (),
    "param": (),
    "import": (),
    "tune": TUNE_CLAUSES,
    "recipe": ("parameters", "doc", "do"),
    "method": ("parameters", "on", "doc", "do", "is"),
}
"""For each first key that is no method, what may stand beside it."""

NONE_FREE: Mapping[str, tuple[str, ...]] = MappingProxyType({})

_BESIDE = frozenset((*CLAUSES, "do", "parameters", "doc", "is"))
_SIGN = re.compile(r'"(?:[^"\\\n]|\\.)*+"|#[^\n]*|[";\n]|[(\[{]|[)\]}]')
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*+"')
_CLOSES = {")": "(", "]": "[", "}": "{"}


def write_spec(node: Node, draft: Draft) -> None:
    """A spec, or what stands in a block: a text of statements, an entry, or a list of entries."""
    match node:
        case Leaf(kind="text"):
            draft.copy(node)
            draft.write("\n")
        case Leaf(kind="null"):
            pass
        case Leaf():
            _refuse(node, "a spec", "a text, a table or a list of those", draft)
        case Items():
            for item in node.items:
                _entry(item, draft)
        case Table():
            _entry(node, draft)


def _entry(node: Node, draft: Draft) -> None:
    match node:
        case Leaf(kind="text") if _whole(node.text, separators="\n;#"):
            draft.copy(node)
            draft.write("\n")
        case Leaf(kind="text"):
            draft.mistakes.append(diagnostics.LooseText(node.span, "statement"))
        case Table():
            _statement(node, draft)
        case Leaf() | Items():
            _refuse(node, "an entry", "a text or a table", draft)


def _statement(table: Table, draft: Draft) -> None:
    head = _head(table)
    if head is None:
        _refuse(table, "an entry", "a method with its arguments, or `task`, `let`, `tune` …", draft)
        return
    name, value = head
    known = KEYS.get(name.text, (*CLAUSES, "do"))
    for key, _ in table.entries:
        if key is not name and key.text not in known:
            draft.mistakes.append(diagnostics.UnknownKey(key.span, key.text, known))
    match name.text:
        case "let" | "param":
            _constants(name, value, draft)
        case "import":
            _imports(name, value, draft)
        case "recipe" | "method":
            _definition(name, value, table, draft)
        case "task":
            draft.write("task ", name.span)
            _fragment(value, "task", draft)
            _block(table.get("do"), draft)
        case "tune":
            draft.write("tune ", name.span)
            if not _is_null(value):
                _fragment(value, "tune", draft)
            _clauses(table, draft)
        case _:
            _use(name, value, draft)
            _clauses(table, draft)
            if table.get("do") is not None:
                _block(table.get("do"), draft)
    draft.write("\n")


def _head(table: Table) -> tuple[Leaf, Node] | None:
    """The entry that says what a statement is."""
    for words in (KEYS.keys(), None):
        for name, value in table.entries:
            if name.text in words if words is not None else name.text not in _BESIDE:
                return name, value
    return None


def _constants(name: Leaf, value: Node, draft: Draft) -> None:
    if not isinstance(value, Table):
        _refuse(value, name.text, "a table of names and values", draft)
        return
    for constant, inner in value.entries:
        draft.write(f"{name.text} ", name.span)
        _pair(constant, inner, " = ", draft)
        draft.write("\n")


def _imports(name: Leaf, value: Node, draft: Draft) -> None:
    for path in value.items if isinstance(value, Items) else (value,):
        if not isinstance(path, Leaf) or path.kind != "text":
            _refuse(path, name.text, "the name of a file", draft)
            continue
        draft.write("import ", name.span)
        draft.write(quoted(path.text), path.span)
        draft.write("\n")


def _use(name: Leaf, value: Node, draft: Draft) -> None:
    """A method or modifier with its arguments."""
    _fragment(name, "method", draft)
    match value:
        case Leaf(kind="null"):
            return
        case Leaf():
            arguments: tuple[tuple[Leaf | None, Node], ...] = ((None, value),)
        case Table():
            arguments = value.entries
        case Items():
            arguments = tuple(_argument(item) for item in value.items)
    if arguments:
        draft.write("(", name.span)
        _joined(arguments, draft, free_parameters(name.text, draft.definitions))
        draft.write(")")


def _argument(item: Node) -> tuple[Leaf | None, Node]:
    """An item of a list of arguments: `{compute: bf16}` is one by keyword."""
    if isinstance(item, Table) and len(item.entries) == 1:
        return item.entries[0]
    return None, item


def _joined(
    arguments: tuple[tuple[Leaf | None, Node], ...],
    draft: Draft,
    free: Mapping[str, tuple[str, ...]] = NONE_FREE,
) -> None:
    """Arguments in a row; `free` holds the members of those that take any text."""
    for number, (name, value) in enumerate(arguments):
        if number:
            draft.write(", ")
        if name is None:
            _value(value, "argument", draft)
        elif name.text in free and _is_free(value, free[name.text]):
            draft.write(f"{name.text}=", name.span)
            draft.write(quoted(value.text), value.span)
        else:
            _pair(name, value, "=", draft)


def _is_free(value: Node, members: tuple[str, ...]) -> TypeGuard[Leaf]:
    """Whether a value is a text as it stands: no member, and without quotes of its own."""
    if not isinstance(value, Leaf) or value.kind != "text":
        return False
    return value.text.strip() not in members and not _STRING.fullmatch(value.text.strip())


def _pair(name: Leaf, value: Node, sign: str, draft: Draft) -> None:
    _fragment(name, "name", draft)
    draft.write(sign, name.span)
    _value(value, name.text, draft)


def _value(value: Node, what: str, draft: Draft) -> None:
    """An expression."""
    match value:
        case Leaf(kind="text" | "number" | "bool"):
            _fragment(value, what, draft)
        case Items():
            draft.write("[", value.span)
            _joined(tuple((None, item) for item in value.items), draft)
            draft.write("]")
        case Leaf() | Table():
            _refuse(value, what, "a text, a number, true or false, or a list of those", draft)


def _clauses(table: Table, draft: Draft) -> None:
    for key in CLAUSES:
        value = table.get(key)
        if value is None:
            continue
        span = next(name.span for name, _ in table.entries if name.text == key)
        match key:
            case "in":
                _layers(value, draft)
            case "with":
                draft.write(" with ", span)
                if isinstance(value, Table):
                    _joined(value.entries, draft)
                else:
                    _fragment(value, key, draft)
            case "on" if isinstance(value, Items):
                draft.write(" on ", span)
                for number, item in enumerate(value.items):
                    draft.write(", " if number else "")
                    _fragment(item, key, draft, kinds=("text",))
            case "on" | "as":
                draft.write(f" {key} ", span)
                _fragment(value, key, draft, kinds=("text",))
            case _:
                draft.write(f" {key} ", span)
                _fragment(value, key, draft)


def _layers(value: Node, draft: Draft) -> None:
    """`layers 0..5`, `0..5`, `3`, `[0, 2, 4]`, `all`."""
    if isinstance(value, Leaf) and value.text in {"all", "all layers"}:
        draft.write(" all layers", value.span)
        return
    named = isinstance(value, Leaf) and value.text.startswith("layers")
    draft.write(" in " if named else " in layers ", value.span)
    for number, item in enumerate(value.items if isinstance(value, Items) else (value,)):
        draft.write(", " if number else "")
        _fragment(item, "in", draft)


def _block(value: Node | None, draft: Draft) -> None:
    draft.write(" {\n")
    if value is not None:
        write_spec(value, draft)
    draft.write("}")


def _definition(name: Leaf, value: Node, table: Table, draft: Draft) -> None:
    """A method or a recipe."""
    draft.write(f"{name.text} ", name.span)
    _fragment(value, name.text, draft)
    base = table.get("is")
    if base is not None:
        draft.write(" = ", name.span)
        if isinstance(base, Table) and len(base.entries) == 1:
            _use(*base.entries[0], draft)
        else:
            _fragment(base, "is", draft)
        return
    _parameters(table.get("parameters"), draft)
    site = table.get("on")
    if name.text == "method" and site is not None:
        draft.write(" on ", name.span)
        _fragment(site, "on", draft)
    draft.write(" {\n", name.span)
    documentation = table.get("doc")
    if isinstance(documentation, Leaf):
        draft.write(f"{quoted(documentation.text)}\n", documentation.span)
    elif documentation is not None:
        _refuse(documentation, "doc", "a text", draft)
    body = table.get("do")
    if body is not None:
        write_spec(body, draft)
    draft.write("}")


def _parameters(value: Node | None, draft: Draft) -> None:
    """`"r: int = 8"`, a list of those, or a table from names to types and defaults."""
    if value is None:
        return
    draft.write("(", value.span)
    match value:
        case Leaf():
            _fragment(value, "parameters", draft)
        case Items():
            for number, item in enumerate(value.items):
                draft.write(", " if number else "")
                _fragment(item, "parameters", draft)
        case Table():
            for number, (name, kind) in enumerate(value.entries):
                draft.write(", " if number else "")
                _fragment(name, "parameters", draft)
                if not _is_null(kind):
                    draft.write(": ", name.span)
                    _fragment(kind, name.text, draft)
    draft.write(")")


def _fragment(
    node: Node, what: str, draft: Draft, kinds: tuple[str, ...] = ("text", "number", "bool")
) -> None:
    """A text that stands within a statement, and must not reach out of its place."""
    if not isinstance(node, Leaf) or node.kind not in kinds:
        _refuse(node, what, "a text", draft)
    elif not _whole(node.text.strip(), separators=""):
        draft.mistakes.append(diagnostics.LooseText(node.span, what))
    else:
        draft.copy(Leaf(node.text.strip(), node.kind, node.span))


def _whole(text: str, *, separators: str) -> bool:
    """Whether every bracket and quote is closed, and no sign ends a statement but those allowed."""
    opened: list[str] = []
    for sign in _SIGN.finditer(text):
        match sign[0][0]:
            case "(" | "[" | "{":
                opened.append(sign[0])
            case ")" | "]" | "}":
                if not opened or opened.pop() != _CLOSES[sign[0]]:
                    return False
            case '"' if len(sign[0]) == 1:
                return False
            case "#" | ";" | "\n" if sign[0][0] not in separators:
                return False
            case _:
                pass
    return not opened


def _is_null(node: Node) -> bool:
    return isinstance(node, Leaf) and node.kind == "null"


def _refuse(node: Node, what: str, expected: str, draft: Draft) -> None:
    draft.mistakes.append(diagnostics.NotAPart(node.span, what, expected))
