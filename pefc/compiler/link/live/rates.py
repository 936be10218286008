"""Parameter groups for optimizers, as the `with` clauses of a spec say."""

from collections.abc import Iterator

from torch import nn

from ....dsl.diagnostics.training import IgnoredRates
from ....dsl.diagnostics.warn import warn
from ....dsl.syntax.expression import Factor, Number
from ....dsl.syntax.statement import Setting
from ....runtime.training import Ignored, Rate, Rates, give
from ...plan import Plan, attached, setting


def parameter_groups(model: nn.Module, *, lr: float, decay: float) -> list[dict[str, object]]:
    """What trains, grouped by learning rate and weight decay.

    `with lr=10x` multiplies `lr`, `with lr=0.01` replaces it; `lr.B` speaks of the tensor B of the
    statement alone. Raises SpecError where nothing is attached.
    """
    plan: Plan = attached(model).plan  # pyright: ignore[reportAssignmentType]
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, rate_said, decay_said in clauses(plan):
        rate, weight_decay = _value(rate_said, lr), _value(decay_said, decay)
        parameter = model.get_parameter(name)
        if not parameter.requires_grad:
            continue
        give(model, name, rate, weight_decay)
        group = groups.setdefault((rate, weight_decay), [])
        if all(parameter is not other for other in group):
            group.append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": weight_decay}
        for (rate, weight_decay), parameters in groups.items()
    ]


def clauses(plan: Plan) -> Iterator[tuple[str, Setting | None, Setting | None]]:
    """The path of each trained tensor, with what the spec says of its rate and of its decay."""
    for path, tensor, settings in _trained(plan):
        yield path, setting("lr", tensor, settings), setting("decay", tensor, settings)


def _trained(plan: Plan) -> Iterator[tuple[str, str | None, tuple[Setting, ...]]]:
    """The path of each trained tensor, its name in the method, and the settings of its statement;
    shared ones once.
    """
    seen: set[str] = set()
    for planned in plan.attachments:
        for tensor in planned.tensors:
            path = planned.path(tensor)
            if not tensor.frozen and path not in seen:
                seen.add(path)
                yield path, tensor.name, planned.settings
    for tuned in plan.tuned:
        yield tuned.name, None, tuned.settings


def _value(said: Setting | None, default: float) -> float:
    if said is None:
        return default
    match said.value:
        case Factor(factor):
            return default * factor
        case Number(value):
            return float(value)
        case _:
            message = f"the checker leaves numbers and factors in settings, not {said.value!r}"
            raise AssertionError(message)


def rates(plan: Plan) -> Rates | None:
    """What a plan says of the tensors that it trains; None where it says nothing."""
    found = {path: (lr, decay) for path, lr, decay in clauses(plan)}
    if all(setting is None for pair in found.values() for setting in pair):
        return None

    def tell(model: nn.Module, ignored: Ignored) -> None:
        settings = (found[path][which == "decay"] for path, which in ignored)
        named = {s.span: s for s in settings if s is not None}
        warn(IgnoredRates(type(model).__name__, tuple(named)))

    return Rates(tuple(_rate(path, *pair) for path, pair in found.items()), plan, tell)


def _rate(path: str, lr: Setting | None, decay: Setting | None) -> Rate:
    factor = None if lr is None or not isinstance(lr.value, Factor) else lr.value.value
    rate = None if lr is None or not isinstance(lr.value, Number) else float(lr.value.value)
    kept = None if decay is None or not isinstance(decay.value, Number) else decay.value.value
    return Rate(path, factor, rate, None if kept is None else float(kept))
