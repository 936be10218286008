"""What each method of the library becomes on one map, 48 → 32 with a bias: graph/NAME.out.

Where it does not compile, graph/NAME.err says what a user reads.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import pefc
from pefc.compiler import planning
from pefc.compiler.listing import Line, listing
from pefc.compiler.plan import Plan, Planned
from pefc.compiler.program import Program
from pefc.dsl import library
from pefc.dsl.render import full

from ..models import Pair, pair

FOLDER = Path(__file__).parent / "graph"
ARGUMENTS = {"c3a": "(size=16)", "oft": "(size=4)"}
"""For methods whose defaults do not fit the map."""
PLACES = {
    "linear": " on linear",
    "any": " on linear",
    "norm": " on norm",
    "block": " on ffn",
    "attention": " all layers",
    "tokens": "",
}


@pytest.fixture(scope="module")
def model() -> Iterator[Pair]:
    """The model, whose sites are looked for once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "find_sites", cache(planning.find_sites))
        yield pair()


@pytest.mark.parametrize("name", library.names())
def test_method(name: str, model: Pair, golden: Callable[[Path, str], None]) -> None:
    statement = _statement(name)
    try:
        program = pefc.compile(pefc.parse(f"{statement}\n", name="train.peft"), model)
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
    for patched in program.plan.modules:
        yield "\nthe formula"
        yield from _listed(listing(program.patches.plain(patched)))
        yield "\nas it runs"
        yield from _listed(listing(program.patches.fast(patched)))


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
