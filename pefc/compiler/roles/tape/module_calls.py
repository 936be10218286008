"""Calls: which module ran when, on which nodes, and what it returned."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock

from torch import Tensor, nn
from transformers.modeling_utils import AttentionInterface

from .builder import Writer
from .tape import Call, Given, Product, Returned

_replacing = RLock()
"""Two recordings at once would put the registry's method back in the wrong order."""


@contextmanager
def calls_noted(model: nn.Module, writer: Writer) -> Iterator[None]:
    """While it lasts, the writer knows whose forward runs, and notes every call."""
    noter = _Noter(writer)
    paths = {module: path for path, module in model.named_modules()}
    handles = []
    for module, path in paths.items():
        enter, leave = noter.hooks(path)
        handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        with _products_noted(paths, writer):
            yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class _Noter:
    writer: Writer
    running: list[tuple[int, int, tuple[Given, ...]]] = field(default_factory=list)
    clock: int = 0
    signatures: dict[type, inspect.Signature] = field(default_factory=dict)

    def hooks(self, path: str) -> tuple[Callable[..., None], Callable[..., None]]:
        """What to do when the module of a path begins, and when it ends."""

        def enter(module: nn.Module, args: tuple, kwargs: dict[str, object]) -> None:
            given = tuple(self._given(module, args, kwargs))
            self.running.append((self._tick(), len(self.writer.nodes), given))
            self.writer.scope.append(path)

        def leave(_module: nn.Module, _args: tuple, output: object) -> None:
            self.writer.scope.pop()
            entered, start, given = self.running.pop()
            returned = tuple(self._returned(output))
            stop = len(self.writer.nodes)
            self.writer.calls.append(
                Call(path, entered, self._tick(), start, stop, given, returned)
            )

        return enter, leave

    def _tick(self) -> int:
        self.clock += 1
        return self.clock

    def _given(
        self, module: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> Iterator[Given]:
        parameters = tuple(self._signature(module).parameters.values())
        fixed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        positional = [parameter for parameter in parameters if parameter.kind in fixed]
        many = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        places = {parameter.name: place for place, parameter in enumerate(positional)}
        for place, value in enumerate(args):
            if (node := self._node(value)) is not None:
                name = positional[place].name if place < len(positional) else many
                yield Given(node, place, name)
        for name, value in kwargs.items():
            if (node := self._node(value)) is not None:
                yield Given(node, places.get(name), name)

    def _signature(self, module: nn.Module) -> inspect.Signature:
        if type(module) not in self.signatures:
            self.signatures[type(module)] = inspect.signature(module.forward)
        return self.signatures[type(module)]

    def _returned(self, output: object) -> Iterator[Returned]:
        match output:
            case Tensor():
                parts: Iterator[tuple[int | str | None, object]] = iter([(None, output)])
            case tuple() | list():
                parts = iter(enumerate(output))
            case Mapping():
                parts = iter(output.items())
            case _:
                parts = iter(())
        for place, value in parts:
            if (node := self._node(value)) is not None:
                yield Returned(node, place)

    def _node(self, value: object) -> int | None:
        """The writer holds every tensor that it knows, so no other has the same id."""
        return self.writer.known.get(id(value)) if isinstance(value, Tensor) else None


@contextmanager
def _products_noted(paths: Mapping[nn.Module, str], writer: Writer) -> Iterator[None]:
    """While it lasts, what the registry of attention functions gives out notes its runs."""

    def get_interface(
        self: AttentionInterface, attn_implementation: str, default: Callable
    ) -> Callable:
        return _noting(original(self, attn_implementation, default), paths, writer)

    with _replacing:
        original = AttentionInterface.get_interface
        AttentionInterface.get_interface = get_interface
        try:
            yield
        finally:
            AttentionInterface.get_interface = original


def _noting(function: Callable, paths: Mapping[nn.Module, str], writer: Writer) -> Callable:
    def run(
        module: nn.Module, query: Tensor, key: Tensor, *args: object, **kwargs: object
    ) -> object:
        start = len(writer.nodes)
        output = function(module, query, key, *args, **kwargs)
        if module in paths:
            shapes = tuple(query.shape), tuple(key.shape)
            writer.products.append(Product(paths[module], start, len(writer.nodes), *shapes))
        return output

    return run
