"""Mistakes in tasks, modifiers, recipes and what stands inside them."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label
from .suggestions import listing, suggestion


@dataclass(frozen=True)
class NotModified(Diagnostic):
    """A modifier stands around a statement that it cannot change.

        gate(unipelt) {
          tune on norm
          lora(r=8) on attn.q
        }

    A gate multiplies what a method changes at its site, and `adapterdrop` leaves it out. `tune` is
    about the parameters of the base. Move the statement out of the braces.
    """

    modifier: str
    span: Span
    around: Span

    def title(self) -> str:
        return f"`{self.modifier}` does not change `tune`"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.span, "this is about the parameters of the base"),
            Label(self.around, "this stands around it"),
        )

    def help(self) -> str:
        return "move it out of the braces"


@dataclass(frozen=True)
class NestedGate(Diagnostic):
    """A gate stands around a gate.

        gate(unipelt) {
          gate(unipelt) { lora(r=8) on attn.q }
        }

    A method has one gate at a site. A bare `gate(unipelt)` takes in all methods above it in its
    block, those in braces and in recipes too, so that they need no gate of their own.
    """

    span: Span
    outer: Span

    def title(self) -> str:
        return "a gate stands inside of a gate"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "gated here"), Label(self.outer, "and gated again here"))

    def help(self) -> str:
        return "take one of the two out"


@dataclass(frozen=True)
class MissingTarget(Diagnostic):
    """A statement does not say where, and the method needs it.

        lora(r=8)

    Write `on SELECTOR`. Only methods for attention and for the whole model can go without.
    """

    method: str
    site: str
    span: Span

    def title(self) -> str:
        return f"`{self.method}` needs `on SELECTOR`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"to which {self.site} sites is not said"),)

    def help(self) -> str | None:
        example = {"linear": "attn.q, attn.v", "block": "ffn", "norm": "norm", "embedding": "embed"}
        return f"for example `{self.method} on {example.get(self.site, 'linear')}`"


@dataclass(frozen=True)
class UnwantedTarget(Diagnostic):
    """A method for the whole model is given a selector or layers.

        prompt(len=20) on attn.q

    A prompt lengthens the input of the model and has no other place: leave the selector out.
    """

    method: str
    span: Span

    def title(self) -> str:
        return f"`{self.method}` applies to the whole model"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "it cannot be attached to a part"),)

    def help(self) -> str | None:
        return "leave the selector out"


@dataclass(frozen=True)
class UnwantedClause(Diagnostic):
    """A clause follows something that it says nothing about, such as `as` after a recipe.

        lora(r=8) on attn.q
        gate(unipelt) as style

    `as`, `expect` and `with` belong to attachments of a method; recipes, modifiers, `quantize` and
    `fuse` take fewer.
    """

    name: str
    clause: str
    span: Span
    allowed: str

    def title(self) -> str:
        return f"`{self.name}` takes no `{self.clause}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"`{self.clause}` has no meaning here"),)

    def notes(self) -> tuple[str, ...]:
        return (self.allowed,)


@dataclass(frozen=True)
class DuplicateLabel(Diagnostic):
    """Two attachments have one label on the same selection, so that the names of their tensors
    would collide.

        lora(r=8) on attn.q
        lora(r=4) on attn.q

    Name one of them with `as`; the label is part of the names in the saved file.
    """

    label: str
    span: Span
    first: Span

    def title(self) -> str:
        return f"two attachments are labelled `{self.label}` on the same sites"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "the second one"), Label(self.first, "the first one"))

    def help(self) -> str | None:
        return "name one of them with `as`"


@dataclass(frozen=True)
class UnknownFact(Diagnostic):
    """A `where` condition names something that is neither a fact of a site nor a constant.

        lora(r=8) on linear where width >= 1024

    The facts of a site are `in`, `out`, `layer` and, at attention, `heads`, `kv_heads` and
    `head_dim`.
    """

    name: str
    span: Span
    known: tuple[str, ...]
    constants: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.name}` is no fact of a site"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "neither a fact nor a constant"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the facts are {listing(self.known)}",)

    def help(self) -> str | None:
        return suggestion(self.name, (*self.known, *self.constants))


@dataclass(frozen=True)
class NotCondition(Diagnostic):
    """A `where` holds something that is neither true nor false.

        lora(r=8) on linear where in + 1024

    Compare something: `where in >= 1024 and out % 64 == 0`.
    """

    span: Span

    def title(self) -> str:
        return "`where` needs a condition"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "neither true nor false"),)

    def help(self) -> str | None:
        return "compare it, for example `where in >= 1024`"


@dataclass(frozen=True)
class NestedTooDeep(Diagnostic):
    """A construct is nested so deeply that following it would exhaust the stack.

        gate(unipelt) { gate(unipelt) { gate(unipelt) {
          gate(unipelt) { gate(unipelt) { gate(unipelt) {
            gate(unipelt) { gate(unipelt) { gate(unipelt) { lora(r=8) on attn.q } } }
          } } }
        } } }

    Name the inner parts with `let`, or leave the nesting out.
    """

    span: Span

    def title(self) -> str:
        return "nested too deeply"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "too many levels inside each other"),)
