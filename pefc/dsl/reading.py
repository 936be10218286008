"""Texts and files in, syntax trees out."""

from pathlib import Path

from .parser import parse as parse_source
from .source import Source
from .syntax import Spec


def parse(text: str, *, name: str = "<spec>") -> Spec:
    """The syntax tree of a spec; `name` is what diagnostics call it.

    Raises:
        SpecError: with every syntax mistake of the text.
    """
    return parse_source(Source(name, text))


def read(reference: str | Path) -> Spec:
    """The spec of a `.peft` file, or of a key of a config: `train.peft`, `train.yaml#peft`.

    Raises:
        SpecError: the file or key is missing, or with every syntax mistake in it.
    """
    from .embedding import read as read_reference  # noqa: PLC0415  # YAML is slow to import

    return read_reference(reference)
