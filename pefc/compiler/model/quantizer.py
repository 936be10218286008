"""The library that quantizes, imported when something is quantized and not before."""

from ...dsl.diagnostics.quantization import BrokenQuantizer
from ...dsl.diagnostics.report import SpecError
from ...dsl.syntax.source import Span
from ...runtime.quantized import library


def load_quantizer(span: Span | None = None) -> None:
    """Import bitsandbytes, for a statement where there is one.

    Raises SpecError where it is installed and fails.
    """
    try:
        library()
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise SpecError([BrokenQuantizer(span, reason)]) from error
