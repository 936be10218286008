"""From a checked spec and a model to a changed model, by packages in the order of the pipeline:

    model      what a model is: loading it, example inputs, kinds of module, sites and ports
    ops        the operations of a patch graph, and what is known of each
    trace      a model as a hierarchy of fx graphs
    roles      which module plays which role
    select     from a selector to sites
    lower      from a method's formula to a patch graph
    passes     rewrites of patch graphs, one file each
    prove      what is known of a patch without running it
    plan       what a spec does to a model, site by site
    state      the saved adapter
    link       patches into a model
    combine    several saved adapters become one
    adapted    operations on a model that carries a spec
    merge      adapters into weights
    measure    verify, and the memory of training

Each may import those above it, through their `__init__`.
"""

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
