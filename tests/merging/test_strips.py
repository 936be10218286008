"""Strips of a graph are parts of what it gives as a whole."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

import pefc
from pefc.compiler.link.patch.patches import Patches
from pefc.compiler.lower.patch import Site, run
from pefc.compiler.merge.tiles import evaluate as evaluation
from pefc.compiler.merge.tiles.evaluate import Strips
from pefc.compiler.merge.tiles.tile import Places, taken

from ..models import gpt2, llama, neox
from .folders import Build

SPECS = (
    "lora(r=2) on attn.q; dora(r=2) on attn.q; ia3 on attn.q",
    "ssf on attn.q; vera(r=4) on attn.q",
    "peanut(r=4) on attn.q; dora(r=2) on attn.q",
    "deft on attn.q; loha(r=2) on attn.q",
    "boft on attn.o; hira(r=2) on attn.o",
    "psoft(r=3) on attn.o; delora(r=2) on attn.o",
    "own on attn.o",
    "miss(r=5) on attn.o; c3a(size=4) on attn.o",
    "shira(r=2) on attn.o; lokr(r=2) on attn.o; hra(r=2) on attn.o",
    "gralora(r=4) on attn.o; road(group=4) on attn.o",
)
OWN = """
method own(r: int = 2) on linear {
  A: [r, in]  ~ normal(0, 1)
  B: [out, r] ~ normal(0, 1)
  L: [out / 4, 2] ~ normal(0, 1)
  R: [4, in / 2] ~ normal(0, 1)
  g: [out] ~ normal(0, 1)
  let C = softmax(W, in) @ A.T
  weight = diag(g) @ (W + kron(L, R)) + C @ A + relu(B) @ softmax(A, in) + mean(W, out)
}
"""


class Held:
    """Tensors in memory, none of which is to be asked for as a whole but those of the methods."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors
        self.like = torch.empty(0, dtype=torch.float64)

    def whole(self, path: str) -> object:
        assert path != "weight"
        return self.tensors[path]

    def part(self, path: str, axis: int, places: Places) -> Tensor:
        return taken(self.tensors[path], axis, places)

    def is_large(self, path: str) -> bool:
        return path == "weight"


@pytest.mark.parametrize("build", [llama, gpt2, neox], ids=lambda build: build.__name__)
@pytest.mark.parametrize("spec", SPECS)
def test_strips_are_parts(build: Build, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In 64 bits, so that the order of sums is all that differs."""
    monkeypatch.setattr(evaluation, "PART", 100)
    patched = pefc.plan(OWN + spec, build()).modules[0]
    graph = Patches().merged(patched)
    leaves = [node for node in graph.nodes if node.op == "get_attr"]
    held = Held({str(leaf.target): _drawn(leaf.target, leaf.meta["val"]) for leaf in leaves})
    expected, _ = run(graph, Site(held.tensors.__getitem__, _no_module))  # pyright: ignore[reportGeneralTypeIssues]
    assert isinstance(expected, Tensor)
    weight: Any
    weight, _ = graph.output_node().args[0]  # pyright: ignore[reportGeneralTypeIssues, reportOptionalIterable]
    for along in (-1, -2):
        work, found = Strips(graph, held), torch.empty_like(expected)
        count = 0
        for axis, places in work.strips(weight, along):
            taken(found, axis, places).copy_(work.part(weight, axis, places))
            count += 1
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
        assert count > 4
        backwards = tuple(reversed(range(expected.shape[along])))
        part = work.part(weight, along, backwards)
        torch.testing.assert_close(part, expected.flip(along), rtol=1e-9, atol=1e-9)


def _drawn(path: str, value: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(len(path) + value.numel())
    if value.dtype == torch.int:
        return torch.randperm(value.numel(), generator=generator).int()
    if value.dtype == torch.long:
        return torch.randperm(3 * len(value), generator=generator)[: len(value)].sort().values
    return torch.randn(value.shape, generator=generator, dtype=torch.float64)


def _no_module(name: str) -> Callable[..., object]:
    raise AssertionError(name)
