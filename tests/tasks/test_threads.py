"""Threads and coroutines that share a model have tasks of their own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

import pefc

from ..models import words
from .models import close, computed, tasked

NAMES = ("one", "two", "three", None)
SPECS = {
    "linear": """\
task one { lora(r=2) on attn.q }
task two { lora(r=2) on attn.q; dora(r=2) on attn.v }
task three { ia3 on attn.k }
""",
    "kept": """\
task one { adapter(parallel, r=2) on ffn; loreft(r=2) on layer }
task two { gate(unipelt) { lora(r=2) on attn.q; adapter(pfeiffer, r=2) on ffn } }
task three { prompt(len=2); llama_adapter(len=2) all layers }
""",
}
"""Patches that read nothing but what they are called with, and such as keep something of a call."""
THREADS, CALLS = 4, 6


def ids(seed: int) -> Tensor:
    """A batch of its own for each caller, with one row for each task."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, 60, (len(NAMES), 7), generator=generator)


def turned(place: int) -> tuple[str | None, ...]:
    """The tasks in another order for each caller."""
    return (*NAMES[place % 4 :], *NAMES[: place % 4])


def alone(model: nn.Module, names: tuple[str | None, ...], text: Tensor) -> Tensor:
    """What each row gives by itself, in a batch of its task alone."""
    rows = []
    for row, name in enumerate(names):
        pefc.set_task(model, name)
        rows.append(computed(model, text[row : row + 1]))
    pefc.set_task(model, None)
    return torch.cat(rows)


def together(*calls: Callable[[], object]) -> None:
    """Run every call in a thread; the first mistake of one is raised."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result(timeout=120)


@pytest.mark.parametrize("spec", SPECS)
@torch.no_grad()
def test_threads(spec: str) -> None:
    model = tasked("llama", SPECS[spec])
    wanted = [alone(model, turned(place), ids(place)) for place in range(THREADS)]
    pefc.set_task(model, "three")
    active = computed(model)
    barrier = threading.Barrier(THREADS + 1)

    def named(place: int) -> None:
        for _ in range(CALLS):
            with pefc.tasks(model, turned(place)):
                barrier.wait(60)
                found = computed(model, ids(place))
            close(found, wanted[place], 1e-10)

    def unnamed() -> None:
        for _ in range(CALLS):
            barrier.wait(60)
            close(computed(model), active, 1e-10)

    together(unnamed, *(lambda place=place: named(place) for place in range(THREADS)))
    assert torch.equal(computed(model), active)


@pytest.mark.parametrize("spec", SPECS)
def test_coroutines(spec: str) -> None:
    model = tasked("llama", SPECS[spec])
    with torch.no_grad():
        wanted = [alone(model, turned(place), ids(place)) for place in range(THREADS)]

    async def named(place: int) -> None:
        for _ in range(CALLS):
            with pefc.tasks(model, turned(place)):
                await asyncio.sleep(0)
                with torch.no_grad():
                    found = computed(model, ids(place))
                close(found, wanted[place], 1e-10)
                with pefc.tasks(model, ["one"]):
                    await asyncio.sleep(0)
                with torch.no_grad():
                    close(computed(model, ids(place)), wanted[place], 1e-10)

    async def main() -> None:
        await asyncio.gather(*map(named, range(THREADS)))

    before = computed(model)
    asyncio.run(main())
    assert torch.equal(computed(model), before)


def test_a_thread_begins_with_the_task_of_the_model() -> None:
    model = tasked("llama", SPECS["linear"])
    pefc.set_task(model, "one")
    found: list[Tensor] = []
    expected = computed(model)
    with pefc.tasks(model, ["two", "three", None, None]):
        together(lambda: found.append(computed(model)))
    assert torch.equal(found[0], expected)
    assert torch.equal(computed(model), expected)


def test_threads_that_train_with_checkpointing() -> None:
    """Layers run again with the tasks of their call, whatever other threads have named by then."""
    model = tasked("llama", SPECS["kept"].replace("prompt(len=2); ", ""))
    model.train()
    model.activation_checkpointing_enable({"use_reentrant": False})  # pyright: ignore[reportCallIssue]
    trained = [p for p in model.parameters() if p.requires_grad]

    def gradients(place: int) -> list[Tensor]:
        with pefc.tasks(model, turned(place)):
            loss = computed(model, ids(place)).square().mean()
        return [
            torch.zeros_like(p) if g is None else g
            for p, g in zip(
                trained, torch.autograd.grad(loss, trained, allow_unused=True), strict=True
            )
        ]

    wanted = [gradients(place) for place in range(THREADS)]

    def run(place: int) -> None:
        for _ in range(CALLS):
            for found, expected in zip(gradients(place), wanted[place], strict=True):
                torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)

    together(*(lambda place=place: run(place) for place in range(THREADS)))


@torch.no_grad()
def test_generations_in_threads() -> None:
    """Each text keeps the gates that its first part has set, whatever is decoded beside it."""
    model = tasked("llama", SPECS["kept"].replace("prompt(len=2); ", ""))

    def generated(place: int) -> Tensor:
        with pefc.tasks(model, turned(place)):
            return model.generate(ids(place), max_new_tokens=5, do_sample=False, num_beams=2)  # pyright: ignore[reportCallIssue]

    wanted = [generated(place) for place in range(THREADS)]

    def run(place: int) -> None:
        for _ in range(2):
            assert torch.equal(generated(place), wanted[place])

    together(*(lambda place=place: run(place) for place in range(THREADS)))


@torch.no_grad()
def test_texts_that_take_turns() -> None:
    model = tasked("llama", "task one { gate(unipelt) { lora(r=2) on attn.q } }")
    pefc.set_task(model, "one")
    texts = [words(rows=1, length=9), ids(5)[:1]]
    whole = []
    for text in texts:
        first = model(text[:, :6], use_cache=True)
        whole.append(model(text[:, 6:], past_key_values=first.past_key_values).logits)
    caches = [model(text[:, :6], use_cache=True).past_key_values for text in texts]
    for text, cache, expected in zip(texts, caches, whole, strict=True):
        close(model(text[:, 6:], past_key_values=cache).logits, expected)


def test_a_copy_has_names_of_its_own() -> None:
    model = tasked("llama", SPECS["linear"])
    expected = computed(model)
    with pefc.tasks(model, ["one", "two", None, None]):
        copied = deepcopy(model)
        assert torch.equal(computed(copied), expected)
        with pefc.tasks(copied, ["two", "one", None, None]):
            swapped = computed(copied)
        named = computed(model)
    assert not torch.equal(named, swapped)
    assert torch.equal(computed(copied), expected)


def test_tasks_that_come_while_rows_are_named() -> None:
    model = tasked("llama", SPECS["linear"])
    with pefc.tasks(model, ["one", "two", None, None]):
        before = computed(model)
        pefc.apply("task four { lora(r=2) on ffn }", model)
        close(computed(model), before)
    assert model.__dict__["pefc_tasks"].rows is None
