"""The rates and decays of the `with` clauses of a spec, which every optimizer is to have."""

from torch import nn

from ..dsl.diagnostics.training import IgnoredRates
from ..dsl.syntax import Factor, Number, Setting
from ..runtime.rates import Ignored, Rate, Rates
from .optimizing import clauses
from .plan import Plan
from .warn import warn


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
