import json

import pytest

from .conftest import Run


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("unmatched-selector", "A term of a selector matches nothing in the model"),
        ("error[unmatched-selector]", "A term of a selector matches nothing in the model"),
        ("lora", "B: [out, r] = 0"),
        ("linear", "W"),
    ],
)
def test_explain(run: Run, word: str, said: str) -> None:
    result = run("explain", word)
    assert result.exit_code == 0
    assert said in result.stdout


def test_explain_suggests(run: Run) -> None:
    result = run("explain", "unmached-selector")
    assert result.exit_code == 1
    assert "did you mean `unmatched-selector`?" in result.stderr


def test_methods(run: Run) -> None:
    lines = run("methods").stdout.splitlines()
    assert any(line.startswith("lora(r: int = 8, ") for line in lines)
    assert any("arXiv:2106.09685" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_schema(run: Run) -> None:
    schema = json.loads(run("schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
