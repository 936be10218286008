"""Mistakes in the evaluation of constants."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Fix, Label
from .suggestions import listing, nearest, suggestion


@dataclass(frozen=True)
class DivisionByZero(Diagnostic):
    """A constant divides by zero.

        let parts = 0
        lora(r=8 / parts) on attn.q

    Look at the value of the divisor, also at one that `--set` gives.
    """

    span: Span

    def title(self) -> str:
        return "division by zero"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "this is zero"),)


@dataclass(frozen=True)
class NumberTooLarge(Diagnostic):
    """A number is beyond what any model has a use for: an integer of more than 64 bits, or a float
    beyond its range.

        lora(r=10 ** 10 ** 10) on attn.q

    Give a smaller number.
    """

    span: Span

    def title(self) -> str:
        return "this number is too large"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "beyond 64 bits"),)


@dataclass(frozen=True)
class WrongOperand(Diagnostic):
    """An operator or function is given a value of a type that it does not take.

        let size = "8" * 2
        lora(r=size) on attn.q

    Arithmetic and order need numbers, `and`, `or`, `not` and the test of an `if` need true or
    false.
    """

    operator: str
    given: str
    expected: str
    span: Span

    def title(self) -> str:
        return f"`{self.operator}` does not take {self.given}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"this is {self.given}"),)

    def notes(self) -> tuple[str, ...]:
        return (f"`{self.operator}` takes {self.expected}",)


@dataclass(frozen=True)
class UndefinedResult(Diagnostic):
    """A function has no value for this number, as the root of a negative one.

        let size = sqrt(0 - 4)
        lora(r=8, alpha=size) on attn.q

    Look at the argument.
    """

    function: str
    given: str
    span: Span

    def title(self) -> str:
        return f"`{self.function}` of {self.given} is not a number"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"this is {self.given}"),)


@dataclass(frozen=True)
class NotConstant(Diagnostic):
    """A value that must be known before there is a model is written with something that needs one.

        let size = relu(8)
        lora(r=size) on attn.q

    Arguments of statements, `let` and `param` are made of numbers, strings, true, false, ranges,
    lists, other constants and the functions of numbers.
    """

    span: Span

    def title(self) -> str:
        return "this is not a constant"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "has a value in a formula of a method only"),)

    def notes(self) -> tuple[str, ...]:
        return ("a constant is a number, string, true, false, range, list or computed from these",)


@dataclass(frozen=True)
class EmptyRange(Diagnostic):
    """A range ends before it starts.

        lora(r=8) on attn.q in layers 5..2

    Both ends of a range are included and the smaller one comes first; negative ends count from the
    last layer, so the last four layers are `-4..-1`.
    """

    start: int
    stop: int
    span: Span

    def title(self) -> str:
        return f"the range {self.start}..{self.stop} is empty"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "ends before it starts"),)

    def help(self) -> str | None:
        return f"did you mean `{self.stop}..{self.start}`?"

    def fix(self) -> Fix | None:
        return Fix(self.span, f"{self.stop}..{self.start}")


@dataclass(frozen=True)
class UnknownFunction(Diagnostic):
    """An expression calls a function that the language does not have.

        let size = square(8)
        lora(r=size) on attn.q

    `docs/language.md` lists the functions.
    """

    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"there is no function `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "no function, and no map declared above, has this name"),)

    def help(self) -> str | None:
        return suggestion(self.name, self.known)

    def fix(self) -> Fix | None:
        name = nearest(self.name, self.known)
        return None if name is None else Fix(self.span, name)


@dataclass(frozen=True)
class WrongArity(Diagnostic):
    """A function is called with too few or too many arguments.

        let size = sqrt(4, 2)
        lora(r=8, alpha=size) on attn.q

    The note shows what the function takes; `?` marks what may be left out.
    """

    name: str
    signature: str
    given: int
    span: Span

    def title(self) -> str:
        count = "1 argument" if self.given == 1 else f"{self.given} arguments"
        return f"`{self.name}` does not take {count}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"{self.given} given"),)

    def notes(self) -> tuple[str, ...]:
        return (f"it is called as `{self.signature}`",)


@dataclass(frozen=True)
class UnknownKeyword(Diagnostic):
    """A function of a formula is called with a keyword that it does not have, or twice with one.

        method noisy on linear {
          d: [out] ~ normal(mean=0, deviation=1)
          output += d
        }

    The note shows the names of its arguments.
    """

    function: str
    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.function}` has no argument `{self.name}` left"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not an argument, or given already"),)

    def notes(self) -> tuple[str, ...]:
        return (
            (f"its arguments are {listing(self.known)}",)
            if self.known
            else ("it has no arguments",)
        )

    def help(self) -> str | None:
        return suggestion(self.name, self.known)
