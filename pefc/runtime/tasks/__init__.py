"""Which task runs, for all rows of a batch or for each of them."""

from .gates import NAME as NAME
from .gates import Gates as Gates
from .gates import gate_scores as gate_scores
from .gates import gated_rows as gated_rows
from .gates import kept as kept
from .gates import noted as noted
from .recompute import recalling_names as recalling_names
from .rows import counting_names as counting_names
from .tasks import KINDS as KINDS
from .tasks import Lifted as Lifted
from .tasks import RowCall as RowCall
from .tasks import TaskPatch as TaskPatch
from .tasks import Tasks as Tasks
from .tasks import rows_of as rows_of
from .tasks import run_task as run_task
