"""The functions that users call while a model with a spec trains, and to see what it has learned.
What they do lives in the compiler.
"""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn
from torch.optim import Optimizer

from .. import compiler
from ..compiler.adapted import GateValues, Ranks
from ..compiler.model import check_batches, check_count, check_rate, model_in
from ..dsl.checked import Checked, Value, check_type
from ..dsl.syntax.statement import Spec
from .arguments import checked_spec

_NONE: Mapping[str, Value] = {}


def optimizer(
    model: nn.Module,
    spec: Spec | Checked | str | None = None,
    *,
    lr: float = 1e-3,
    decay: float = 0.0,
    kind: str = "adamw",
    params: Mapping[str, Value] = _NONE,
    **options: object,
) -> Optimizer:
    """An optimizer of what the spec trains, with the learning rates and decays of its `with`
    clauses: `Trainer(…, optimizers=(pefc.optimizer(model, lr=1e-3), None))`.

    Args:
        model: a model with a spec applied.
        spec: the spec, if it is to be made sure that the model carries that one.
        lr: the learning rate where the spec says nothing; `with lr=10x` multiplies it. By default
            it is that of AdamW.
        decay: the weight decay where the spec says nothing.
        kind: `adamw` of torch; `adamw8bit`, `paged_adamw` or `paged_adamw8bit` of bitsandbytes. On
            a CPU one without pages takes the place of a paged one, with a warning.
        params: values for the `param`s of `spec`.
        options: of the optimizer's class.

    Raises:
        SpecError: nothing is attached to the model, or another spec than `spec`, there is no such
            kind, or bitsandbytes cannot be imported.
    """
    model = model_in(model)
    check_rate("lr", lr)
    check_rate("decay", decay)
    check_type("kind", kind, str, "the name of an optimizer, such as 'adamw'")
    if spec is not None:
        compiler.check_carried(checked_spec(spec, params), model)
    return compiler.optimizer(model, lr=lr, decay=decay, kind=kind, options=options)


def gates(model: nn.Module) -> GateValues:
    """What gates and fusions let through at the last call of a model, by the path of their tensors:
    [batch] for a gate, [batch, n, members] for the weights of a fusion. `print` plots it by layer.

    Raises:
        SpecError: nothing is attached to the model.
    """
    return compiler.gates(model_in(model))


def ranks(model: nn.Module) -> Ranks:
    """How many ranks each site has where a formula says `shrink`, by the path of its tensors.

    `.history` has every allocation: (step, {path: rank}). `print` plots both by layer.

    Raises:
        SpecError: nothing is attached to the model.
    """
    return compiler.ranks(model_in(model))


def regularizer(model: nn.Module) -> Tensor:
    """The sum of the `loss +=` terms of everything attached that runs: for a loss that you compute
    yourself. One that the model returns while it trains has them already.

    Raises:
        SpecError: nothing is attached to the model.
    """
    return compiler.regularizer(model_in(model))


def prune(model: nn.Module, batches: Iterable[object], *, keep: int) -> dict[str, tuple[str, ...]]:
    """Keep, at each fusion of a model, the tasks that have most weight there.

    Args:
        model: a model with `fuse(…)` applied and trained.
        batches: what its forward takes: mappings of keywords, or single tensors.
        keep: how many tasks stay at each place, two or more.

    Returns:
        The tasks that stay, by the path of the place.

    Raises:
        SpecError: the model has no fusion, `keep` is less than two or more than any fusion has, or
            there is no batch that the model takes; the model is then as it was.
    """
    compiler.check_alone(model, "prune")
    check_batches(batches)
    check_count("keep", keep)
    return {kept.path: kept.tasks for kept in compiler.prune(model, batches, keep)}
