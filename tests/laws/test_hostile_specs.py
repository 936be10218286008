"""A spec that asks for too much is refused before any work is done for it, at its place."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import pefc
from pefc.compiler.select.globs import matches

from ..models import plain

SECONDS = 60
"""Of work, after which a case is stopped; each takes less than one."""


@pytest.fixture(autouse=True)
def _little_time() -> Iterator[None]:
    """A case that does not end in time is stopped with the rest."""
    signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def method(body: str, use: str = "m on a") -> str:
    return f"method m() on linear {{\n{body}\n}}\n{use}\n"


HUGE = {
    "power": (method("A: [out**out**out, in] = 0\noutput += A @ x"), "number-too-large"),
    "product": (
        method(f"A: [{'*'.join(['10**15'] * 40)}, in] = 0\noutput += (A @ x)[:, :out]"),
        "number-too-large",
    ),
    "negative power": (
        method("A: [out**(0-out**out), in] = 0\noutput += A @ x"),
        "number-too-large",
    ),
    "braces": (f"lora on {'{a,b,c,d}' * 40}", "too-many-alternatives"),
    "inner braces": (f"lora on {'{' * 30}a,b{'}' * 30}", None),
    "layers of a network": (
        method("R: lstm(in, 10**9, layers=10**6)\noutput += R(x)[:, :out]"),
        "formula-failed",
    ),
    "width of a network": (
        method("R: lstm(in, 10**12, layers=2)\noutput += R(x)[:, :out]"),
        "formula-failed",
    ),
    "reflections": ("hra(r=10**6) on a", "formula-failed"),
    "rank": ("lora(r=10**14) on a", "formula-failed"),
    "rank beyond 64 bits": ("lora(r=2**60 * 2**60) on a", "number-too-large"),
    "identity": (method("output += (x @ eye(10**9))[:, :out]"), "formula-failed"),
    "let": (
        "let a0 = 3\n"
        + "\n".join(f"let a{n + 1} = a{n} * a{n}" for n in range(60))
        + "\nlora on a",
        "number-too-large",
    ),
    "stars": (f"lora on {'**.' * 60}zz", "unmatched-selector"),
    "stars between": (f'lora on "{"**.*." * 40}zz"', "unmatched-selector"),
    "letters": (f'lora on "{"*a" * 60}*b"', "unmatched-selector"),
    "long name": (f"lora on {'x' * 100_000}", "unmatched-selector"),
    "range": ("lora on a in layers 0..1000000000000000", "no-layers"),
    "brackets": (f"lora on a where {'(' * 5000}in > 2{')' * 5000}", "nested-too-deep"),
    "chain": (f"lora on a where {' and '.join(['in > 2'] * 5000)}", "nested-too-deep"),
    "recipes": (
        "recipe r0() { lora on a }\n"
        + "\n".join(f"recipe r{n + 1}() {{ {f'r{n}(); ' * 30} }}" for n in range(7))
        + "\nr7()",
        None,
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_it_is_refused_at_once(name: str) -> None:
    text, code = HUGE[name]
    with pytest.raises(pefc.SpecError) as caught:
        pefc.plan(text, plain())
    if code is not None:
        assert code in {found.code() for found in caught.value.diagnostics}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "bomb.yaml",
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "\n".join(
                f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]"
                for old, new in zip("abcdefgh", "bcdefghi", strict=True)
            )
            + "\nspec: *i\n",
        ),
        ("self.yaml", "spec: &a [*a, *a]\n"),
        ("merge.yaml", "spec: &a {lora: 8, <<: *a}\n"),
        ("deep.yaml", f"spec: {'[' * 20_000}{']' * 20_000}\n"),
        ("deep.json", f'{{"spec": {"[" * 20_000}{"]" * 20_000}}}'),
        ("deep.toml", f"spec = {'[' * 20_000}{']' * 20_000}\n"),
        ("long.json", f'{{"spec": {"9" * 20_000}}}'),
    ],
)
def test_a_config_that_asks_for_too_much_is_refused(
    name: str, content: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(pefc.SpecError):
        pefc.read(f"{tmp_path / name}#spec")


def test_globs_match_in_little_time() -> None:
    path = ".".join("abcdefghij" * 3)
    assert matches("**." * 50 + "j", path)
    assert not matches("**.*." * 12 + "x", path)
    assert matches("a.**.j", path)
    assert not matches("b.**.i", path)
