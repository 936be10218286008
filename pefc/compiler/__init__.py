"""From a spec and a model to a plan, to patches, and into the model."""

from .attached import check_alone as check_alone
from .attached import check_own as check_own
from .bases import base as base
from .carrying import check_carried as check_carried
from .gates import gates as gates
from .growing import add as add
from .growing import drop as drop
from .growing import is_of_tasks as is_of_tasks
from .loading import load as load
from .loading import load_task as load_task
from .merge import merge as merge
from .merge import remove as remove
from .optimizers import optimizer as optimizer
from .plan import Plan as Plan
from .planning import plan as plan
from .program import Program as Program
from .program import compiled as compiled
from .pruning import prune as prune
from .ranking import ranks as ranks
from .regularizing import regularizer as regularizer
from .saving import save as save
from .tasking import set_task as set_task
from .tasking import task_names as task_names
from .tasking import tasks as tasks
from .wishes import wish as wish
