"""How long a module and a function may be. A longer one stands here with its reason."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .files import name, tracked

MODULE, FUNCTION = 400, 40

TABLES = {
    "tests/roles/architectures.py": "the truth about each architecture, by hand: data",
}
"""Beyond MODULE, since they hold no code."""

MODULES = tracked("*.py")
OURS = tracked("pefc/*.py")


def test_modules_are_short() -> None:
    lengths = {name(file): len(file.read_text(encoding="utf-8").splitlines()) for file in MODULES}
    long = {file: length for file, length in lengths.items() if length > MODULE}
    assert {file: length for file, length in long.items() if file not in TABLES} == {}
    assert [file for file in TABLES if file not in long] == [], "their reasons are needed no longer"


def test_functions_are_short() -> None:
    found = [(file, *entry) for file in MODULES for entry in _functions(_tree(file))]
    assert [
        f"{name(file)}:{line}: {owner} has {length} lines"
        for file, owner, line, length in found
        if length > FUNCTION
    ] == []


def test_modules_say_what_lives_in_them() -> None:
    assert [name(file) for file in OURS if not ast.get_docstring(_tree(file))] == []


def test_imports_are_relative_inside() -> None:
    found = [(name(file), module) for file in OURS for module in _absolute(_tree(file))]
    assert [entry for entry in found if entry[1].partition(".")[0] == "pefc"] == []


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _absolute(tree: ast.Module) -> Iterator[str]:
    """The modules that are imported by their whole name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


def _functions(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Functions with their line and length, decorators aside; a docstring counts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1
