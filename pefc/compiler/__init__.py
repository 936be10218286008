"""From a spec and a model to a plan, to patches, and into the model."""

from .adapted import add as add
from .adapted import drop as drop
from .adapted import gates as gates
from .adapted import is_of_tasks as is_of_tasks
from .adapted import load as load
from .adapted import load_task as load_task
from .adapted import optimizer as optimizer
from .adapted import prune as prune
from .adapted import ranks as ranks
from .adapted import set_task as set_task
from .adapted import task_names as task_names
from .adapted import tasks as tasks
from .link import Program as Program
from .link import base as base
from .link import compiled as compiled
from .link import regularizer as regularizer
from .merge import merge as merge
from .merge import remove as remove
from .merge import wish as wish
from .plan import Plan as Plan
from .plan import check_alone as check_alone
from .plan import check_own as check_own
from .plan import plan as plan
from .state import check_carried as check_carried
from .state import save as save
