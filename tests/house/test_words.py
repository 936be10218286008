"""Words that no file of this repository holds."""

import re

from .files import ROOT, name, tracked

TEXTS = tuple(
    file
    for file in tracked()
    if file.suffix in {".py", ".md", ".peft", ".toml", ".yaml", ".lark", ".out", ".err", ".txt", ""}
    and name(file) != "tests/house/test_words.py"
)

BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "other"}
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")
"""Spelled so that this file holds none of them."""
ELSEWHERE = re.compile(
    r"""
    (?<![\w.])/(home|root|work|Users|tmp|mnt|srv)/\w    # a path of one machine
    | \b(localhost|127\.0\.0\.1|192\.168\.\d+)\b        # a host of one network
    | \b(artifactory|devpi|nexus|trusted-host)\b
    | \bindex-url\b(?!\ https://download\.pytorch\.org/)  # of PyTorch itself
    | \bworkplace\b | \b[Ss]essions?\b | \bAI-generated\b | \b(Claude|ChatGPT|Copilot)\b
    """,
    re.VERBOSE,
)


def test_no_module_is_named_after_nothing() -> None:
    stems = {part for file in tracked() for part in (*file.relative_to(ROOT).parts[:-1], file.stem)}
    assert stems & BANNED_NAMES == set()


def test_nothing_is_left_for_later() -> None:
    assert _found(UNFINISHED) == []


def test_nothing_speaks_of_where_it_was_written() -> None:
    assert _found(ELSEWHERE) == []


def test_nothing_is_imported_by_a_star() -> None:
    assert _found(re.compile(r"^ *from [\w.]+ import \*", re.MULTILINE)) == []


def _found(words: re.Pattern[str]) -> list[str]:
    """Where words stand, and which."""
    return [
        f"{name(file)}: {found.group()}"
        for file in TEXTS
        for found in words.finditer(file.read_text(encoding="utf-8", errors="replace"))
    ]


def test_nothing_that_is_made_is_tracked() -> None:
    assert tracked("*.pyc", "*.egg-info/*", ".venv/*", "build/*", "dist/*") == ()
