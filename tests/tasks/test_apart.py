"""What tasks and their methods have of their own is told apart: drops, draws, shared tensors."""

import pytest
import torch
from torch import nn

import pefc

from ..models import llama, output, perturb
from .models import MODELS, computed, tasked

PAIRS = (
    ("prefix(len=2) on attn", "adapter(r=2) on attn"),
    ("adapter(r=2) on attn", "prefix(len=2) on attn"),
    ("lora(r=2) on attn.q", "adapter(r=2) on attn"),
)


@pytest.mark.parametrize("around", ["{}", "task one {{ {} }}"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_drops_at_one_module(first: str, second: str, around: str) -> None:
    """An attention may have patches inside and, as a block, around it."""
    dropped = f"adapterdrop(0..2, eval=2) {{ {first} }}; adapterdrop(0..1, eval=1) {{ {second} }}"
    model = pefc.apply(around.format(dropped), llama()).double()
    kept = pefc.apply(around.format(f"{second} in layers 1"), llama()).double()
    perturb(model)
    values = model.state_dict()
    kept.load_state_dict({key: values[key] for key in kept.state_dict()})
    for each in (model, kept):
        if pefc.task_names(each):
            pefc.set_task(each, "one")
    assert torch.equal(output(model), output(kept))


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_a_prompt_and_tensors_that_sites_share(name: str) -> None:
    """The prompt of BERT stands at the top of the model, where shared tensors are too."""
    body = "prompt(len=2); vera(r=2) on attn.q"
    model = tasked(name, f"task one {{ {body} }}\ntask two {{ ia3 on attn.k }}")
    single = pefc.apply(body, MODELS[name]()).double()
    values = {f".{key}".replace(".one.", "."): v for key, v in model.state_dict().items()}
    single.load_state_dict({key: values[f".{key}"] for key in single.state_dict()})
    pefc.set_task(model, "one")
    assert torch.equal(computed(model), computed(single))
    pefc.remove(model, task="one")
    assert not any(".one." in f".{key}" for key in model.state_dict())


DROPS = "adapterdrop(0..4) { adapter(r=2) on ffn }"


def test_draws_go_on_when_tasks_come_and_go() -> None:
    spec = f"task one {{ {DROPS} }}\ntask two {{ {DROPS} }}\n"

    def drawn(model: nn.Module, steps: int) -> list[int]:
        found = []
        for _ in range(steps):
            output(model)
            found.append(model.pefc_drops[-1].n)  # pyright: ignore[reportIndexIssue]
        return found

    grown, still = (pefc.apply(spec, llama(layers=4)).train() for _ in range(2))
    expected = drawn(still, 30)
    assert drawn(grown, 10) == expected[:10]
    pefc.remove(grown, task="one")
    assert drawn(grown, 10) == expected[10:20]
    pefc.apply("task three { lora(r=2) on attn.q }", grown)
    assert drawn(grown, 10) == expected[20:]


def test_the_draws_of_tasks_differ() -> None:
    model = pefc.apply(f"{DROPS}\ntask one {{ {DROPS} }}\ntask two {{ {DROPS} }}", llama(layers=4))
    drops = model.train().pefc_drops
    found = []
    for _ in range(10):
        output(model)
        found.append([drop.n for drop in drops])  # pyright: ignore[reportGeneralTypeIssues]
    assert len(set(zip(*found, strict=True))) == 3
