"""Folders of whole models in safetensors, read and written a tensor at a time."""

from .files import DamagedShardError as DamagedShardError
from .files import Entry as Entry
from .files import OverflowingError as OverflowingError
from .files import Shard as Shard
from .files import dtype_of as dtype_of
from .files import write_shard as write_shard
from .folder import INDEX as INDEX
from .folder import Checkpoint as Checkpoint
from .folder import NoWeightsError as NoWeightsError
from .folder import open_checkpoint as open_checkpoint
from .unfinished import sync_file as sync_file
from .unfinished import unfinished as unfinished
