"""Random formulas that use every function and operator which formulas of linear maps have.

An expression is grown for a shape, so that almost all of them compile. Values are drawn from
normal distributions, so that functions with steps, such as `floor`, are given tensors as they are:
of a sum of products the order of summation could decide on which side of a step it falls.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import assume
from hypothesis import strategies as st

from pefc.compiler.lower.method.signatures import LinearFacts

from .formulas import Case, case, has_lowering

Shape = tuple[str, ...]
MATRIX, INPUT, OUTPUT = ("out", "in"), ("in", "in"), ("out", "out")
_LETTERS = {"out": "o", "in": "i", "r": "r", "sites": "s"}
_SMOOTH = (
    *("tanh({})", "sigmoid({})", "sin({})", "cos({})", "detach({})", "exp(tanh({}))"),
    *("sqrt(abs({}) + 0.5)", "log(abs({}) + 0.5)", "gelu({})", "silu({})", "({}) ** 2"),
)
_BENT = ("relu({})", "abs({})", "clamp({}, -1, 1)", "clamp({}, 0)")
_LINEAR = (
    *("2 * ({})", "({}) / 4", "-({})", "({}) * -0.5", "0.3 * ({})", "3 - ({})", "({}) + 0.25"),
    *("1 * ({})", "({}) - 0", "0 * ({})"),
)
_SUMS = ("({}) + ({})", "({}) - ({})")
_PAIRS = (*_SUMS, "({}) * ({})", "({}) / (1 + abs({}))", "min({}, {})", "max({}, {})")
_STEPPED = ("floor({})", "ceil({})", "detach({}) // 0.7", "({}) % 0.7")
STARTS = ("= 0", "= 0", "= 1", "= 0.5", "~ normal(0, 1)", "~ normal(0, 1)")


@dataclass(slots=True)
class Grower:
    """Writes expressions, and notes the tensors and dims that they name."""

    draw: st.DrawFn
    declared: dict[str, str] = field(default_factory=dict)

    def of(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def take(self, *choices: Callable[[], str]) -> str:
        return choices[self.draw(st.integers(0, len(choices) - 1))]()

    def tensor(self, *sizes: str) -> str:
        """A tensor of this shape: one of two that share it."""
        kind = "".join(_LETTERS.get(size, size.translate(_PLAIN)) for size in sizes)
        name = f"{self.of('T', 'Q')}{kind}"
        self.declared.setdefault(name, f"[{', '.join(sizes)}]")
        return name

    def matrix(self, shape: Shape, depth: int) -> str:
        """An expression [rows, columns]."""
        if depth <= 0:
            return self._leaf(shape)
        return self.take(
            lambda: self._leaf(shape),
            lambda: self._product(shape, depth - 1),
            lambda: self._product(shape, depth - 1),
            lambda: self._scaled(shape, depth - 1),
            lambda: self._pointwise(lambda: self.matrix(shape, depth - 1), self.tensor(*shape)),
            lambda: self._pair(lambda: self.matrix(shape, depth - 1)),
            lambda: self._sum(lambda: self.matrix(shape, depth - 1)),
            lambda: self._moved(shape, depth - 1),
            lambda: self._structured(shape),
        )

    def vector(self, size: str, depth: int) -> str:
        """An expression [size]."""
        if depth <= 0:
            return self.tensor(size)
        other = self.of("in", "out")
        below = lambda: self.vector(size, depth - 1)  # noqa: E731
        return self.take(
            lambda: self.tensor(size),
            lambda: self._pointwise(below, self.tensor(size)),
            lambda: self._pair(below),
            lambda: f"({self.matrix((size, other), depth - 1)}) @ {self.tensor(other)}",
            lambda: self._reduced(size, depth - 1),
            lambda: f"({self.matrix((size, 'r'), depth - 1)})[:, 0]",
            lambda: f"halves({self.tensor(f'{size} / 2')}, 2)",
        )

    def output(self, depth: int) -> str:
        """An expression [..., out] of x and y."""
        if depth <= 0:
            self.declared.setdefault("f", "in -> out")
            leaves = ("y", "x @ {}.T", "x @ {}", "f(x)")
            leaf = self.of(*leaves)
            return leaf.format(self.tensor(*(MATRIX if ".T" in leaf else MATRIX[::-1])))
        below = lambda: self.output(depth - 1)  # noqa: E731
        return self.take(
            lambda: self.output(0),
            lambda: f"x @ ({self.matrix(MATRIX, depth - 1)}).T",
            lambda: f"x @ ({self.matrix(('r', 'in'), 1)}).T @ ({self.matrix(('out', 'r'), 1)}).T",
            lambda: f"({below()}) @ ({self.matrix(OUTPUT, depth - 1)})",
            lambda: f"({below()}) * ({self.vector('out', depth - 1)})",
            lambda: f"({below()}) + {self.vector('out', depth - 1)}",
            lambda: self._sum(below),
            lambda: self._pair(below),
            lambda: self._pointwise(below, None),
            lambda: self._in_groups(below()),
        )

    def input(self, depth: int) -> str:
        """An expression [..., in] of x."""
        if depth <= 0:
            return "x"
        below = lambda: self.input(depth - 1)  # noqa: E731
        return self.take(
            lambda: f"({below()}) @ ({self.matrix(INPUT, depth - 1)})",
            lambda: f"({below()}) @ ({self.matrix(INPUT, depth - 1)}).T",
            lambda: f"({below()}) * ({self.vector('in', depth - 1)})",
            lambda: f"({below()}) - {self.vector('in', depth - 1)}",
            lambda: self._sum(below),
            lambda: self._pointwise(below, None),
        )

    def _leaf(self, shape: Shape) -> str:
        if shape == MATRIX and self.draw(st.booleans()):
            return "W"
        if shape == MATRIX[::-1] and self.draw(st.booleans()):
            return "W.T"
        return self.tensor(*shape)

    def _product(self, shape: Shape, depth: int) -> str:
        rows, columns = shape
        inner = self.of("r", "r", "r", "in", "out")
        left, right = (rows, inner), (inner, columns)
        return self.take(
            lambda: f"({self.matrix(left, depth)}) @ ({self.matrix(right, depth)})",
            lambda: f"{self.tensor(*left)} @ {self.tensor(*right)}",
            lambda: f"{self.tensor(*left)} @ diag({self.tensor(inner)}) @ {self.tensor(*right)}",
            lambda: f'einsum("ij,jk->ik", {self.matrix(left, depth)}, {self.tensor(*right)})',
        )

    def _scaled(self, shape: Shape, depth: int) -> str:
        rows, columns = shape
        matrix = self.matrix(shape, depth)
        return self.take(
            lambda: f"diag({self.vector(rows, depth)}) @ ({matrix})",
            lambda: f"({matrix}) @ diag({self.vector(columns, depth)})",
            lambda: f"({matrix}) * {self.tensor(columns)}",
            lambda: f"({matrix}) * {self.tensor(rows)}[:, none]",
            lambda: f"({matrix}) + {self.tensor(columns)}",
            lambda: f"diag({self.tensor(rows)} / (0.5 + norm({matrix}, {columns}))) @ ({matrix})",
        )

    def _pointwise(self, value: Callable[[], str], plain: str | None) -> str:
        if plain is not None and self.draw(st.integers(0, 5)) == 0:
            return self.of(*_STEPPED).format(plain)
        return self.of(*_SMOOTH, *_BENT, *_LINEAR, *_LINEAR).format(value())

    def _sum(self, value: Callable[[], str]) -> str:
        return self.of(*_SUMS).format(value(), value())

    def _pair(self, value: Callable[[], str]) -> str:
        return self.of(*_PAIRS).format(value(), value())

    def _reduced(self, size: str, depth: int) -> str:
        other = self.of("in", "out", "r")
        if other == size:
            return f"softmax({self.vector(size, depth)})"
        name = self.of("norm", "sum", "mean")
        return f"{name}({self.matrix((size, other), depth)}, {other})"

    def _moved(self, shape: Shape, depth: int) -> str:
        """The entries of a matrix, at other places or in another form."""
        rows, columns = shape
        turned = self.matrix((columns, rows), depth)
        matrix = self.matrix(shape, depth)
        ways = [
            lambda: f"({turned}).T",
            lambda: f"({turned}).mT",
            lambda: f"({matrix}).flatten().reshape({rows}, {columns})",
            lambda: f"stack({matrix}, {self.tensor(*shape)})[1]",
            lambda: f"real(ifft2({matrix}))",
        ]
        if rows != columns:
            ways.append(lambda: f"softmax({matrix}, {columns})")
        if columns != "r":
            ways.append(lambda: f"tile({self.matrix((rows, 'r'), depth)}, {columns})")
        return self.take(*ways)

    def _structured(self, shape: Shape) -> str:
        rows, columns = shape
        if rows == "r" != columns:
            return f"orthonormal({self.tensor(*shape)})"
        if "r" in shape:
            return self.tensor(*shape)
        half = (f"{rows} / 2", f"{columns} / 2")
        ways = [
            lambda: f"kron({self.tensor(half[0], '2')}, {self.tensor('2', half[1])})",
            lambda: f"kron({self.tensor('2', '2')}, {self.tensor(*half)})",
            lambda: f"circulant({self.tensor(*half, '2')})",
        ]
        if shape == MATRIX:
            ways.append(lambda: f"scatter({self.tensor('5')}, {self._index()})")
        if rows == columns:
            ways += [
                lambda: f"eye({rows})",
                lambda: f"householder({self.tensor(rows, 'r')})",
                lambda: f"cayley(skew({self.tensor(f'{rows} * ({rows} - 1) / 2')}) / 4)",
                lambda: f"block_diag({self.tensor(half[0], '2', '2')})",
                lambda: f"block_diag(cayley(skew({self.tensor(half[0], '1')})))",
                lambda: f"block_diag(eye(2) + {self.tensor(half[0], '2', '2')})",
            ]
        return self.take(*ways)

    def _index(self) -> str:
        self.declared["I"] = ""
        return "I"

    def _in_groups(self, value: str) -> str:
        """Features that trade places, and sums weighed token by token."""
        return self.take(
            lambda: f"join(shuffle(split({value}, 2), 2))",
            lambda: f"rotate_half({value}, 2)",
            lambda: f"mix(softmax(dot({value}, stack(y, 2 * y))), stack({value}, y))",
            lambda: f"({value}) * (0.5 + norm({value}, out))[:, none]",
        )


_OPERATORS = ("=", "+=", "-=")
_DROPPED = ("", "", " over dropout(0.5)")


@dataclass(frozen=True, slots=True)
class Kinds:
    """What the rules of a method may be."""

    bias: bool
    """The module has one."""
    affine: bool = False
    """y stays affine in x."""


@st.composite
def grown(draw: st.DrawFn, kinds: Kinds, *, name: str = "own", depth: int = 2) -> str:
    """The definition of a method with one or two rules, and the tensors that they name."""
    grower = Grower(draw)
    rules = [_rule(grower, kinds, depth) for _ in range(draw(st.integers(1, 2)))]
    words = set(re.findall(r"\w+", " ".join(rules)))
    named = ((tensor, shape) for tensor, shape in grower.declared.items() if tensor in words)
    lines = [declared(grower, tensor, shape) for tensor, shape in named]
    text = "\n  ".join([*lines, *rules])
    rank = "r: int = 2" if re.search(r"\br\b", text) else ""
    return f"method {name}({rank}) on linear {{\n  {text}\n}}\n"


@st.composite
def formulas(draw: st.DrawFn, *, affine: bool = False) -> Case:
    """A random method on a module of any shape, alone, or with one that reads its weight."""
    bias, transposed = draw(st.booleans()), draw(st.booleans())
    inputs, outputs = draw(st.sampled_from([6, 8, 12])), draw(st.sampled_from([8, 12, 16]))
    facts = LinearFacts(inputs, outputs, bias, transposed)
    text = draw(grown(Kinds(bias=bias, affine=affine)))
    behind = draw(st.sampled_from(["", "", "dora(r=2)", "dora(r=3, dropout=0.5)", "hira(r=2)"]))
    second = f"\n{behind} on linear as m1" if behind else ""
    found = case(facts, f"{text}own on linear as m0{second}")
    assume(has_lowering(found))
    return found


def declared(grower: Grower, name: str, shape: str) -> str:
    if name == "f":
        return "f: in -> out ~ linear_default"
    if not shape:
        return f"index {name}: [5] of [out, in] = sample(3)"
    return f"{name}: {shape} {grower.of(*STARTS)}"


def _rule(grower: Grower, kinds: Kinds, depth: int) -> str:
    sign = grower.of(*_OPERATORS)
    rules = [
        lambda: f"weight {sign} {grower.matrix(MATRIX, depth)}{grower.of(*_DROPPED)}",
        lambda: f"weight {sign} {grower.matrix(MATRIX, depth)}",
        lambda: f"weight += {grower.vector('in', 1)}{grower.of(*_DROPPED)}",
        lambda: f"weight *= {grower.vector('in', 1)}",
        lambda: f"input *= {grower.vector('in', 1)}",
        lambda: f"output *= {grower.vector('out', 1)}",
    ]
    if not kinds.affine:
        rules += [
            lambda: f"output {sign} {grower.output(depth)}",
            lambda: f"output += {grower.output(depth - 1)}{grower.of(*_DROPPED)}",
            lambda: f"input {sign} {grower.input(depth)}",
        ]
    if kinds.bias:
        rules.append(lambda: f"bias {sign} {grower.vector('out', depth)}")
    return grower.take(*rules)


_PLAIN = str.maketrans({" ": None, "/": "h", "*": "x", "(": None, ")": None, "-": "m"})
