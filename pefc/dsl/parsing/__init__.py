"""From text to the syntax tree."""

from .parser import parse as parse
