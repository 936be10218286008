"""Each spec in check/ is checked: `.err` beside it shows mistakes, `.out` steps."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pefc.dsl.checked.spec import Checked, Modified, Step
from pefc.dsl.checker.check import check
from pefc.dsl.diagnostics.render import full
from pefc.dsl.diagnostics.report import SpecError
from pefc.dsl.evaluation.evaluate import describe, evaluate
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.source import Source

FOLDER = Path(__file__).parent / "check"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.peft")), ids=lambda path: path.stem)
def test_check(path: Path, golden: Callable[[Path, str], None]) -> None:
    text = path.read_bytes().decode("utf-8")
    overrides = {name: _value(value) for name, value in re.findall(r"--set (\w+)=(\S+)", text)}
    try:
        checked = check(parse(Source(path.name, text)), overrides=overrides, root=FOLDER)
    except SpecError as error:
        golden(path.with_suffix(".err"), "\n".join(map(full, error.diagnostics)))
        return
    if checked.warnings:
        golden(path.with_suffix(".err"), "\n".join(map(full, checked.warnings)))
    else:
        golden(path.with_suffix(".out"), _listing(checked))


def test_no_output_is_orphaned() -> None:
    for path in FOLDER.iterdir():
        assert path.is_dir() or path.with_suffix(".peft").exists(), path


def _value(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _listing(checked: Checked) -> str:
    lines = [f"{name} = {describe(value)}" for name, value in checked.constants]
    return "\n".join([*lines, *(line for step in checked.steps for line in _step(step))]) + "\n"


def _step(step: Step) -> list[str]:
    """A step on a line: what it is, its arguments, its place, its label and settings."""
    lines = [type(step).__name__.lower()]
    arguments = getattr(step, "arguments", ())
    if hasattr(step, "method"):
        lines.append(step.method.name)
    lines += [f"{name}={value}" for name, value in arguments]
    if getattr(step, "selection", None) is not None:
        lines.append(step.selection.span.text)
    for name in ("label", "task", "what", "modifier", "members"):
        if getattr(step, name, None) is not None:
            lines.append(f"{name}={getattr(step, name)}")
    lines += [
        f"{setting.name}.{setting.tensor}={evaluate(setting.value, {})}"
        for setting in getattr(step, "settings", ())
    ]
    inner = (
        [line for part in step.body for line in _step(part)] if isinstance(step, Modified) else []
    )
    return [" ".join(lines), *(f"  {line}" for line in inner)]
