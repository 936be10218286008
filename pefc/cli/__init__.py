"""The commands: the only place that reads the command line, prints and colours."""

from .main import main as main
