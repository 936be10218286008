"""The files that git tracks, by what they hold."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked(*patterns: str) -> tuple[Path, ...]:
    """Tracked files that are there, by patterns of git."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *patterns],  # noqa: S607  # git is where the shell finds it
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = (ROOT / name for name in listed.stdout.splitlines())
    return tuple(file for file in files if file.is_file())


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()
