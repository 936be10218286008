"""An interrupt at any line leaves a model, or a folder, as before the call or as after it.

`make fuzz` goes through every line that a call runs, each at one of the times that it runs, and
again at other times while there is time. By default it is every line of the module where models
are changed, and a sample of the others.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter

import pytest
import torch
from torch import nn

import pefc
from pefc.compiler.state.read import read
from pefc.compiler.state.save import spec_text

from ..laws.interrupts import Campaign, Interrupt, Line, Place, chosen, lines_of
from ..laws.states import described, identities, state_of
from ..models import llama, perturb
from .seeds import IS_LONG, SECONDS, SEED

FEWEST, FEW, SOME = 8, 10, 40
"""Lines outside that module which are interrupted, of most calls and of some."""
SIGNALS = 600 if IS_LONG else 6

MANY = """
lora(r=2) on attn.q; adapter(r=2) on ffn; prefix(len=2) on attn; prompt(len=2)
adalora(r=4, target=2, steps=8) on attn.v with lr=10x
gate(unipelt) { lora(r=2) on attn.k }
adapterdrop(0..1) { ia3 on ffn }
tune on norm
"""
LORA = "lora(r=2) on attn.q"
MAPS = "dora(r=2) on attn.q; lora(r=2) on attn.v, ffn.up; tune on norm"
BITS = "quantize(nf4) on attn.q; quantize(int8) on attn.v; lora(r=2) on attn.{q,v}"
RED = "task red { lora(r=2) on attn.q; adapter(r=2) on ffn; prompt(len=2) }"
GREEN = "task green { adapter(r=3, parallel) on ffn; vera(r=2) on attn.v }"
BLUE = "task blue { adapter(r=2) on ffn }"
TWO = f"{RED}\n{GREEN}\n"
FUSED = f"{TWO}{BLUE}\nfuse(red, green, blue) on ffn\n"


def of(spec: str) -> nn.Module:
    """A model that carries a spec, away from where it starts."""
    torch.manual_seed(3)
    model = pefc.apply(spec, llama())
    perturb(model)
    return model


def merged() -> nn.Module:
    return pefc.merge(of(MAPS), loss=9.0, keep_base=True)


def naming(model: nn.Module) -> None:
    with pefc.tasks(model, ["red", None]):
        pefc.task_names(model)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that changes a model, which is made so."""

    build: Callable[[], nn.Module]
    call: Callable[..., object]
    """With the model, and with a folder where there is one."""
    saved: str | None = None
    """The spec of the adapter in that folder."""


def apply(spec: str) -> Callable[[nn.Module], object]:
    return partial(pefc.apply, spec)


def merge(**wish: object) -> Callable[[nn.Module], object]:
    return partial(pefc.merge, loss=9.0, **wish)  # pyright: ignore[reportArgumentType]


