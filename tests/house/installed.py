"""A wheel of pefc where it is installed: it holds all files of the package, and the first blocks of
the README show there what they show on the page. Each command is a process of its own.

A script, for the Python of such an environment: `python tests/house/installed.py`.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir
from difflib import unified_diff
from importlib.metadata import files
from pathlib import Path
from tempfile import TemporaryDirectory

from files import ROOT, name, tracked
from pages import README, blocks, replayed, run

import pefc

EXTRAS = "\n## Training\n"
"""Here begins what needs more than pefc declares."""
COMMAND = Path(sys.executable).with_name("pefc")


def in_process_of_its_own(arguments: Sequence[str]) -> str:
    """What the installed command prints, to both streams."""
    done = subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def main() -> int:
    """1 where something is amiss."""
    assert not Path(pefc.__file__).is_relative_to(ROOT / "pefc"), "pefc is that of the checkout"
    return int(_is_incomplete() or _shows_something_else())


def _is_incomplete() -> bool:
    """Whether the files of the wheel are not those that git tracks."""
    theirs = {path.as_posix() for path in files("pefc") or ()}
    held = {path for path in theirs if path.startswith("pefc/") and "__pycache__" not in path}
    ours = {name(path) for path in tracked("pefc")}
    sys.stdout.writelines(f"the wheel lacks {path}\n" for path in sorted(ours - held))
    sys.stdout.writelines(f"the wheel holds {path}\n" for path in sorted(held - ours))
    return ours != held


def _shows_something_else() -> bool:
    first, found, _ = README.read_text(encoding="utf-8").partition(EXTRAS)
    assert found, f"the README has no section {EXTRAS.strip()}"
    names: dict[str, object] = {}
    wrong = count = 0
    with TemporaryDirectory() as folder, chdir(folder):
        for block in blocks(first):
            if block.language != "console":
                run(block, Path(folder), names)
                continue
            count += 1
            shown = replayed(block, in_process_of_its_own)
            wrong += shown != block.text
            sys.stdout.writelines(_difference(block.text, shown, block.line))
    print(f"README: {count} consoles of the installed pefc, {wrong} show something else")
    return wrong > 0 or count == 0


def _difference(expected: str, shown: str, line: int) -> list[str]:
    texts = (expected.splitlines(keepends=True), shown.splitlines(keepends=True))
    return list(unified_diff(*texts, f"README.md:{line}", "shown here"))


if __name__ == "__main__":
    sys.exit(main())
