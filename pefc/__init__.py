"""pefc: model surgery for parameter-efficient fine-tuning, by formula.

What needs torch is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .dsl.checker.check import check as check
from .dsl.diagnostics.report import SpecError as SpecError
from .dsl.diagnostics.report import SpecWarning as SpecWarning
from .dsl.read import parse as parse
from .dsl.read import read as read

if TYPE_CHECKING:
    from .api.adapt import apply as apply
    from .api.adapt import base as base
    from .api.adapt import compile as compile
    from .api.adapt import load as load
    from .api.adapt import merge as merge
    from .api.adapt import plan as plan
    from .api.adapt import remove as remove
    from .api.adapt import save as save
    from .api.adapt import set_task as set_task
    from .api.adapt import task_names as task_names
    from .api.adapt import tasks as tasks
    from .api.train import gates as gates
    from .api.train import optimizer as optimizer
    from .api.train import prune as prune
    from .api.train import ranks as ranks
    from .api.train import regularizer as regularizer
    from .compiler.combine import combine as combine
    from .compiler.link import Program as Program
    from .compiler.plan import Plan as Plan
    from .compiler.trace import trace as trace

__version__ = "0.1.0"

__all__ = ["SpecError", "SpecWarning", "check", "parse", "read"]
__all__ += ["Plan", "Program", "combine", "trace"]
__all__ += ["apply", "base", "compile", "load", "merge", "plan", "remove", "save"]
__all__ += ["set_task", "task_names", "tasks"]
__all__ += ["gates", "optimizer", "prune", "ranks", "regularizer"]

_HOMES = {
    **dict.fromkeys(("apply", "base", "compile", "load", "merge", "plan", "remove"), ".api.adapt"),
    **dict.fromkeys(("save", "set_task", "task_names", "tasks"), ".api.adapt"),
    **dict.fromkeys(("gates", "optimizer", "prune", "ranks", "regularizer"), ".api.train"),
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