CALLS = {
    "apply": Call(llama, apply(MANY)),
    "apply over few bits": Call(llama, apply(BITS)),
    "apply over a merge": Call(merged, apply(MAPS)),
    "add tasks": Call(partial(of, FUSED), apply("task new { lora(r=2) on attn }")),
    "set_task": Call(partial(of, FUSED), lambda model: pefc.set_task(model, "red")),
    "load": Call(llama, pefc.load, MANY),
    "load a new task": Call(partial(of, TWO), partial(pefc.load, task="new"), LORA),
    "load over a task": Call(partial(of, TWO), partial(pefc.load, task="red"), RED),
    "merge": Call(partial(of, MAPS), merge()),
    "merge and keep": Call(partial(of, MAPS), merge(keep_base=True)),
    "merge into": Call(partial(of, BITS), merge(into="bf16")),
    "merge few bits": Call(partial(of, BITS), merge(requantize=True)),
    "remove": Call(partial(of, MANY), pefc.remove),
    "remove few bits": Call(partial(of, BITS), pefc.remove),
    "remove a merge": Call(merged, pefc.remove),
    "remove a task": Call(partial(of, TWO), partial(pefc.remove, task="red")),
    "tasks": Call(partial(of, FUSED), naming),
    "prune": Call(partial(of, FUSED), lambda model: pefc.prune(model, [IDS], keep=2)),
}
MOST = {"load over a task", "merge few bits", "remove"}
"""Calls of which more lines are interrupted, by default: they are quick, or have many steps."""
IDS = torch.arange(6).reshape(2, 3)
SEEN: set[Line] = set()
"""Lines of the module where models are changed that were interrupted before."""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are no errors here, and come no more than they would."""
    monkeypatch.setattr("warnings.warn", lambda *_, **__: None)


def calling(what: Call, folder: Path) -> Callable[[nn.Module], None]:
    """The call, which is the same for each model."""
    if what.saved is not None:
        pefc.save(of(what.saved), folder, resume=True)
    given = () if what.saved is None else (folder,)

    def call(model: nn.Module) -> None:
        torch.manual_seed(5)
        what.call(model, *given)

    return call


def interrupted(
    name: str,
    lines: Callable[[], Counter[Line]],
    campaign: Callable[[frozenset[Place]], Campaign],
) -> int:
    """Interrupt a call at lines, until its time is over, and return how often. The figures are
    printed.
    """
    began, faults, rounds = perf_counter(), 0, 0
    ran = lines()
    while rounds == 0 or (IS_LONG and perf_counter() - began < SECONDS / len(CALLS)):
        random = Random(f"{SEED} {name} {rounds}")  # noqa: S311  (nothing here is a secret)
        most = None if IS_LONG else SOME if name in MOST else FEW
        places = chosen(ran, random, SEEN, most)
        done = campaign(places).run()
        assert done.torn == []
        assert done.faults >= max(FEWEST, 0.75 * len(places))
        faults, rounds = faults + done.faults, rounds + 1
    print(f"{name}: {faults} interrupts at {len(ran)} lines from seed {SEED}")
    return faults


@pytest.mark.parametrize("name", CALLS)
def test_an_interrupt_at_a_line_leaves_before_or_after(name: str, tmp_path: Path) -> None:
    what = CALLS[name]
    call = calling(what, tmp_path)
    twin = what.build()

    def campaign(places: frozenset[Place]) -> Campaign:
        model = what.build()
        state, identity = partial(state_of, model), partial(identities, model)
        return Campaign(partial(call, model), state, identity, state_of(twin), places)

    assert interrupted(name, lambda: lines_of(partial(call, twin)), campaign) >= FEWEST


def test_an_interrupted_save_leaves_the_old_adapter_or_the_new_one(tmp_path: Path) -> None:
    model, old = of(MANY), of(MAPS)
    pefc.save(model, tmp_path / "other")
    folder = tmp_path / "out"

    def state(folder: Path) -> object:
        found = read(folder)
        tensors = dict(sorted(found.tensors.items()))  # safetensors names them in any order
        return spec_text(found.checked), described(tensors), state_of(model)

    def campaign(places: frozenset[Place]) -> Campaign:
        pefc.save(old, folder)
        after = state(tmp_path / "other")
        save = partial(pefc.save, model, folder)
        return Campaign(save, partial(state, folder), partial(identities, model), after, places)

    lines = partial(lines_of, partial(pefc.save, model, tmp_path / "new"))
    assert interrupted("save", lines, campaign) >= FEWEST


def interrupt(*_: object) -> None:
    raise Interrupt


@pytest.mark.parametrize(
    "name", ["tasks", "set_task", "load over a task", "merge and keep", "remove"]
)
def test_a_signal_at_any_time_leaves_before_or_after(name: str, tmp_path: Path) -> None:
    what = CALLS[name]
    call = calling(what, tmp_path)
    model, twin = what.build(), what.build()
    before, random = state_of(model), Random(13)  # noqa: S311
    start = perf_counter()
    call(twin)
    takes, after = perf_counter() - start, state_of(twin)
    for _ in range(SIGNALS):
        delay = random.uniform(1e-6, takes)
        process = os.fork()
        if process == 0:
            _interrupted_after(delay, partial(call, model))
            os._exit(state_of(model)[0] not in (before[0], after[0]))
        assert os.waitpid(process, 0)[1] == 0, delay


def _interrupted_after(delay: float, call: Callable[[], object]) -> None:
    signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        call()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupt:
        pass
