"""The code blocks of a page, and how each kind of block is tried."""

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

import pefc
from pefc.cli.app import app

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
LANGUAGES = {"peft", "yaml", "console", "python", "sh", "text", "mistake"}

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+\.(?:peft|yaml|toml))$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and the line on which it starts."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The file that the block shows: its first line is a comment with the name."""
        found = _FILE.match(self.text)
        return None if found is None else found[1]


def blocks(page: str) -> tuple[Block, ...]:
    """The blocks of a page, in order."""
    return tuple(
        Block(found[1], found[2], page.count("\n", 0, found.start()) + 1)
        for found in _BLOCK.finditer(page)
    )


def write_model(folder: Path) -> None:
    """Make `my-llama` in a folder, with the block of the README that does it."""
    found = blocks(README.read_text(encoding="utf-8"))
    (block,) = (block for block in found if '.save_pretrained("my-llama")' in block.text)
    with chdir(folder):
        run(block, folder, {})


def run(block: Block, folder: Path, names: dict[str, object]) -> None:
    """Try a block that is no console; Python's blocks share their names."""
    assert block.language in LANGUAGES, f"line {block.line}: a block says what it holds"
    match block.language:
        case "peft":
            check_spec(block, folder)
        case "yaml" | "mistake":
            write(block, folder)
        case "python":
            exec(compile(block.text, f"line {block.line}", "exec"), names)  # noqa: S102
        case "sh":
            _targets_exist(block)
        case _:
            pass


def check_spec(block: Block, folder: Path) -> None:
    """A block of .peft parses and checks; a named one stays for the commands that follow."""
    path = folder / (block.file or "block.peft")
    path.write_text(block.text, encoding="utf-8")
    pefc.check(pefc.read(path), root=folder)


def write(block: Block, folder: Path) -> None:
    """A block that only has a name stays for the commands that follow."""
    assert block.file is not None, f"line {block.line}: the first line names the file"
    (folder / block.file).write_text(block.text, encoding="utf-8")


def in_process(arguments: Sequence[str]) -> str:
    """What `pefc` prints, run here."""
    return CliRunner().invoke(app, list(arguments)).output


def replayed(block: Block, pefc: Callable[[Sequence[str]], str] = in_process) -> str:
    """The block as it looks when its commands are run, in order."""
    lines = [line for line in block.text.splitlines() if line.startswith("$ ")]
    return "".join(f"{line}\n{_output(shlex.split(line[2:]), pefc)}" for line in lines)


def _output(words: list[str], pefc: Callable[[Sequence[str]], str]) -> str:
    program, *arguments = words
    assert program == "pefc"
    return pefc(arguments)


def _targets_exist(block: Block) -> None:
    """Shell blocks hold `make` and Python's own commands; what `make` is asked for is there."""
    targets = re.findall(r"^make (\w+)", block.text, re.MULTILINE)
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)  # noqa: S607
