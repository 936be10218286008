"""Mistakes in the syntax of a text."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Fix, Label


@dataclass(frozen=True)
class UnexpectedText(Diagnostic):
    """Something stands where the language has no place for it.

        lora(r=8) 0n attn.q

    The message says what may stand there. A statement is `METHOD(args) on SELECTOR`, with `in
    layers`, `where`, `as`, `expect` and `with` after it; a newline or `;` ends it.
    """

    span: Span
    found: str
    """In words: a word or sign in backquotes, `the end of the line`."""
    expected: tuple[str, ...]
    """In words; empty if too much may stand there for a list to help."""
    keyword: str | None = None
    """What was probably meant; then the span is that of the misspelled word."""
    advice: str | None = None
    """What to do."""

    def title(self) -> str:
        if self.keyword is not None:
            return f"{self.found} is no word of the language here"
        return f"{self.found} has no place here"

    def labels(self) -> tuple[Label, ...]:
        if self.keyword is not None:
            return (Label(self.span, f"near to `{self.keyword}`"),)
        return (Label(self.span, "nothing like this can stand here"),)

    def notes(self) -> tuple[str, ...]:
        if not self.expected:
            return ()
        return (f"expected {_alternatives(self.expected)}",)

    def help(self) -> str | None:
        return f"did you mean `{self.keyword}`?" if self.keyword else self.advice

    def fix(self) -> Fix | None:
        if self.keyword is None or f"`{self.span.text}`" != self.found:
            return None
        return Fix(self.span, self.keyword)


@dataclass(frozen=True)
class UnclosedBracket(Diagnostic):
    """A bracket opens and nothing closes it.

        lora(r=8 on attn.q

    Write the closing bracket where its contents end.
    """

    span: Span
    """The place where it should have been closed."""
    bracket: str
    opening: Span

    def title(self) -> str:
        return f"`{self.bracket}` is never closed"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.opening, "this bracket opens"),
            Label(self.span, f"`{self.closing}` expected before this"),
        )

    @property
    def closing(self) -> str:
        return {"(": ")", "[": "]", "{": "}"}[self.bracket]

    def help(self) -> str | None:
        return f"write the closing `{self.closing}`"


@dataclass(frozen=True)
class UnmatchedBracket(Diagnostic):
    """A bracket closes that nothing has opened.

        lora(r=8)) on attn.q

    Take it out, or open it where its contents begin.
    """

    span: Span
    bracket: str

    def title(self) -> str:
        return f"`{self.bracket}` closes nothing"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "no bracket of this kind is open here"),)

    def help(self) -> str | None:
        return "take it out"

    def fix(self) -> Fix | None:
        return Fix(self.span, "") if self.span.text == self.bracket else None


@dataclass(frozen=True)
class UnclosedString(Diagnostic):
    """A string begins and does not end on its line.

        import "methods.peft

    Write `"` at the end of the string.
    """

    span: Span

    def title(self) -> str:
        return "a string does not end on its line"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "begins here"),)

    def help(self) -> str | None:
        return 'write `"` where the string ends'


@dataclass(frozen=True)
class UnknownCharacter(Diagnostic):
    """A character that the language does not use, outside of strings and comments.

        lora(r=8) on attn.q$

    Take it out. Strings stand in double quotes; names are letters, digits and `_` of ASCII; a path
    with other characters is put in quotes.
    """

    span: Span
    character: str
    name: str
    """What it is called in a message."""

    def title(self) -> str:
        return f"the character {self.name} means nothing here"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not a part of the language"),)

    def help(self) -> str | None:
        if self.character in "'`\u2018\u2019\u201c\u201d":
            return 'strings stand in double quotes: `"…"`'
        return "take it out"


@dataclass(frozen=True)
class UnknownEscape(Diagnostic):
    r"""A backslash in a string stands before a character that it gives no meaning to.

        import "methods\peft"

    The escapes are `\"`, `\\`, `\n`, `\t`, `\r` and `\u` with four hexadecimal digits.
    """

    span: Span
    escape: str

    def title(self) -> str:
        return f"`{self.escape}` is no escape"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "this backslash has no meaning"),)

    def notes(self) -> tuple[str, ...]:
        return ('the escapes are `\\"`, `\\\\`, `\\n`, `\\t`, `\\r` and `\\u0041`',)

    def help(self) -> str | None:
        return "for a backslash itself write two"


@dataclass(frozen=True)
class RepeatedClause(Diagnostic):
    """A statement says one thing twice.

        lora(r=8) on attn.q in layers 0..3 in layers 8..11

    Keep one of them. Several ranges of layers are joined by commas, several selectors too.
    """

    span: Span
    clause: str
    first: Span

    def title(self) -> str:
        return f"`{self.clause}` stands twice in one statement"

    def labels(self) -> tuple[Label, ...]:
        return Label(self.span, "said again here"), Label(self.first, "said first here")

    def help(self) -> str | None:
        return "keep one; join several with commas"


@dataclass(frozen=True)
class MissingSelector(Diagnostic):
    """A selector is missing: the statement does not say where.

        tune bias

    Write `on` and a selector, such as `on attn.q, attn.v`, or `all layers`.
    """

    span: Span

    def title(self) -> str:
        return "a selector is missing"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "where in the model?"),)

    def help(self) -> str | None:
        return "write `on` and a selector, such as `on attn.q, attn.v`"


@dataclass(frozen=True)
class NoWholeNumber(Diagnostic):
    """`expect` counts sites, and has something else than a whole number.

        lora(r=8) on attn.q expect 2.5

    Write the number of sites that the selector should yield.
    """

    span: Span

    def title(self) -> str:
        return "`expect` takes a whole number"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "this is not whole"),)

    def help(self) -> str | None:
        return "write how many sites the selector should yield"


@dataclass(frozen=True)
class FractionalLayer(Diagnostic):
    """A layer is given by a number that is not whole.

        lora(r=8) on attn.q in layers 0..5.5

    Layers are counted 0, 1, 2 from the input, -1, -2 from the output.
    """

    span: Span

    def title(self) -> str:
        return "the number of a layer is whole"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "no layer has this number"),)

    def notes(self) -> tuple[str, ...]:
        return ("layers are counted 0, 1, 2 from the input, -1, -2 from the output",)


@dataclass(frozen=True)
class NotAModule(Diagnostic):
    """A declaration has neither a shape nor an arrow, and is no call of a builtin module.

        method wide(r: int = 8) on linear {
          A: r
          weight += A
        }

    A tensor is `A: [r, in] = 0` or `A: [r, in] ~ normal(0, 1)`, a map `f: d -> r`, a module `R:
    lstm(d, h)`.
    """

    span: Span
    name: str

    def title(self) -> str:
        return f"`{self.name}` is declared as neither tensor, map nor module"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "expected a shape, a map or a module"),)

    def notes(self) -> tuple[str, ...]:
        name = self.name
        ways = f"`{name}: [r, in] = 0`, a map `{name}: d -> r`, a module `{name}: lstm(d, h)`"
        return (f"a tensor is {ways}",)


@dataclass(frozen=True)
class UnevenNames(Diagnostic):
    """On the two sides stand different numbers of things.

        method uneven on linear {
          let a, b, c = in, out
          output *= a + b + c
        }

    Give one value to each name, or a single value that is taken apart, such as `svd(W)`.
    """

    span: Span
    names: int
    values: int

    def title(self) -> str:
        return f"{self.names} names and {self.values} values"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "the two sides differ in number"),)

    def help(self) -> str | None:
        return "give one value to each name"


@dataclass(frozen=True)
class TooManyMistakes(Diagnostic):
    """A text holds so many mistakes that it is probably not meant to be a spec at all; the rest of
    it was not read.

    Look at the first mistakes, and at what was given as the spec.
    """

    span: Span
    count: int

    def title(self) -> str:
        return f"more than {self.count} mistakes; the rest was not read"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "reading stopped here"),)


def _alternatives(words: tuple[str, ...]) -> str:
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} or {words[-1]}"
