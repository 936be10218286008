"""Whatever a text is, the front end gives a spec or diagnostics, and soon."""

from pathlib import Path
from random import Random

import pefc
from pefc.dsl.diagnostics.render import full
from pefc.dsl.format.page import format as format_spec
from pefc.dsl.parsing import library
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.source import Source

from ..work import at_most
from .seeds import campaign

GOLDEN = Path(__file__).parents[1] / "golden"
TEXTS = tuple(
    path.read_text(encoding="utf-8")
    for folder in ("check", "parse", "format", "plan", "graph", "model")
    for path in sorted((GOLDEN / folder).glob("*.peft"))
)
PIECES = (
    *"{}()[]<>,;:.*+-/%@=~&?#\"'\\\n\t \0é\ufeff",
    *("let", "param", "task", "tune", "method", "recipe", "import", "on", "in", "layers", "where"),
    *("**", "//", "==", "10**10**10", "1e999", "0x", "9" * 40, "in >", "all", "if", "else", "for"),
    *(
        "{a,b,c,d}",
        "(" * 300,
        "[" * 300,
        "max in",
        "as",
        "expect",
        "with",
        "over",
        "~ normal(0, 1)",
    ),
    *library.names(),
)
INPUTS = 4_000
CALLS = 5_000_000
"""Of functions, for one text."""


def mutated(text: str, random: Random) -> str:
    """A text with a few pieces inserted, cut, doubled, or taken from another text."""
    for _ in range(random.randint(1, 6)):
        start = random.randint(0, len(text))
        stop = min(len(text), start + random.choice((0, 1, 3, 10, 40)))
        other = random.choice(TEXTS)
        place = random.randint(0, len(other))
        new = random.choice(
            (
                random.choice(PIECES),
                "",
                text[start:stop] * random.randint(2, 30),
                other[place : place + random.randint(1, 60)],
                chr(random.randint(0, 0x10FFFF)).encode("utf-8", "replace").decode(),
            )
        )
        text = text[:start] + new + text[stop:]
    return text


def test_texts_are_specs_or_mistakes() -> None:
    for random in campaign("front end", INPUTS):
        text = mutated(random.choice(TEXTS), random)
        try:
            with at_most(CALLS):
                read(text)
        except BaseException as error:
            error.add_note(repr(text))
            raise


def read(text: str) -> None:
    """Read a text, which is as it is written, or has mistakes that can be shown."""
    try:
        spec = parse(Source("<fuzz>", text))
        assert parse(Source("<again>", format_spec(spec))) == spec
        pefc.check(spec)
    except pefc.SpecError as error:
        shown = [full(diagnostic) for diagnostic in error.diagnostics[:5]]
    else:
        shown = ["nothing"]
    assert all(shown)
