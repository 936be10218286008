"""A model as a hierarchy of fx graphs that can be read, rewritten and run."""

from .hierarchy import original_path as original_path
from .trace import trace as trace
