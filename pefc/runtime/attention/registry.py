"""Attention through transformers' registry of attention functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import unwrap
from types import FunctionType
from typing import Protocol, Self, cast

from torch import Tensor, nn
from transformers import AttentionInterface, PretrainedConfig

from .masks import Mask, of_rows, widened

Outcome = tuple[Tensor, Tensor | None]
"""What an attention function returns: context and, where it has them, attention weights."""

_REGISTRY = "ALL_ATTENTION_FUNCTIONS"
_TAG = "pefc:"


class _Name(str):  # noqa: SLOT000
    """The name of an attention function that equals this name and reads like it, but finds the
    patched function in the registry, because a dictionary looks for the hash first.

    So a forward that asks whether attention is "eager" or "flash" gets the answer that it had.
    """

    tag: str
    plain: str

    @classmethod
    def of(cls, plain: str) -> Self:
        name = cls(plain)
        name.plain, name.tag = plain, _TAG + plain
        return name

    # torch.compile follows `in` where it cannot follow str.__eq__.
    def __eq__(self, other: object) -> bool:
        return other in (self.tag, self.plain)

    def __ne__(self, other: object) -> bool:
        return other not in (self.tag, self.plain)

    def __hash__(self) -> int:
        return hash(self.tag)


class _View:
    """The config of a patched module as the module sees it: in all but the name of the attention
    function it is the config, at every moment.
    """

    _config: PretrainedConfig

    def __init__(self, config: PretrainedConfig) -> None:
        object.__setattr__(self, "_config", config)

    @property
    def _attn_implementation(self) -> _Name:
        return _name(self._config._attn_implementation or "eager")

    def __getattr__(self, name: str) -> object:
        return getattr(self._config, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._config, name, value)

    def __eq__(self, other: object) -> bool:
        return self._config == (other._config if isinstance(other, _View) else other)

    # Configs compare by value, so that they have no hash either.
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> tuple[object, ...]:
        return _View, (self._config,)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where the forward of a class finds its attention function."""

    registry: AttentionInterface
    eager: Callable[..., Outcome]
    """The function of the model's own file."""

    def function(self, name: str) -> Callable[..., Outcome]:
        return self.registry.get_interface(name, self.eager)


class _Patched(Protocol):
    """A module whose class has the names that `interface_names` gives."""

    pefc_origin: _Origin
    pefc_attend: Callable[..., Tensor]


def interface_names(base: type[nn.Module]) -> dict[str, object]:
    """The names that bring the attention of a class to its `pefc_attend`."""
    origin = _origin(base)
    for name in ("eager", *origin.registry):
        _name(name)
    return {"config": property(_read_config, _write_config), "pefc_origin": origin}


def _read_config(module: nn.Module) -> _View:
    return _View(module.__dict__["config"])


def _write_config(module: nn.Module, config: object) -> None:
    module.__dict__["config"] = config._config if isinstance(config, _View) else config


_NAMES: dict[str, _Name] = {}


def _name(plain: str) -> _Name:
    """The name under which the patched form of an attention function is registered."""
    if plain not in _NAMES:
        _NAMES[plain] = _Name.of(plain)
        AttentionInterface.register(_TAG + plain, _Route(plain))
    return _NAMES[plain]


@dataclass(frozen=True, slots=True)
class _Route:
    """An attention function that passes the product to the patch of the module which calls it."""

    plain: str

    def __call__(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Mask = None,
        **options: object,
    ) -> Outcome:
        patched = cast("_Patched", module)
        weights: Tensor | None = None

        def call(
            q: Tensor, keys: Tensor, values: Tensor, extra: int, rows: Tensor | None = None
        ) -> Tensor:
            nonlocal weights
            name, mask, rest = self.plain, attention_mask, options
            if rows is not None:
                mask, rest = of_rows(mask, rest, rows, query.shape[0])
            if extra:
                name, mask, rest = widened(name, module, q, keys, mask, rest, extra)
            function = patched.pefc_origin.function(name)
            context, weights = function(module, q, keys, values, mask, **rest)
            return context

        scale = options.get("scaling")
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        return patched.pefc_attend(call, query, key, value, scale), weights


def _origin(base: type[nn.Module]) -> _Origin:
    """The registry and the eager function that the code of a class names."""
    for function in _functions(base):
        names, scope = function.__code__.co_names, function.__globals__
        if _REGISTRY in names:
            return _Origin(scope[_REGISTRY], _eager(names, scope))
    raise TypeError(f"{base.__name__} does not ask {_REGISTRY} for its attention function")


def _functions(base: type[nn.Module]) -> list[FunctionType]:
    found = [
        unwrap(value) for kin in base.__mro__ for value in vars(kin).values() if callable(value)
    ]
    return [function for function in found if isinstance(function, FunctionType)]


def _eager(names: tuple[str, ...], scope: Mapping[str, object]) -> Callable[..., Outcome]:
    for name in names:
        if "eager" in name and callable(scope.get(name)):
            return cast("Callable[..., Outcome]", scope[name])
    return _no_eager


def _no_eager(module: nn.Module, *_: object, **__: object) -> Outcome:
    raise TypeError(f"{type(module).__name__} has no eager attention that can be patched")
