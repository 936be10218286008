"""Random methods on linear sites, as text, and what it takes to run a patch without a model."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from math import prod

import torch
from hypothesis import assume, settings
from hypothesis import strategies as st
from torch.fx import Graph  # noqa: TID251
from torch.nn import functional

import pefc
from pefc.compiler.lower.method.declarations import Declared
from pefc.compiler.lower.method.elaborate import elaborate
from pefc.compiler.lower.method.environment import Member
from pefc.compiler.lower.method.signatures import LinearFacts
from pefc.compiler.lower.patch import Site, plain_patch, run
from pefc.compiler.passes.rewriter import copied


def examples(few: int) -> int:
    """How many examples a law has: few, or, where they are searched, as many as is said."""
    return few if settings().derandomize else settings().max_examples


NUMBERS = st.sampled_from(["2", "0.5", "-1.5", "3", "1", "0"])
STARTS = st.sampled_from(["= 0", "= 0", "= 1", "= 0.5", "~ normal(0, 1)"])


def _matrices(depth: int) -> st.SearchStrategy[str]:
    """Expressions of the shape of W."""
    leaves = st.sampled_from(
        ["W", "B @ A", "B @ diag(d) @ A", "outer * W", "B @ A * row", "tile(B, in)"]
    )
    if depth == 0:
        return leaves
    smaller = _matrices(depth - 1)
    return st.one_of(
        leaves,
        st.builds("{} * ({})".format, NUMBERS, smaller),
        st.builds("({}) / 4".format, smaller),
        st.builds("-({})".format, smaller),
        st.builds("({}) + ({})".format, smaller, smaller),
        st.builds("({}) - ({})".format, smaller, smaller),
        st.builds("({}) * ({})".format, smaller, smaller),
        st.builds("diag(c) @ ({})".format, smaller),
        st.builds("({}) @ diag(g)".format, smaller),
        st.builds("({}) * g".format, smaller),
        st.builds("tanh({})".format, smaller),
        st.builds("diag(c / norm(2 * W + 0.1 * ({}), in)) @ W".format, leaves),
        st.just("diag(m / detach(norm(W + B @ A, in))) @ (W + B @ A)"),
        st.sampled_from(
            [
                "diag(c / norm(W + B @ A + B @ A, in)) @ W",
                "diag(c / norm(row + B @ A, in)) @ W",
                "W * norm(B @ A, in)[:, none]",
            ]
        ),
    )


def _outputs(depth: int) -> st.SearchStrategy[str]:
    """Expressions of the shape of y."""
    leaves = st.sampled_from(["y", "x @ (B @ A).T", "x @ A.T @ B.T", "f(x)", "y * c", "x @ W.T"])
    if depth == 0:
        return leaves
    smaller = _outputs(depth - 1)
    return st.one_of(
        leaves,
        st.builds("{} * ({})".format, NUMBERS, smaller),
        st.builds("c * ({})".format, smaller),
        st.builds("({}) + c".format, smaller),
        st.builds("({}) - ({})".format, smaller, smaller),
        st.builds("({}) + ({})".format, smaller, smaller),
        st.builds("relu({})".format, smaller),
        st.builds("({}) * sigmoid(y)".format, smaller),
    )


_OPERATORS = st.sampled_from(["=", "+=", "-="])
_DROPPED = st.sampled_from(["", "", " over dropout(0.5)"])
_VECTORS = st.sampled_from(["b", "c", "b * c", "b + c", "2 * b", "B @ d"])
_INPUTS = st.sampled_from(["x", "x * g", "x + g", "tanh(x)", "x - g * 2"])


def rules(*, bias: bool) -> st.SearchStrategy[str]:
    """One rule; without a bias, none that names it."""
    kinds = [
        st.builds("weight {} {}{}".format, _OPERATORS, _matrices(2), _DROPPED),
        st.builds("output {} {}".format, _OPERATORS, _outputs(2)),
        st.builds("output += {}{}".format, _outputs(1), _DROPPED),
        st.builds("input {} {}".format, _OPERATORS, _INPUTS),
        st.sampled_from(["output *= c", "input *= g", "weight *= outer", "output *= 2"]),
        st.sampled_from(
            ["weight += row", "weight *= row", "weight -= W", "weight += 0.5", "weight = B @ A"]
        ),
        st.sampled_from(
            [
                "weight -= W over dropout(0.5)",
                "weight += 0.5 over dropout(0.5)",
                "weight += row over dropout(0.5)",
                "weight += outer over dropout(0.5)",
            ]
        ),
    ]
    if bias:
        kinds.append(st.builds("bias {} {}".format, _OPERATORS, _VECTORS))
    return st.one_of(kinds)


@st.composite
def methods(draw: st.DrawFn, *, bias: bool, name: str = "own") -> str:
    """The definition of a method with one to three rules, and the tensors that they name."""
    body = draw(st.lists(rules(bias=bias), min_size=1, max_size=3))
    words = set(re.findall(r"[A-Za-z]+", " ".join(body)))
    if "m" in words:
        words |= {"A", "B"}
    shapes = ((n, s) for n, s in _SHAPES.items() if n in words)
    lines = [f"{tensor}: {shape} {draw(STARTS)}" for tensor, shape in shapes]
    if "m" in words:
        lines.append("m: [out] = norm(W + B @ A, in)")
    rank = "r: int = 2" if words & {"A", "B", "d"} else ""
    text = "\n  ".join([*lines, *body])
    return f"method {name}({rank}) on linear {{\n  {text}\n}}\n"


_SHAPES = {
    "A": "[r, in]",
    "B": "[out, r]",
    "c": "[out]",
    "g": "[in]",
    "d": "[r]",
    "row": "[in]",
    "outer": "[out, 1]",
    "f": "in -> out",
}


_CALLS = st.sampled_from(
    [
        "lora(r=2, alpha=5)",
        "lora(r=3, dropout=0.5, stable)",
        "dora(r=2, alpha=5)",
        "dora(r=3, dropout=0.5)",
        "ia3",
        "ia3(input)",
        "vera(r=3)",
        "vera(r=2, dropout=0.5)",
        "ssf",
        "hira(r=2)",
        "loha(r=2, alpha=3)",
        "lokr(r=2, alpha=3)",
        "lokr(r=1, factor=2, both)",
        "miss(r=2)",
        "miss(r=3, dropout=0.5)",
        "fourierft(n=7, scale=3)",
    ]
)


@dataclass(frozen=True, slots=True)
class Case:
    """Methods on one linear module, or on rows of it."""

    facts: LinearFacts
    spec: str
    members: tuple[Member, ...] = field(repr=False)


_SLICES = (None, None, ((0, 4),), ((2, 6),), ((0, 2), (4, 6)), ((1, 3), (5, 8)))


@st.composite
def cases(draw: st.DrawFn, *, most: int = 3, user: bool = True, sliced: bool = True) -> Case:
    """A chain of methods out of the library and out of the air, on a module of any shape."""
    bias = draw(st.booleans())
    facts = LinearFacts(
        draw(st.integers(3, 11)), draw(st.integers(8, 13)), bias, draw(st.booleans())
    )
    count = draw(st.integers(1, most))
    definitions, statements, slices = [], [], []
    for number in range(count):
        if user and draw(st.booleans()):
            definitions.append(draw(methods(bias=bias, name=f"own{number}")))
            statements.append(f"own{number} on linear as m{number}")
        else:
            statements.append(f"{draw(_CALLS)} on linear as m{number}")
        slices.append(draw(st.sampled_from(_SLICES if sliced else (None,))))
    spec = "".join(definitions) + "\n".join(statements)
    found = case(facts, spec, tuple(slices))
    assume(has_lowering(found))
    return found


def has_lowering(of: Case, known: Collection[str] = ("not-lowered",)) -> bool:
    """Whether there is a patch; raises SpecError where that is for another reason than `known`."""
    try:
        plain_patch(of.facts, of.members)
    except pefc.SpecError as error:
        if not {diagnostic.code() for diagnostic in error.diagnostics} <= set(known):
            raise
        return False
    return True


def case(facts: LinearFacts, spec: str, slices: tuple[object, ...] = ()) -> Case:
    """The statements of a spec, each on the whole module or on its slice."""
    checked = pefc.check(pefc.parse(spec))
    members = []
    for number, step in enumerate(checked.steps):
        rows = slices[number] if slices else None
        width = facts.outputs if rows is None else sum(stop - start for start, stop in rows)
        dims = {"in": facts.inputs, "out": width}
        prefix = f"m{number}" if rows is None else f"m{number}.q"
        members.append(Member(elaborate(step, dims, dims, "site"), rows, prefix))
    return Case(facts, spec, tuple(members))


class Values:
    """Random tensors by path, the same for every graph of a case."""

    def __init__(
        self, of: Case, dtype: torch.dtype = torch.float64, *, training: bool = False
    ) -> None:
        self.facts = of.facts
        self.dtype = dtype
        self.training = training
        self.known: dict[str, torch.Tensor] = {}
        for member in of.members:
            if member.rows is not None and len(member.rows) > 1:
                numbers = [torch.arange(start, stop) for start, stop in member.rows]
                self.known[f"{member.prefix}.rows"] = torch.cat(numbers)
        shape = (of.facts.outputs, of.facts.inputs)
        self.known["weight"] = torch.randn(shape[::-1] if of.facts.transposed else shape).to(dtype)
        self.known["bias"] = torch.randn(of.facts.outputs).to(dtype)
        for member in of.members:
            for tensor in member.method.tensors:
                shared = "" if tensor.scope is None else "shared."
                path = f"{member.prefix}.{shared}{tensor.name}"
                self.known[path] = _random(tensor, dtype)

    def read(self, path: str) -> object:
        return self.training if path == "training" else self.known[path]

    def base(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.known["weight"].T if self.facts.transposed else self.known["weight"]
        return functional.linear(x, weight, self.known["bias"] if self.facts.bias else None)

    def run(self, graph: Graph, *inputs: torch.Tensor) -> object:
        fixed = copied(graph)
        for node in fixed.nodes:
            if node.target is functional.dropout:
                node.target = _fixed_dropout
        return run(fixed, Site(self.read, lambda _: self.base), *inputs)


def _random(tensor: Declared, dtype: torch.dtype) -> torch.Tensor:
    if tensor.of is not None:
        return torch.randperm(prod(tensor.of))[: prod(tensor.shape)].int()
    return torch.randn(tensor.shape).to(dtype)


def _fixed_dropout(x: torch.Tensor, probability: float, training: object) -> torch.Tensor:
    """Drops every other entry, so that two runs can be compared."""
    if not training:
        return x
    kept = torch.arange(x.numel()).reshape(x.shape) % 2 == 0
    return x * kept / (1 - probability)
