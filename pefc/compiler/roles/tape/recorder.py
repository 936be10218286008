"""Recording: running a model on fake tensors and writing down what its operations did."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten_with_path

from ....runtime.calls import Reached, noting_reads
from .builder import Writer, tensors
from .module_calls import calls_noted
from .tape import Tape


def record(model: nn.Module, inputs: Mapping[str, object], found: Reached) -> Tape:
    """Run a model of fake tensors, under their mode, and return what it did. What it reached is
    noted in `found`.
    """
    writer = Writer()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        writer.leaf(parameter, "parameter", name)
    for name, buffer in model.named_buffers(remove_duplicate=False):
        writer.leaf(buffer, "buffer", name)
    for name, value in inputs.items():
        for tensor in tensors(value):
            writer.leaf(tensor, "input", name)
    positional = [value for name, value in inputs.items() if name.isdigit()]
    named = {name: value for name, value in inputs.items() if not name.isdigit()}
    around = (torch.no_grad(), calls_noted(model, writer), _no_fast_path())
    with ExitStack() as stack:
        composites, operations = _Composites(writer), _Operations(writer)
        for context in (*around, composites, noting_reads(model, found), operations):
            stack.enter_context(context)
        output = model(*positional, **named)
    return Tape(
        tuple(writer.nodes),
        tuple(_named_outputs(output, writer)),
        {name: tuple(p.shape) for name, p in model.named_parameters(remove_duplicate=False)},
        {
            name: type(module).__name__
            for name, module in model.named_modules(remove_duplicate=False)
        },
        tuple(writer.calls),
        tuple(writer.products),
    )


class _Operations(TorchDispatchMode):
    """Writes down every aten operation."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.writer = writer

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: tuple = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        output = func(*args, **(kwargs or {}))
        if not self.writer.paused:
            self.writer.write(func, args, kwargs or {}, output)
        return output


class _Composites(TorchFunctionMode):
    """Writes down linear maps and attention products whole, before they fall apart into aten
    operations.
    """

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.writer = writer

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        composite = _COMPOSITES.get(func)
        if composite is None or self.writer.paused:
            return func(*args, **(kwargs or {}))
        name, run = composite
        self.writer.paused = True
        try:
            output, operands = run(*args, **(kwargs or {}))
        finally:
            self.writer.paused = False
        self.writer.write(name, operands, {}, output)
        return output


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, tuple]:
    return input.new_empty((*input.shape[:-1], weight.shape[0])), (input, weight, bias)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object
) -> tuple[Tensor, tuple]:
    return query.new_empty((*query.shape[:-1], value.shape[-1])), (query, key, value)


_COMPOSITES: dict[Callable, tuple[str, Callable]] = {
    functional.linear: ("linear", _linear),
    functional.scaled_dot_product_attention: ("attention", _attention),
}


@contextmanager
def _no_fast_path() -> Iterator[None]:
    """Whole encoder layers in one operation would hide what is in them."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _named_outputs(output: object, writer: Writer) -> Iterator[tuple[str, int]]:
    """A model output of transformers is a pytree whose first key names the field."""
    for path, leaf in tree_flatten_with_path(output)[0]:
        if isinstance(leaf, Tensor) and id(leaf) in writer.known:
            yield str(getattr(path[0], "key", "")) if path else "", writer.known[id(leaf)]
