"""What each method of the library becomes: graph/NAME.out. Linear maps are one of 48 → 32 with a
bias; blocks and attentions are those of models with one layer of width 24.

Where it does not compile, graph/NAME.err says what a user reads.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from torch import nn

import pefc
from pefc.cli.views.graph_parts import parts
from pefc.compiler.link.program import Program
from pefc.compiler.lower.method.signatures import LinearFacts
from pefc.compiler.ops.listing import Line
from pefc.compiler.plan import planner as planning
from pefc.compiler.plan.plan import Plan, Planned
from pefc.dsl.diagnostics.render import full
from pefc.dsl.parsing import library

from ..models import bert, llama, pair

FOLDER = Path(__file__).parent / "graph"
ARGUMENTS = {
    "adalora": "(steps=100)",
    "c3a": "(size=16)",
    "miss": "(r=8)",
    "oft": "(size=4)",
    "road": "(group=8)",
    "shira": "(r=4)",
}
"""For methods whose defaults do not fit the map."""
PLACES = {
    "linear": " on linear",
    "any": " on linear",
    "norm": " on norm",
    "block": " on ffn",
    "attention": " all layers",
    "tokens": "",
}


@cache
def model_for(name: str) -> nn.Module:
    """Blocks of BERT have their norms behind them, attentions of Llama share keys and values."""
    method = library.method(name)
    if method is not None and method.site in {"linear", "any", "norm"}:
        return pair()
    return bert(layers=1) if method is not None and method.site == "block" else llama(layers=1)


@pytest.fixture(scope="module", autouse=True)
def _models_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "find_sites", cache(planning.find_sites))
        yield


@pytest.mark.parametrize("name", library.names())
def test_method(name: str, golden: Callable[[Path, str], None]) -> None:
    statement = _statement(name)
    try:
        program = pefc.compile(pefc.parse(f"{statement}\n", name="train.peft"), model_for(name))
    except pefc.SpecError as error:
        golden(FOLDER / f"{name}.err", "\n".join(map(full, error.diagnostics)))
    else:
        golden(FOLDER / f"{name}.out", "\n".join([statement, *_lines(program)]) + "\n")


def test_each_method_has_one_golden_and_none_is_orphaned() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == list(library.names())


def _statement(name: str) -> str:
    method = library.method(name)
    call = f"{name}{ARGUMENTS.get(name, '')}"
    return call if method is None else f"{call}{PLACES[method.site]}"


def _lines(program: Program) -> Iterator[str]:
    for planned in program.plan.attachments:
        yield from _verdict(planned)
    yield from _tuned(program.plan)
    for part in parts(program, program.plan.modules):
        yield from (f"\n{part.path}, {part.title}", *part.reads) if _is_around(program) else ()
        for heading, (_, lines) in zip(("the formula", "as it runs"), part.stages[1:], strict=True):
            yield f"\n{heading}"
            yield from _listed(lines)


def _is_around(program: Program) -> bool:
    """Some patch stands around linear maps, and takes values that others compute."""
    return any(not isinstance(p.facts, LinearFacts) for p in program.plan.modules)


def _verdict(planned: Planned) -> Iterator[str]:
    verdict = planned.verdict
    merges = "merges" if verdict.merges else "does not merge"
    yield f"identity {verdict.identity}, {merges}, needs {verdict.needs} of the base weight"
    for tensor in planned.tensors:
        kind = "frozen" if tensor.frozen else "trains"
        shape = ", ".join(map(str, tensor.shape))
        yield f"{kind} {planned.path(tensor)} [{shape}]"


def _tuned(plan: Plan) -> Iterator[str]:
    for tuned in plan.tuned:
        yield f"trains {tuned.name}, {tuned.size} values of the model's own"


def _listed(lines: tuple[Line, ...]) -> Iterator[str]:
    widths = (max(len(line.name) for line in lines), max(len(line.expression) for line in lines))
    for line in lines:
        text = f"  {line.name:{widths[0]}} = {line.expression:{widths[1]}}  {line.shape}"
        yield text.rstrip()
