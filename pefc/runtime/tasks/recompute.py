"""Layers that a checkpoint runs again, with the tasks of their first call.

Gradient checkpointing calls a layer anew in the backward pass. By then another task may be active,
and `with pefc.tasks(…)` may be over; so the tasks of a call are one of the layer's arguments, where
it checkpoints. Nothing changes where it does not, and compiled code does not depend on names.
"""

from functools import wraps

from torch import nn

from .tasks import Running, Tasks

_NAME = "pefc_running"


def recalling_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a layer, which has the tasks as `pefc_tasks`."""

    def call(self: nn.Module, *args: object, **kwargs: object) -> object:
        if self.training and getattr(self, "gradient_checkpointing", False):
            kwargs[_NAME] = _tasks(self).running
        return base.__call__(self, *args, **kwargs)

    @wraps(base.forward)
    def forward(
        self: nn.Module, *args: object, pefc_running: Running | None = None, **kwargs: object
    ) -> object:
        if pefc_running is None or pefc_running == _tasks(self).running:
            return base.forward(self, *args, **kwargs)
        task, rows = pefc_running
        # Other threads may run other tasks meanwhile: the task of all rows is named for this one.
        with _tasks(self).naming.naming((task,) if rows is None else rows):
            return base.forward(self, *args, **kwargs)

    return {"__call__": call, "forward": forward}


def _tasks(module: nn.Module) -> Tasks:
    tasks = module.pefc_tasks
    assert isinstance(tasks, Tasks)
    return tasks
