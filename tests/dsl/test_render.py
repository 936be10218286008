"""The three renderings of a diagnostic agree on its places."""

import json
from dataclasses import dataclass

from pefc.dsl.diagnostics.render import WIDEST, as_json, full, line
from pefc.dsl.diagnostics.report import Diagnostic, Label
from pefc.dsl.syntax.source import Source, Span


@dataclass(frozen=True)
class Marked(Diagnostic):
    """Marks places.

    For tests.
    """

    places: tuple[Label, ...]

    def title(self) -> str:
        return "marked"

    def labels(self) -> tuple[Label, ...]:
        return self.places


def marked(text: str, *places: tuple[int, int]) -> Marked:
    source = Source("spec.peft", text)
    return Marked(tuple(Label(Span(source, *place), f"at {place[0]}") for place in places))


def test_line_and_full_name_the_same_place() -> None:
    diagnostic = marked("lora\n  dora\n", (7, 11))
    assert line(diagnostic) == "spec.peft:2:3: error[marked]: marked"
    assert full(diagnostic) == (
        "error[marked]: marked\n --> spec.peft:2:3\n  |\n2 |   dora\n  |   ^^^^ at 7\n"
    )


def test_json_is_plain_data() -> None:
    data = json.loads(json.dumps(as_json(marked("lora", (1, 3)))))
    assert data["code"] == "marked"
    assert data["labels"] == [
        {"file": "spec.peft", "line": 1, "column": 2, "start": 1, "stop": 3, "text": "at 1"}
    ]
    assert data["fix"] is None


def test_long_spans_show_their_ends() -> None:
    text = "".join(f"line {number}\n" for number in range(12))
    shown = full(marked(text, (2, len(text) - 1)))
    assert " 1 | line 0" in shown
    assert "12 | line 11" in shown
    assert "line 5" not in shown
    assert "\n...\n" in shown


def test_places_at_the_end_of_a_text_are_shown() -> None:
    assert "1 | lora(\n  |      ^ at 5" in full(marked("lora(", (5, 5)))
    assert "^ at 0" in full(marked("", (0, 0)))


def test_long_lines_are_cut_around_the_mark() -> None:
    shown = full(marked("a" * 5000 + "b" + "c" * 5000, (5000, 5001)))
    assert max(map(len, shown.splitlines())) <= WIDEST + 20
    row, under = shown.splitlines()[3:5]
    assert row[under.index("^")] == "b"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in full(marked("lora \x1b[31m", (0, 4)))


def test_labels_without_a_place_become_notes() -> None:
    assert full(Marked((Label(None, "of the command line"),))) == (
        "error[marked]: marked\n  = note: of the command line\n"
    )


def test_uses_of_recipes_are_shown() -> None:
    source = Source("spec.peft", "recipe a() { lora }\na\n")
    place = Span(source, 13, 17, Span(source, 20, 21))
    shown = full(Marked((Label(place, "here"),)))
    assert "2 | a\n  | - in this use of the recipe" in shown
