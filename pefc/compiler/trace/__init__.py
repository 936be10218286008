"""Tracing: a model becomes a hierarchy of fx graphs that can be read, rewritten and run."""

from .hierarchy import original_path as original_path
from .traced import Input as Input
from .traced import Traced as Traced
from .tracing import trace as trace
