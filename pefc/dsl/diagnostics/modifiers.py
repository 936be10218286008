"""Mistakes with what stands inside of `gate` and `adapterdrop`."""

from dataclasses import dataclass

from ..source import Span
from .core import Diagnostic, Label


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
