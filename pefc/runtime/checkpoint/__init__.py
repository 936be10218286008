"""Folders of whole models in safetensors, read and written a tensor at a time."""

from .files import DamagedShardError as DamagedShardError
from .files import New as New
from .files import OverflowingError as OverflowingError
from .files import Shard as Shard
from .files import as_given as as_given
from .files import copied as copied
from .files import file_parts as file_parts
from .files import of_numbers as of_numbers
from .files import write_shard as write_shard
from .folder import INDEX as INDEX
from .folder import Checkpoint as Checkpoint
from .folder import NoWeightsError as NoWeightsError
from .folder import open_checkpoint as open_checkpoint
from .header import DTYPES as DTYPES
from .header import FLOATS as FLOATS
from .header import Entry as Entry
from .header import read_header as read_header
from .unfinished import sync_file as sync_file
from .unfinished import unfinished as unfinished
