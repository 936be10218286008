"""Changes of a model: worked out beside it, and then done as one.

What a model is to be stands in drafts, which are read as if they held already. `commit` is then a
single call into C, which runs functions of C alone. Python raises what a signal asks for between
its own instructions, of which there are none in there: an interrupt comes before all of it or
after.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from operator import call, methodcaller
from typing import TypeVar

import torch
from torch import Tensor, nn

Value = TypeVar("Value")
Steps = list[Callable[[], object]]
_data_of = torch.Tensor.data.__get__  # pyright: ignore[reportAttributeAccessIssue]
_set_data = torch.Tensor.data.__set__  # pyright: ignore[reportAttributeAccessIssue]


@dataclass(slots=True)
class Change:
    """Everything that a call is about to do to a model."""

    _drafts: dict[int, "_Draft"] = field(default_factory=dict)
    """By the `id` of the dict that each is of."""
    _classes: dict[int, tuple[nn.Module, type[nn.Module]]] = field(default_factory=dict)
    _flags: dict[int, tuple[Tensor, bool]] = field(default_factory=dict)
    _forth: Steps = field(default_factory=list)
    """How values get into the tensors of the model."""
    _back: Steps = field(default_factory=list)

    def draft(self, store: dict[str, Value], *, ordered: bool = True) -> dict[str, Value]:
        """What a dict of the model is to hold, to be changed."""
        made = _Draft(store, dict(store), dict(store), ordered)
        return self._drafts.setdefault(id(store), made).new

    def drafted(self, store: dict[str, Value]) -> dict[str, Value]:
        """What a dict of the model is to hold, to be read."""
        found = self._drafts.get(id(store))
        return store if found is None else found.new

    def attributes(self, module: nn.Module) -> dict[str, object]:
        """The attributes that a module is to have, to be changed."""
        return self.draft(module.__dict__, ordered=False)

    def children(self, module: nn.Module) -> dict[str, nn.Module | None]:
        """The children that a module is to have, to be read."""
        return self.drafted(module._modules)

    def class_of(self, module: nn.Module) -> type[nn.Module]:
        """The class that a module is to have."""
        return self._classes.get(id(module), (module, type(module)))[1]

    def become(self, module: nn.Module, cls: type[nn.Module]) -> None:
        """Give a module another class."""
        self._classes[id(module)] = module, cls

    def train(self, parameter: Tensor, flag: bool) -> None:  # noqa: FBT001  (as in torch)
        """Let a parameter train or not. One of inference mode never trains, and torch lets nobody
        say so outside of that mode.
        """
        if torch.is_inference_mode_enabled() or not parameter.is_inference():
            self._flags[id(parameter)] = parameter, flag

    def assign(self, owner: object, name: str, value: object) -> None:
        """Give an object that has no dict another attribute."""
        self.do(
            partial(object.__setattr__, owner, name, value),
            partial(object.__setattr__, owner, name, getattr(owner, name)),
        )

    def do(self, forth: Callable[[], object], back: Callable[[], object]) -> None:
        """Any other step, and the way back from before or after it, as functions of C."""
        self._forth.append(forth)
        self._back.append(back)

    def write(self, tensor: Tensor, value: Tensor, *, kept: bool) -> None:
        """Copy a value into a tensor. What it holds is `kept`, to be put back where a later step
        fails; for large tensors it need not be, since nothing can fail but the device.
        """
        if tensor.shape != value.shape:
            raise ValueError(f"a value has shape {list(value.shape)}, not {list(tensor.shape)}")
        if tensor.is_inference() and not torch.is_inference_mode_enabled():
            with torch.inference_mode():
                self.swap(tensor, value.to(tensor, copy=True))
            return
        self._forth.append(partial(tensor.copy_, value))
        if kept:
            self._back.append(partial(tensor.copy_, tensor.detach().clone()))

    def swap(self, tensor: Tensor, value: Tensor) -> None:
        """Give a tensor another storage, of whatever dtype."""
        self.do(partial(_set_data, tensor, value), partial(_set_data, tensor, tensor.data))

    def cast(self, tensors: Iterable[Tensor], dtype: torch.dtype) -> None:
        """Give tensors another dtype, each when its turn comes, so that no more than one of them is
        there twice: the largest first, so that memory that is enough for it is enough for all.
        """
        for tensor in sorted(tensors, key=Tensor.numel, reverse=True):
            self.do(_casting(tensor, dtype), _casting(tensor, tensor.dtype))

    def at(self, model: nn.Module, path: str) -> nn.Module:
        """The module that is to stand at a path."""
        for name in path.split(".") if path else ():
            child = self.children(model).get(name)
            model = model.get_submodule(name) if child is None else child
        return model

    def tensor(self, model: nn.Module, path: str) -> Tensor:
        """The parameter or buffer that is to stand at a path."""
        owner, _, name = path.rpartition(".")
        return getattr(self.at(model, owner), name)

    def named_modules(self, model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        """All modules that a model is to have, each once."""
        seen: set[int] = set()
        waiting = [("", model)]
        while waiting:
            path, module = waiting.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module
                inner = reversed(self.children(module).items())
                waiting += [(f"{path}.{name}".lstrip("."), m) for name, m in inner if m is not None]

    def commit(self) -> None:
        """Do all of it, or nothing: where a step fails, those before it are taken back."""
        passed: list[None] = []
        forth, back = self._steps(passed)
        try:
            try:
                _at_once(forth)
            except BaseException:
                if len(passed) == 1:
                    _at_once(back)
                raise
        except BaseException:
            # An interrupt may have come while the failure was on its way; going back twice is no
            # harm.
            if len(passed) == 1:
                _at_once(back)
            raise

    def during(self, run: Callable[[], Value]) -> Value:
        """Do all of it for as long as a function runs, and take it back whatever comes."""
        passed: list[None] = []
        forth, back = self._steps(passed)
        try:
            try:
                _at_once(forth)
                result = run()
            finally:
                if passed:
                    _at_once(back)
        except BaseException:
            if passed:
                _at_once(back)
            raise
        return result

    def _steps(self, passed: list[None]) -> tuple[Steps, Steps]:
        """The way forth and the way back. Functions of a user, such as a `torch.device` in whose
        `with` we are, see neither; what has `passed` is noted at the start and at the end.
        """
        forth, back = self._both()
        guard, grad = torch._C.DisableTorchFunction(), torch.is_grad_enabled()
        before: Steps = [guard.__enter__, partial(torch._C._set_grad_enabled, False)]  # noqa: FBT003
        after: Steps = [
            partial(torch._C._set_grad_enabled, grad),
            partial(guard.__exit__, None, None, None),
        ]
        note = partial(passed.append, None)
        return [*before, note, *forth, *after, note], [before[-1], *back[::-1], *after]

    def _both(self) -> tuple[Steps, Steps]:
        """The steps forth, and those back, the last of which is the first to be done."""
        forth: Steps = []
        back: Steps = []
        for draft in self._drafts.values():
            forth += draft.steps()
            back += replace(draft, old=draft.new, new=draft.old).steps()[::-1]
        for module, cls in self._classes.values():
            if cls is not type(module):
                forth.append(partial(object.__setattr__, module, "__class__", cls))
                back.append(partial(object.__setattr__, module, "__class__", type(module)))
        for parameter, flag in self._flags.values():
            if flag != parameter.requires_grad:
                forth.append(partial(parameter.requires_grad_, flag))
                back.append(partial(parameter.requires_grad_, not flag))
        return [*forth, *self._forth], [*back, *self._back]


def _at_once(steps: Steps) -> None:
    deque(map(call, steps), maxlen=0)


@dataclass(frozen=True, slots=True)
class _Draft:
    """What becomes of a dict of a model."""

    store: dict
    old: dict
    new: dict
    ordered: bool
    """Its order is that of the state."""

    def steps(self) -> Steps:
        """What makes the new content of the old one."""
        shorter, longer = sorted((list(self.old), list(self.new)), key=len)
        if self.ordered and shorter != longer[: len(shorter)]:
            return [self.store.clear, partial(self.store.update, self.new)]
        gone = (name for name in self.old if name not in self.new)
        put = (n for n, v in self.new.items() if n not in self.old or v is not self.old[n])
        return [
            *(partial(self.store.pop, name, None) for name in gone),
            *(partial(self.store.__setitem__, name, self.new[name]) for name in put),
        ]


def _casting(tensor: Tensor, dtype: torch.dtype) -> Callable[[], object]:
    values = map(methodcaller("to", dtype), map(_data_of, (tensor,)))
    return partial(deque, map(_set_data, (tensor,), values), 0)
