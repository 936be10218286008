"""A mistake that an action finds, and what stands in for text that could not be read."""

from dataclasses import dataclass

from ...diagnostics.report import Diagnostic
from ...syntax.source import Span


class Fault(Exception):  # noqa: N818  # it never leaves the parser
    """A diagnostic, and a node to go on with, so that the rest of the text is read too."""

    def __init__(self, diagnostic: Diagnostic, node: object) -> None:
        super().__init__(diagnostic.code())
        self.diagnostic = diagnostic
        self.node = node


@dataclass(frozen=True, slots=True)
class Mistake:
    """Stands where a statement or an item could not be read; a spec that holds one is never handed
    out.
    """

    span: Span


def mistake(span: Span, *_: object) -> Mistake:
    return Mistake(span)
