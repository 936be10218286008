"""Each spec in parse/ is parsed: `.out` beside it shows the tree, `.err` the mistakes."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from pefc.dsl.diagnostics.render import full
from pefc.dsl.diagnostics.report import SpecError
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.source import Source
from pefc.dsl.syntax.walk import children

FOLDER = Path(__file__).parent / "parse"
MOST = 30
"""Mistakes that are shown whole; of more, the first and the last."""


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.peft")), ids=lambda path: path.stem)
def test_parse(path: Path, golden: Callable[[Path, str], None]) -> None:
    try:
        spec = parse(Source(path.name, path.read_bytes().decode("utf-8")))
    except SpecError as error:
        found = error.diagnostics
        shown = found if len(found) <= MOST else (found[0], found[-1])
        golden(path.with_suffix(".err"), "\n".join(map(full, shown)))
        return
    lines = [line for statement in spec.statements for line in _tree(statement, 0)]
    golden(path.with_suffix(".out"), "".join(f"{line}\n" for line in lines))


def test_no_output_is_orphaned() -> None:
    for path in FOLDER.iterdir():
        assert path.with_suffix(".peft").exists(), path


def _tree(node: object, depth: int) -> Iterator[str]:
    """A node on a line, with its plain fields and its text; the nodes inside of it below."""
    inner = list(children(node))
    entries = ((entry.name, getattr(node, entry.name)) for entry in fields(node))
    plain = [f"{name}={value!r}" for name, value in entries if isinstance(value, str | int | float)]
    text = " ".join(node.span.text.split())
    shown = text if len(text) <= 40 else f"{text[:30]} … {text[-8:]}"
    yield f"{'  ' * depth}{type(node).__name__}({', '.join(plain)})  «{shown}»"
    for child in inner:
        yield from _tree(child, depth + 1)
