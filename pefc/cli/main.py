"""Where `pefc` starts, and how it ends: cleanly, also when interrupted or left by its reader."""

import os
import sys
from io import TextIOWrapper

INTERRUPTED = 130
"""What a shell expects of a command that Ctrl-C ended."""


def main() -> None:
    """Run the command that `sys.argv` names, and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        from .app import app

        app(prog_name="pefc")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        _flush()


def _flush() -> None:
    """What is still unwritten when the reader has gone is nobody's loss."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
