"""Where commands write: no typo replaces what was trained."""

from pathlib import Path

from ..compiler.saving import check_free


def adapter_folder(out: Path, *, force: bool) -> Path:
    """The folder for an adapter. Raises SpecError where something is there, unless it is to be
    replaced.
    """
    if not force:
        check_free(out)
    return out
