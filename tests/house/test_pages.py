"""Every code block of the pages that people write is run, and shows what it gives."""

import re
from pathlib import Path

import pytest

from .files import ROOT, name
from .pages import blocks, replayed, run, write_model

PAGES = tuple(
    ROOT / page
    for page in (
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "docs/language.md",
        "docs/design.md",
    )
)
"""The other pages are made of the code, and tests/dsl/test_manual.py keeps them fresh."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the blocks of a page run: with `my-llama` in it."""
    write_model(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_run_and_show_what_they_give(
    page: Path, folder: Path, request: pytest.FixtureRequest
) -> None:
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in blocks(text):
        if block.language == "console":
            text = text.replace(block.text, replayed(block))
        else:
            run(block, folder, names)
    if request.config.getoption("--bless"):
        page.write_text(text, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []
