"""Constants have the values that arithmetic gives them, within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pefc.dsl.diagnostics.report import SpecError
from pefc.dsl.evaluation.evaluate import evaluate
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.expression import Expression
from pefc.dsl.syntax.source import Source
from pefc.dsl.syntax.statement import Constant


def expression(text: str) -> Expression:
    (statement,) = parse(Source("<value>", f"let value = {text}")).statements
    assert isinstance(statement, Constant)
    return statement.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("8 / 2", 4),
        ("7 / 2", 3.5),
        ("7 // 2", 3),
        ("-7 % 3", 2),
        ("1e-4", 1e-4),
        ("min(3, 1, 2)", 1),
        ("max(r, 4)", 8),
        ("ceil(2.1) + floor(2.9) + int(2.9)", 7),
        ("sqrt(16)", 4.0),
        ("true and not false", True),
        ("1 < 2 and 2 <= 2 and 3 != 4", True),
        ('"a" == "a"', True),
        ("8 if r == 8 else 0", 8),
        ("0..5", range(6)),
        ("-4..-1", range(-4, 0)),
        ("[1, [2, r]]", (1, (2, 8))),
        ("form == wide", False),
    ],
)
def test_values(text: str, value: object) -> None:
    found = evaluate(expression(text), {"r": 8, "form": "thin", "wide": "wide"})
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1 / 0", "division-by-zero"),
        ("1 % (r - 8)", "division-by-zero"),
        ("10 ** 10 ** 10", "number-too-large"),
        ("2 ** 64 * 2", "number-too-large"),
        ("1.5 ** 100000", "number-too-large"),
        ("0 ** -1", "number-too-large"),
        ("exp(1e9)", "number-too-large"),
        ("(0 - 8) ** 0.5", "number-too-large"),
        ("sqrt(0 - 1)", "undefined-result"),
        ("log(0)", "undefined-result"),
        ("1 + true", "wrong-operand"),
        ('"a" * 3', "wrong-operand"),
        ("1 and true", "wrong-operand"),
        ("1 if 2 else 3", "wrong-operand"),
        ("0.5..2", "wrong-operand"),
        ("5..2", "empty-range"),
        ("s + 1", "unknown-name"),
        ("sqrt()", "wrong-arity"),
        ("sqrt(1, 2)", "wrong-arity"),
        ("sqrt(of=1)", "unknown-keyword"),
        ("squrt(1)", "unknown-function"),
        ("kaiming(1)", "not-constant"),
        ("r.T", "not-constant"),
        ("r @ r", "not-constant"),
    ],
)
def test_mistakes(text: str, code: str) -> None:
    with pytest.raises(SpecError) as caught:
        evaluate(expression(text), {"r": 8})
    assert [diagnostic.code() for diagnostic in caught.value.diagnostics] == [code]


@given(st.integers(-(2**30), 2**30), st.integers(1, 2**30))
def test_quotients_that_come_out_even_are_integers(left: int, right: int) -> None:
    value = evaluate(expression("a / b"), {"a": left * right, "b": right})
    assert value == left
    assert isinstance(value, int)
