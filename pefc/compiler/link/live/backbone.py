"""Stems: the modules that embed a model's tokens, and those that must know of new ones."""

from collections.abc import Callable, Iterator

from torch import Tensor, nn
from torch.fx import Graph, Node
from transformers import PreTrainedModel

from ....runtime.prompts import (
    KIND,
    OnePrompt,
    Prompts,
    Stem,
    TaskPrompts,
    embedding_names,
    generating_names,
    memory_names,
    stem_names,
    trimmed_names,
)
from ....runtime.tasks import KINDS
from ...lower import TokenFacts
from ...model import TokenPorts
from ...ops import shape
from ...plan import Patched, Plan
from ..patch import Patches, function, tasks_of
from .bindings import task_kinds
from .task_arguments import lifted

Names = Callable[[type[nn.Module]], dict[str, object]]


def stems(plan: Plan, model: nn.Module, patches: Patches) -> Iterator[tuple[str, Names]]:
    """The modules that new tokens and shifted positions concern, each with the names of the class
    that it gets.
    """
    tokens = plan.table.tokens
    if tokens is None:
        return
    is_known = isinstance(model.get_submodule(tokens.stem), PreTrainedModel)
    prompted = next((p for p in plan.modules if isinstance(p.facts, TokenFacts)), None)
    if prompted is None:
        if plan.shift and is_known:
            yield tokens.stem, lambda base: stem_names(base, Stem(None, plan.shift))
        return
    prompts = _prompts(prompted, patches)
    found = (
        _of_transformers(prompts, tokens, plan.shift, model)
        if is_known
        else (
            (tokens.embed, lambda base: embedding_names(base, prompts)),
            (tokens.stem, lambda base: trimmed_names(base, prompts)),
        )
    )
    for path, names in found:
        yield path, names if isinstance(prompts, OnePrompt) else _by_task(names, prompts)


def _by_task(names: Names, prompts: TaskPrompts) -> Names:
    """Names of a class that says which prompt each task has, besides what it says already."""

    def named(base: type[nn.Module]) -> dict[str, object]:
        kinds = {**getattr(base, KINDS, {}), KIND: prompts.of_task}
        return {**names(base), KINDS: kinds}

    return named


def _prompts(prompted: Patched, patches: Patches) -> OnePrompt | TaskPrompts:
    """What makes the new embeddings, and how many they are."""
    tasks = tasks_of(prompted)
    if not tasks:
        graph = patches.fast(prompted)
        return OnePrompt(function(graph), _length(graph))  # pyright: ignore[reportArgumentType]
    assert isinstance(prompted.facts, TokenFacts)
    of_task = task_kinds(prompted, patches)
    tasks_by_kind = {kind: task for task, kind in of_task.items()}
    made = tuple(_of_task(prompted, patches, tasks_by_kind[kind]) for kind in sorted(tasks_by_kind))
    return TaskPrompts(made, of_task, prompted.facts.width)


def _of_task(
    prompted: Patched, patches: Patches, task: str | None
) -> tuple[Callable[[nn.Module, nn.Module | None], Tensor] | None, int]:
    graph = patches.of_task(prompted, task, frozenset())
    if not isinstance(graph.output_node().args[0], Node):
        return None, 0
    patch = lifted(graph)
    return lambda stem, own: patch.run(stem, *patch.tensors(own)), _length(graph)


def _length(graph: Graph) -> int:
    return shape(graph.output_node().args[0])[0]  # pyright: ignore[reportArgumentType]


def _of_transformers(
    prompts: Prompts, tokens: TokenPorts, shift: int, model: nn.Module
) -> Iterator[tuple[str, Names]]:
    stem = Stem(prompts, shift, trims=tokens.memory is None)
    yield tokens.stem, lambda base: stem_names(base, stem)
    if tokens.memory is not None:
        yield tokens.memory, lambda base: memory_names(base, prompts)
    if hasattr(model, "generate"):
        yield "", lambda base: generating_names(base, prompts)
