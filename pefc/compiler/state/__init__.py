"""The saved adapter: save, read, trim, Trainer checkpoints."""

from .compatible import check_tensors as check_tensors
from .compatible import check_values as check_values
from .compatible import compare_base as compare_base
from .manifest import Entry as Entry
from .precompute import folded_labels as folded_labels
from .read import Saved as Saved
from .read import read as read
from .same_spec import check_carried as check_carried
from .save import adapter_tensors as adapter_tensors
from .save import check_free as check_free
from .save import save as save
from .save import write as write
from .save import write_files as write_files
from .trainer_checkpoint import check_origin as check_origin
from .trainer_checkpoint import write_checkpoint as write_checkpoint
from .trim_ranks import tensor_at as tensor_at
from .trim_ranks import unfinished as unfinished
