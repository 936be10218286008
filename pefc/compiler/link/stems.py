"""Stems: the modules that embed a model's tokens, and those that must know of new ones."""

from collections.abc import Callable, Iterator

from torch import Tensor, nn
from transformers import PreTrainedModel

from ...runtime.embedding import embedding_names, trimmed_names
from ...runtime.generating import generating_names
from ...runtime.stem import Stem, memory_names, stem_names
from ..lower import TokenFacts
from ..lower.nodes import shape
from ..patches import Patches
from ..plan import Patched, Plan
from ..ports import TokenPorts
from .code import function

Names = Callable[[type[nn.Module]], dict[str, object]]
Prompt = Callable[[nn.Module], Tensor]


def stems(plan: Plan, model: nn.Module, patches: Patches) -> Iterator[tuple[str, Names]]:
    """The modules that new tokens and shifted positions concern, each with the names of the class
    that it gets.
    """
    tokens = plan.table.tokens
    if tokens is None:
        return
    prompted = next((p for p in plan.modules if isinstance(p.facts, TokenFacts)), None)
    if prompted is not None:
        made, length = _prompt(prompted, patches)
        if isinstance(model.get_submodule(tokens.stem), PreTrainedModel):
            yield from _of_transformers(made, length, tokens, plan.shift, model)
        else:
            yield tokens.embed, lambda base: embedding_names(base, made)
            yield tokens.stem, lambda base: trimmed_names(base, length)
    elif plan.shift and isinstance(model.get_submodule(tokens.stem), PreTrainedModel):
        yield tokens.stem, lambda base: stem_names(base, Stem(None, 0, plan.shift))


def _prompt(prompted: Patched, patches: Patches) -> tuple[Prompt, int]:
    """What makes the new embeddings, and how many they are."""
    graph = patches.fast(prompted)
    result = graph.output_node().args[0]
    return function(graph), shape(result)[0]  # pyright: ignore[reportReturnType, reportArgumentType]


def _of_transformers(
    made: Prompt, length: int, tokens: TokenPorts, shift: int, model: nn.Module
) -> Iterator[tuple[str, Names]]:
    stem = Stem(made, length, shift, trims=tokens.memory is None)
    yield tokens.stem, lambda base: stem_names(base, stem)
    if tokens.memory is not None:
        yield tokens.memory, lambda base: memory_names(base, length)
    if hasattr(model, "generate"):
        yield "", lambda base: generating_names(base, length)
