"""Keeping: modules that a spec stands on are not replaced, or it is said that they were."""

from collections.abc import Iterator

from torch import nn
from transformers import PreTrainedModel

from ...dsl.diagnostics.report import SpecError
from ...dsl.diagnostics.wrapping import ReplacedEmbedding, ReplacedModule
from ...dsl.syntax.source import Span
from ...runtime.patched import Installed, is_patched, record
from .plan import Plan


def keep_embeddings(model: nn.Module, call: str, given: object) -> None:
    """Raise SpecError where a call of a model with an argument would replace a module that a spec
    stands on.
    """
    what = record(model)
    if not isinstance(what, Installed) or not isinstance(model, PreTrainedModel):
        return
    plan: Plan = what.plan  # pyright: ignore[reportAssignmentType]
    ends = {"input": model.get_input_embeddings(), "output": model.get_output_embeddings()}
    replaced = [end for name, end in ends.items() if call == f"set_{name}_embeddings"]
    for path, span in _places(plan):
        module = model.get_submodule(path)
        if module is not given and any(module is end for end in replaced or ends.values()):
            raise SpecError([ReplacedEmbedding(span, path, call)])


def check_kept(model: nn.Module, plan: Plan) -> None:
    """Raise SpecError where a module that methods stand on is another one by now."""
    for planned in plan.attachments:
        module = _submodule(model, planned.home)
        if module is None or planned.child not in module._modules or not is_patched(type(module)):
            raise SpecError([ReplacedModule(planned.span, planned.home)])


def _submodule(model: nn.Module, path: str) -> nn.Module | None:
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def _places(plan: Plan) -> Iterator[tuple[str, Span]]:
    for planned in plan.attachments:
        yield planned.home, planned.span
    for tuned in plan.tuned:
        yield tuned.name.rpartition(".")[0], tuned.span
