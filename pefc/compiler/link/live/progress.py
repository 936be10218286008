"""What a plan expects to train, and how a user is told what does not."""

from collections.abc import Iterator, Mapping

from torch import nn

from ....dsl.diagnostics.progress import Idle, TrainedInVain
from ....dsl.diagnostics.warn import warn
from ....dsl.syntax.source import Span
from ....runtime.training import STEPS, Expected, Progress, Reason
from ...plan import Plan


def progress(plan: Plan) -> Progress:
    """What is to be seen of a model with a plan in its first steps."""
    statements = dict(_statements(plan))

    def tell(model: nn.Module, missing: Mapping[str, Reason]) -> None:
        groups: dict[tuple[Span, Reason], list[str]] = {}
        for path, reason in missing.items():
            groups.setdefault((statements[path][1], reason), []).append(path)
        idle = tuple(Idle(*key, tuple(paths)) for key, paths in groups.items())
        warn(TrainedInVain(type(model).__name__, STEPS, idle))

    return Progress(tuple(expected for expected, _ in statements.values()), plan, tell)


def _statements(plan: Plan) -> Iterator[tuple[str, tuple[Expected, Span]]]:
    """What should train, by its path, with the place of its statement."""
    for planned in plan.attachments:
        if planned.task in plan.fused:
            continue
        layer, number = planned.site.layer, planned.dropping
        drop = None if number is None or layer is None else (number, layer)
        for tensor in planned.tensors:
            if not tensor.frozen:
                path = planned.path(tensor)
                allocated = planned.method.shrinking is not None
                yield path, (Expected(path, planned.task, drop, allocated), planned.span)
    for tuned in plan.tuned:
        yield tuned.name, (Expected(tuned.name, None, None), tuned.span)
