"""A rehearsal: a model with its spec on tensors without values, and one step of its training."""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import PretrainedConfig, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask

from ....runtime import quantized
from ...link import Patches, installing, materialize, with_modules
from ...model import Size, example_inputs, is_transposed, load_quantizer, skeleton
from ...plan import Packing, Plan
from .setup import Setup


class Live(TorchDispatchMode):
    """Counts each storage once, from the operation that makes it until nothing refers to it: what
    operations return and what is saved for gradients, not the room that kernels take for
    themselves. It works on tensors with values and on fake ones alike.

    What is `resident` is there before and after, and not counted.
    """

    def __init__(self, resident: Iterable[Tensor]) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._seen: dict[int, object] = {
            storage._cdata: storage for storage in (tensor.untyped_storage() for tensor in resident)
        }
        """What is counted, or is not to be: while it lives, no other storage has its address."""

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return

        def gone(_: object) -> None:
            del self._seen[key]
            self.now -= size

        self._seen[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


def cast(model: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    """A copy whose parameters have no values, and those of floating point another dtype. It is made
    under a fake mode.
    """
    copied = skeleton(model, (), device=torch.device("cpu"), keep_types=True)
    experts = getattr(getattr(model, "config", None), "_experts_implementation", None)
    for module in copied.modules():
        config = getattr(module, "config", None)
        if isinstance(config, PretrainedConfig):
            config._experts_implementation = experts
    for parameter in copied.parameters():
        if dtype is not None and parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    return copied


def attach(plan: Plan, model: nn.Module) -> None:
    """Apply a plan to such a copy: what it quantizes, and what came quantized, is hollow, and as
    few layers as may be go without adapters.
    """
    packings = tuple(replace(packing, is_there=False) for packing in plan.packings)
    modules = {packing.site.path: _hollow(model, packing) for packing in packings}
    drops = tuple(replace(drop, numbers=drop.numbers[:1]) for drop in plan.drops)
    fresh = replace(plan, packings=packings, drops=drops)
    materials = materialize(fresh, with_modules(model, modules), filled=False)
    installing(fresh, model, materials, Patches(), modules).commit()
    model.train()


def _hollow(model: nn.Module, packing: Packing) -> nn.Module:
    load_quantizer(packing.span)
    module = model.get_submodule(packing.site.path)
    weight = module.get_parameter("weight")
    rows = weight.T if is_transposed(module) else weight
    return quantized.meta.hollow(module, packing.form, rows)


def step(model: nn.Module, setup: Setup) -> None:
    """A forward, its loss, and the gradients. Raises whatever the model does."""
    loss = _loss(model, setup)
    if loss.requires_grad:
        loss.backward()


def _loss(model: nn.Module, setup: Setup) -> Tensor:
    """The loss that the model returns; of one that has none, the mean of its outputs."""
    inputs = _inputs(model, setup)
    named = {name: value for name, value in inputs.items() if not name.isdigit()}
    placed = [value for name, value in inputs.items() if name.isdigit()]
    if getattr(getattr(model, "config", None), "use_cache", None) is not None:
        named["use_cache"] = False  # pyright: ignore[reportArgumentType]
    result = model(*placed, **named, **_labels(model, setup))
    loss = getattr(result, "loss", None)
    if isinstance(loss, Tensor):
        return loss
    values = tuple(result.values()) if isinstance(result, Mapping) else result
    floating = [t for t in tree_leaves(values) if isinstance(t, Tensor) and t.is_floating_point()]
    return torch.stack([tensor.float().mean() for tensor in floating]).sum()


def _inputs(model: nn.Module, setup: Setup) -> dict[str, Tensor]:
    size = Size(setup.batch, setup.length, masked=setup.padding)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    return {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in example_inputs(model, size).items()
    }


def _labels(model: nn.Module, setup: Setup) -> dict[str, Tensor]:
    """A label for each token, or for each row, where the model takes any."""
    if not isinstance(model, PreTrainedModel):
        return {}
    name = type(model).__name__
    shapes = {
        ("CausalLM", "LMHeadModel", "MaskedLM", "ConditionalGeneration", "TokenClassification"): (
            setup.batch,
            setup.length,
        ),
        ("SequenceClassification", "ImageClassification"): (setup.batch,),
    }
    for endings, shape in shapes.items():
        if name.endswith(endings):
            return {"labels": torch.zeros(shape, dtype=torch.long)}
    return {}


@contextmanager
def unpadded() -> Iterator[None]:
    """Attention takes no mask where it needs none, as transformers does once it has seen that no
    row is padded; on tensors without values it cannot see that.
    """

    def mask(*args: object, **kwargs: object) -> Tensor | None:
        window, length = kwargs.get("local_size"), kwargs["kv_length"]
        if isinstance(window, int) and window <= length:  # pyright: ignore[reportOperatorIssue]
            return sdpa_mask(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        return None

    ALL_MASK_ATTENTION_FUNCTIONS["sdpa"] = mask
    try:
        yield
    finally:
        del ALL_MASK_ATTENTION_FUNCTIONS["sdpa"]
