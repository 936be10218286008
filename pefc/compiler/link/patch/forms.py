"""Forms: the patches that a module runs, one after the other where it has tasks."""

from dataclasses import dataclass

from torch.fx import Graph

from ...lower import plain_patch
from ...plan import Patched, Planned
from .patches import Patches, tasks_of

NO_TASK = "none"
"""What stands for no task, in words."""


@dataclass(frozen=True, slots=True)
class Form:
    """One of the patches of a module."""

    tasks: tuple[str, ...]
    """The tasks that have it; empty where the module has no tasks."""
    members: tuple[Planned, ...]
    """What runs in it, of the first of these tasks."""
    plain: Graph
    fast: Graph


def forms(patched: Patched, patches: Patches) -> tuple[Form, ...]:
    """The patch of a module, or one for each task; tasks that have the same one go together."""
    tasks = tasks_of(patched)
    if not tasks:
        graphs = patches.plain(patched), patches.fast(patched)
        return (Form((), patched.members, *graphs),)
    is_shared = any(planned.task is None for planned in patched.members)
    found: dict[Graph, list[str]] = {}
    for task in (None, *tasks) if is_shared else tasks:
        graph = patches.of_task(patched, task, frozenset())
        found.setdefault(graph, []).append(task or NO_TASK)
    return tuple(_form(patched, tuple(names), graph) for graph, names in found.items())


def _form(patched: Patched, tasks: tuple[str, ...], fast: Graph) -> Form:
    members = tuple(each for each in patched.members if each.task in {None, tasks[0]})
    plain = plain_patch(patched.facts, tuple(each.member for each in members))
    return Form(tasks, members, plain, fast)
