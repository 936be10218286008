"""Operations on a model that carries a spec: load, tasks, gates, ranks, optimizer, pruning."""

from .add_tasks import add as add
from .add_tasks import drop as drop
from .add_tasks import is_of_tasks as is_of_tasks
from .gate_values import GateValues as GateValues
from .gate_values import gates as gates
from .load import load as load
from .load import load_task as load_task
from .optimizer import KINDS as KINDS
from .optimizer import optimizer as optimizer
from .prune_fusion import Kept as Kept
from .prune_fusion import prune as prune
from .rank_values import Ranks as Ranks
from .rank_values import ranks as ranks
from .set_task import set_task as set_task
from .set_task import task_names as task_names
from .set_task import tasks as tasks
