"""Texts and files in, syntax trees out."""

from pathlib import Path

from .checked import check_text, check_type
from .parsing import parse as parse_source
from .syntax.source import Source
from .syntax.statement import Spec


def parse(text: str, *, name: str = "<spec>") -> Spec:
    """The syntax tree of a spec; `name` is what diagnostics call it.

    Raises:
        SpecError: with every syntax mistake of the text.
        TypeError: `text` is none.
        ValueError: `text` is the name of a file.
    """
    check_text("text", text)
    check_type("name", name, str, "what diagnostics call the spec")
    return parse_source(Source(name, text))


def read(reference: str | Path) -> Spec:
    """The spec of a `.peft` file, or of a key of a config: `train.peft`, `train.yaml#peft`.

    Raises:
        SpecError: the file or key is missing, or with every syntax mistake in it.
        TypeError: `reference` is no path.
    """
    check_type("reference", reference, (str, Path), "the path of a file")
    from .config.locate import read as read_reference  # noqa: PLC0415  # YAML is slow to import

    return read_reference(reference)
