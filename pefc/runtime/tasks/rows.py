"""Rows of a batch that belong to tasks: whether there are as many as the caller has named."""

from functools import wraps
from inspect import signature

from torch import Tensor, nn

from .named_rows import Named
from .tasks import Tasks

_TEXTS = ("input_ids", "inputs_embeds")
"""Arguments with one row for each row of the batch, as positions and masks may not have."""


def counting_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a model that compares the rows of each call with
    those of its `pefc_tasks`.
    """
    first = tuple(signature(base.forward).parameters)[1:2]

    def call(self: nn.Module, *args: object, **kwargs: object) -> object:
        tasks = self.pefc_tasks
        assert isinstance(tasks, Tasks)
        caller = tasks.naming.now
        if caller is not None:
            named = (kwargs.get(name) for name in (*first, *_TEXTS))
            _check(caller, (*args[:1], *named, *args, *kwargs.values()))
        return base.__call__(self, *args, **kwargs)

    names: dict[str, object] = {"__call__": call}
    if hasattr(base, "generate"):
        names["generate"] = _generate(base)
    return names


def _generate(base: type[nn.Module]) -> object:
    """Generation lays several rows of a batch beside each other for one of the caller's."""
    generate = getattr(base, "generate")  # noqa: B009
    first = tuple(signature(generate).parameters)[1]

    @wraps(generate)
    def generating(self: nn.Module, *args: object, **kwargs: object) -> object:
        tasks = self.pefc_tasks
        assert isinstance(tasks, Tasks)
        caller = tasks.naming.now
        if caller is not None:
            named = (kwargs.get(name) for name in (first, *_TEXTS))
            _check(caller, (*args[:1], *named))
        with tasks.naming.freely():
            return generate(self, *args, **kwargs)

    return generating


def _check(caller: Named, values: tuple[object, ...]) -> None:
    batch = next((v.shape[0] for v in values if isinstance(v, Tensor) and v.ndim), None)
    if batch is None or caller.is_free or batch == len(caller.rows):
        return
    raise ValueError(
        f"the batch has {batch} rows, and `pefc.tasks` names a task for {len(caller.rows)}: "
        "name one for each row"
    )
