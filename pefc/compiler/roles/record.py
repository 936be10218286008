"""Recording: running a model on fake tensors and writing down what its operations did."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten_with_path, tree_leaves, tree_map_only

from .tape import Node, Reference, Tape


def record(model: nn.Module, inputs: Mapping[str, object]) -> Tape:
    """Run a model of fake tensors, under their mode, and return what it did."""
    writer = _Writer()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        writer.leaf(parameter, "parameter", name)
    for name, buffer in model.named_buffers(remove_duplicate=False):
        writer.leaf(buffer, "buffer", name)
    for name, value in inputs.items():
        for tensor in _tensors(value):
            writer.leaf(tensor, "input", name)
    positional = [value for name, value in inputs.items() if name.isdigit()]
    named = {name: value for name, value in inputs.items() if not name.isdigit()}
    around = (torch.no_grad(), _scopes(model, writer), _no_fast_path())
    with ExitStack() as stack:
        for context in (*around, _Composites(writer), _Operations(writer)):
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
    )


@dataclass
class _Writer:
    nodes: list[Node] = field(default_factory=list)
    scope: list[str] = field(default_factory=lambda: [""])
    paused: bool = False
    known: dict[int, int] = field(default_factory=dict)
    """id of a tensor -> the node that holds its value now."""
    views: dict[int, list[Tensor]] = field(default_factory=dict)
    """id of a storage -> the tensors that look at it; holding them keeps every id valid."""

    def leaf(self, tensor: Tensor, operation: str, name: str | None) -> int:
        if id(tensor) in self.known:
            return self.known[id(tensor)]
        return self._append(tensor, operation, (), {}, name=name)

    def write(
        self, operation: OpOverload | str, args: tuple, kwargs: Mapping[str, object], output: object
    ) -> None:
        arguments = tree_map_only(Tensor, self._reference, args)
        keywords = tree_map_only(Tensor, self._reference, dict(kwargs))
        before = {id(tensor) for tensor in _tensors((args, kwargs))}
        for result, tensor in enumerate(_tensors(output)):
            self._append(tensor, operation, arguments, keywords, result=result)
            if id(tensor) in before:
                self._update_aliases(tensor)

    def _reference(self, tensor: Tensor) -> Reference:
        return Reference(self.leaf(tensor, "constant", None))

    def _append(
        self,
        tensor: Tensor,
        operation: OpOverload | str,
        arguments: tuple,
        keywords: dict,
        *,
        result: int = 0,
        name: str | None = None,
    ) -> int:
        references = [
            leaf for leaf in tree_leaves((arguments, keywords)) if isinstance(leaf, Reference)
        ]
        node = Node(
            len(self.nodes),
            operation,
            arguments,
            tuple(keywords.items()),
            tuple(reference.node for reference in references),
            tuple(tensor.shape),
            tensor.is_floating_point(),
            self.scope[-1],
            result,
            name,
            getattr(tensor, "constant", None),
        )
        self.nodes.append(node)
        self.known[id(tensor)] = node.index
        self.views.setdefault(tensor.untyped_storage()._cdata, []).append(tensor)
        return node.index

    def _update_aliases(self, changed: Tensor) -> None:
        """An operation in place changes every tensor that looks at the same storage."""
        value = self.known[id(changed)]
        seen = {id(changed)}
        for other in tuple(self.views[changed.untyped_storage()._cdata]):
            if id(other) not in seen:
                seen.add(id(other))
                old, new = Reference(self.known[id(other)]), Reference(value)
                self._append(other, "update", (old, new, _geometry(other), _geometry(changed)), {})


class _Operations(TorchDispatchMode):
    """Writes down every aten operation."""

    def __init__(self, writer: _Writer) -> None:
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

    def __init__(self, writer: _Writer) -> None:
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
def _scopes(model: nn.Module, writer: _Writer) -> Iterator[None]:
    """While it lasts, the writer knows whose forward runs."""
    handles = []
    for path, module in model.named_modules():
        handles.append(
            module.register_forward_pre_hook(lambda *_, path=path: writer.scope.append(path))
        )
        handles.append(module.register_forward_hook(lambda *_: _leave(writer), always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _no_fast_path() -> Iterator[None]:
    """Whole encoder layers in one operation would hide what is in them."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _geometry(tensor: Tensor) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    return tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset())


def _leave(writer: _Writer) -> None:
    writer.scope.pop()


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _named_outputs(output: object, writer: _Writer) -> Iterator[tuple[str, int]]:
    """A model output of transformers is a pytree whose first key names the field."""
    for path, leaf in tree_flatten_with_path(output)[0]:
        if isinstance(leaf, Tensor) and id(leaf) in writer.known:
            yield str(getattr(path[0], "key", "")) if path else "", writer.known[id(leaf)]
