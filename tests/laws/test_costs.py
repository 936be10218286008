"""Planning takes work that grows with a formula, not with the number of ways through it."""

from collections import Counter

import pytest

from pefc.compiler.lower.method.environment import Member
from pefc.compiler.lower.method.signatures import LinearFacts
from pefc.compiler.lower.patch import plain_patch
from pefc.compiler.passes import matmul_cost as cost
from pefc.compiler.passes import optimized
from pefc.compiler.passes import rewriter as rewrite
from pefc.dsl.parsing import library

from .compositions import linear_methods
from .formulas import case

RANKS = (1, 2, 4, 8, 16, 32, 64, 128)
FACTS = LinearFacts(128, 256, bias=True, transposed=False)
LARGEST = {"shira": 64}
SMALLEST = {"hra": 2, "gralora": 2, "psoft": 2}
"""The ranks that methods take on such a map."""
NODES, NODES_A_RANK = 30, 8
"""Of a formula; `hra` is written out, reflection by reflection."""
TRIES_A_NODE = 80
LOOKS_A_NODE = 10


def ranked() -> list[str]:
    """The methods of the library with a rank."""
    found = {name: library.method(name) for name in linear_methods()}
    return [n for n, m in found.items() if m is not None and "r" in {p.name for p in m.parameters}]


def member_of(name: str, rank: int) -> Member:
    """The method at a rank, or at the nearest one that it takes."""
    size = min(max(rank, SMALLEST.get(name, 1)), LARGEST.get(name, RANKS[-1]))
    others = ", target=1, steps=9" if name == "adalora" else ""
    return case(FACTS, f"{name}(r={size}{others}) on linear").members[0]


class Counted:
    """How often a node was tried, and how often what a matrix costs was worked out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts: Counter[str] = Counter()
        for module, name in ((rewrite, "_try"), (cost.Work, "_found")):
            self._count(monkeypatch, module, name)

    def _count(self, monkeypatch: pytest.MonkeyPatch, where: object, name: str) -> None:
        original = getattr(where, name)

        def counting(*args: object) -> object:
            self.counts[name] += 1
            return original(*args)

        monkeypatch.setattr(where, name, counting)


@pytest.mark.parametrize("name", ranked())
def test_work_is_in_proportion_to_the_patch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in RANKS:
        member = member_of(name, rank)
        graph = plain_patch(FACTS, (member,))
        size = len(graph.nodes)
        counted = Counted(monkeypatch)
        fast = optimized(graph)
        monkeypatch.undo()
        assert size <= NODES + NODES_A_RANK * rank, rank
        assert len(fast.nodes) <= 2 * size, rank
        assert counted.counts["_try"] <= TRIES_A_NODE * size, rank
        assert counted.counts["_found"] <= LOOKS_A_NODE * size, rank
