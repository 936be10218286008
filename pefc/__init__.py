"""pefc: model surgery for parameter-efficient fine-tuning, by formula.

What needs torch is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .dsl import SpecError as SpecError
from .dsl import SpecWarning as SpecWarning
from .dsl import check as check
from .dsl import parse as parse
from .dsl import read as read

if TYPE_CHECKING:
    from .compiler import Plan as Plan
    from .compiler import Program as Program
    from .compiler.combine import combine as combine
    from .compiler.trace import trace as trace
    from .surgery import apply as apply
    from .surgery import base as base
    from .surgery import compile as compile
    from .surgery import load as load
    from .surgery import merge as merge
    from .surgery import plan as plan
    from .surgery import remove as remove
    from .surgery import save as save
    from .surgery import set_task as set_task
    from .surgery import task_names as task_names
    from .surgery import tasks as tasks
    from .training import gates as gates
    from .training import optimizer as optimizer
    from .training import prune as prune
    from .training import ranks as ranks
    from .training import regularizer as regularizer

__version__ = "0.1.0"

__all__ = ["SpecError", "SpecWarning", "check", "parse", "read"]
__all__ += ["Plan", "Program", "combine", "trace"]
__all__ += ["apply", "base", "compile", "load", "merge", "plan", "remove", "save"]
__all__ += ["set_task", "task_names", "tasks"]
__all__ += ["gates", "optimizer", "prune", "ranks", "regularizer"]

_HOMES = {
    **dict.fromkeys(("apply", "base", "compile", "load", "merge", "plan", "remove"), ".surgery"),
    **dict.fromkeys(("save", "set_task", "task_names", "tasks"), ".surgery"),
    **dict.fromkeys(("gates", "optimizer", "prune", "ranks", "regularizer"), ".training"),
    **dict.fromkeys(("Plan", "Program"), ".compiler"),
    "combine": ".compiler.combine",
    "trace": ".compiler.trace",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module `pefc` has no attribute `{name}`"
        raise AttributeError(message)
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
