"""How long a module and a function may be. A longer one stands here with its reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .files import name, tracked

MODULE, MODULE_AT_MOST, FUNCTION = 300, 400, 40

LONG_MODULES = {
    "pefc/cli/app.py": "a function for each command, with the help of its arguments",
    "pefc/dsl/actions/method.py": "an action for each rule of methods, looked up by name",
    "pefc/dsl/diagnostics/combining.py": "most of a diagnostic is its manual entry",
    "pefc/dsl/diagnostics/compiling.py": "most of a diagnostic is its manual entry",
    "pefc/dsl/diagnostics/syntax.py": "most of a diagnostic is its manual entry",
    "pefc/dsl/embedding/structure.py": "one function for each key of a structure",
    "tests/laws/test_state.py": "every way in which a folder can be damaged, one test each",
}
TABLES = {
    "tests/roles/architectures.py": "the truth about each architecture, by hand: data",
}
"""Beyond MODULE_AT_MOST, since they hold no code."""

MODULES = tracked("*.py")
OURS = tracked("pefc/*.py")


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_modules_are_short(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    reasons = {**LONG_MODULES, **TABLES}
    most = MODULE_AT_MOST if name(file) in LONG_MODULES else MODULE
    assert lines <= most or name(file) in TABLES
    assert lines > MODULE or name(file) not in reasons, "its reason is no longer needed"


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_functions_are_short(file: Path) -> None:
    found = list(_functions(_tree(file)))
    assert [f"{owner} has {length} lines" for owner, length in found if length > FUNCTION] == []


def test_modules_say_what_lives_in_them() -> None:
    assert [name(file) for file in OURS if not ast.get_docstring(_tree(file))] == []


def test_imports_are_relative_inside() -> None:
    found = [(name(file), module) for file in OURS for module in _absolute(_tree(file))]
    assert [entry for entry in found if entry[1].partition(".")[0] == "pefc"] == []


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _absolute(tree: ast.Module) -> Iterator[str]:
    """The modules that are imported by their whole name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


def _functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions with their length, decorators aside; a docstring counts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_functions_are_short_on_the_whole() -> None:
    lengths = sorted(length for file in OURS for _, length in _functions(_tree(file)))
    assert lengths[int(0.9 * len(lengths))] <= 20
