"""The code blocks of a page, and how each kind of block is tried."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

import pefc
from pefc.cli.app import app

LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 1024,
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
}
"""What the pages call `my-llama`: a folder with this config and no weights."""

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
    """Make `my-llama`."""
    (folder / "my-llama").mkdir()
    (folder / "my-llama" / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")


def check_spec(block: Block, folder: Path) -> None:
    """A block of .peft parses and checks; a named one stays for the commands that follow."""
    path = folder / (block.file or "block.peft")
    path.write_text(block.text, encoding="utf-8")
    pefc.check(pefc.read(path), root=folder)


def write(block: Block, folder: Path) -> None:
    """A block that only has a name stays for the commands that follow."""
    assert block.file is not None, f"line {block.line}: the first line names the file"
    (folder / block.file).write_text(block.text, encoding="utf-8")


def replayed(block: Block) -> str:
    """The block as it looks when its commands are run here, in order."""
    lines = [line for line in block.text.splitlines() if line.startswith("$ ")]
    return "".join(f"{line}\n{_output(shlex.split(line[2:]))}" for line in lines)


def _output(words: list[str]) -> str:
    program, *arguments = words
    assert program == "pefc"
    return CliRunner().invoke(app, arguments).output
