"""Adapters into weights, in memory and in a model folder."""

from .folder import merge_folder as merge_folder
from .in_memory import merge as merge
from .in_memory import remove as remove
from .merged_module import Cost as Cost
from .options import TOLERATED as TOLERATED
from .options import Wish as Wish
from .options import wish as wish
