"""Regularisers: what methods add to the loss."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.fx import Graph

from ....dsl.diagnostics.processes import TermsAway
from ....dsl.diagnostics.report import SpecError
from ....dsl.diagnostics.training import HeadPassedBy, MissingTerms
from ....dsl.diagnostics.warn import warn
from ....runtime.distributed import is_away, whole
from ....runtime.training import Owed, Term, Terms, summed
from ...lower import TASK, loss_value
from ...plan import Plan, Planned, attached
from ..patch import function


def regularizer(model: nn.Module) -> Tensor:
    """The sum of the `loss +=` terms of everything attached that runs; 0 where there is none.

    Raises SpecError where nothing is attached, or no gradient would come back.
    """
    attached(model)
    terms = model.__dict__.get("pefc_terms")
    if not isinstance(terms, Terms):
        return summed([], model)
    if torch.is_grad_enabled() and any(is_away(p) for p in model.parameters() if p.requires_grad):
        raise SpecError([TermsAway(type(model).__name__)])
    terms.owed.pay()
    return terms.total(model)


def terms(plan: Plan) -> Terms:
    """The terms of a plan, as functions."""
    return Terms(tuple(_terms(plan)), Owed(_missing))


def passed_by(model: nn.Module) -> None:
    """Raises SpecError: a step of training has not run the head of a model."""
    head = model.get_output_embeddings()  # pyright: ignore[reportCallIssue]
    path = next(path for path, module in model.named_modules() if module is head)
    raise SpecError([HeadPassedBy(type(model).__name__, path)])


def _terms(plan: Plan) -> Iterator[Term]:
    made: dict[object, Callable[..., Tensor]] = {}
    for planned in plan.attachments:
        for number in range(len(planned.method.losses)):
            key = (id(planned.method), planned.prefix, number)
            if key not in made:
                made[key] = function(_whole(_of_task(loss_value(planned.member, number), planned)))  # pyright: ignore[reportArgumentType]
            yield Term(planned.home, made[key], planned.task)


def _of_task(graph: Graph, planned: Planned) -> Graph:
    """`self.task.lora.B --> self.movies.lora.B`, for a method of the task `movies`."""
    if planned.task is not None:
        for node in graph.find_nodes(op="get_attr"):
            node.target = f"{planned.task}.{str(node.target).removeprefix(f'{TASK}.')}"
    return graph


def _whole(graph: Graph) -> Graph:
    """`self.lora.A --> whole(self.lora.A)`: after a call, parameters may be in parts again."""
    for node in graph.find_nodes(op="get_attr"):
        with graph.inserting_after(node):
            read = graph.call_function(whole, (node,))
        node.replace_all_uses_with(read, delete_user_cb=lambda user, read=read: user is not read)
    return graph


def _missing(model: nn.Module) -> None:
    warn(MissingTerms(type(model).__name__))
