"""Mistakes with `adapterdrop`."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class OutsideLayers(Diagnostic):
    """`adapterdrop` holds a statement at a site that is in no layer.

        adapterdrop(0..2) {
          lora on ffn, head
        }

    Layers are dropped from the first one up, so each site has to be in one. Move the statement out
    of the braces.
    """

    span: Span
    path: str

    def title(self) -> str:
        return f"`{self.path or 'the model'}` is in no layer"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "`adapterdrop` drops this with its layer"),)

    def help(self) -> str:
        return "move the statement out of the braces"


@dataclass(frozen=True, slots=True)
class TooManyDropped(Diagnostic):
    """`adapterdrop` would leave out more layers than the model has.

        adapterdrop(0..40) {
          adapter on ffn
        }

    Both ends of the range, and `eval`, are at most the number of layers.
    """

    span: Span
    most: int
    layers: int

    def title(self) -> str:
        return f"{self.most} layers cannot be dropped of {self.layers}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"at most {self.layers} here"),)

    def help(self) -> str:
        return "lower the end of the range, or `eval`"


@dataclass(frozen=True, slots=True)
class DroppedMerge(Diagnostic):
    """A method that `adapterdrop` leaves out in evaluation is merged into the weights.

        adapterdrop(0..5, eval=3) {
          lora on ffn
        }

    Merged weights cannot be left out: the first three layers would change. Remove `eval`, or keep
    the adapter beside the base.
    """

    span: Span
    label: str
    path: str

    def title(self) -> str:
        return f"`{self.label}` is left out in evaluation, and a merge would put it in"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"left out of the first layers, and stands at `{self.path}`"),)

    def help(self) -> str:
        return "keep the adapter beside the base, or take `eval` out of `adapterdrop`"
