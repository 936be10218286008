"""Abstract values of the identity proof: what a tensor is, as far as algebra can tell."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Constant:
    """Every entry is this number."""

    value: float


@dataclass(frozen=True, slots=True)
class Eye:
    """The identity matrix in the last two axes."""


@dataclass(frozen=True, slots=True)
class Atom:
    """A tensor of which nothing is known but its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Applied:
    """A function of terms that no rule simplifies."""

    function: object
    arguments: tuple[object, ...]
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.function, self.arguments)))

    def __hash__(self) -> int:
        """Worked out once: terms hold others that hold the same ones."""
        return self._hash


@dataclass(frozen=True, slots=True)
class Sum:
    """A linear combination of terms, as a set of (term, factor)."""

    terms: "frozenset[tuple[Term, float]]"
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.terms))

    def __hash__(self) -> int:
        return self._hash


Term = Constant | Eye | Atom | Applied | Sum
ZERO = Constant(0.0)
ONE = Constant(1.0)
Rule = Callable[..., "Term | None"]


def combined(first: Term, second: Term, factor: float) -> Term:
    """first + factor * second, with equal terms collected; equal in exact arithmetic only."""
    weights: dict[Term, float] = {}
    for term, scale in ((first, 1.0), (second, factor)):
        for inner, inner_scale in _summands(term):
            weights[inner] = weights.get(inner, 0.0) + scale * inner_scale
    kept = frozenset((term, scale) for term, scale in weights.items() if scale)
    if not kept:
        return ZERO
    (term, scale), *rest = kept
    return term if not rest and scale == 1.0 else Sum(kept)


def _summands(term: Term) -> tuple[tuple[Term, float], ...]:
    if term == ZERO:
        return ()
    return tuple(term.terms) if isinstance(term, Sum) else ((term, 1.0),)
