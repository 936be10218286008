"""What should train and does not is said, once, and nothing else is."""

import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

import pefc
from pefc.runtime.training.progress import STEPS

from ..laws.test_identity import calls, compiled
from ..models import llama, words
from .test_dtypes import AROUND, ON

LORA = "lora(r=4) on attn.{q,v}"


def parameters(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def steps(
    model: nn.Module, *optimizers: Optimizer, count: int = 2 * STEPS, act: Callable = lambda _: None
) -> list[str]:
    """The warnings of some steps."""
    model.train()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for number in range(count):
            act(number)
            model(words(), labels=words()).loss.backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    return [str(warning.message) for warning in found]


def told(found: list[str], *texts: str) -> None:
    """One warning with these texts in it."""
    (message,) = found
    assert "trained-in-vain" in message
    for text in texts:
        assert text in message, message


def methods() -> Iterator[str]:
    for call in calls():
        yield f"{call} on linear"
    for call in AROUND:
        yield f"{call}{ON.get(call.partition('(')[0], ' on ffn')}"
    yield "gate(unipelt) { lora(r=2) on attn.q; adapter(act=gelu) on ffn }"
    yield "adapterdrop(0..1) { lora(r=2) on attn.q }"
    yield "tune on attn.o; tune on norm; tune on head"


@pytest.mark.parametrize("spec", [*methods()])
def test_what_trains_is_not_spoken_of(spec: str) -> None:
    torch.manual_seed(0)
    model = llama()
    # Of two hidden features with `relu` all may be shut, for every token: then nothing trains.
    spec = spec.replace("peanut(r=2)", "peanut(r=8)")
    if compiled(spec, model) is None:
        return
    pefc.apply(spec, model)
    assert not steps(model, AdamW(parameters(model), lr=1e-3), count=STEPS + 1)


@pytest.mark.parametrize("kind", [AdamW, SGD])
def test_a_schedule_may_warm_up(kind: type[Optimizer]) -> None:
    model = pefc.apply(f"{LORA}; tune on norm", llama())
    optimizer = kind(parameters(model), lr=1e-3)
    schedule = LambdaLR(optimizer, lambda step: step / 1000)
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    assert not steps(model, optimizer)


def test_a_module_that_never_runs() -> None:
    model = pefc.apply(pefc.parse(f"{LORA}\nia3 on attn.k", name="a.peft"), llama())
    model.model.layers[1].forward = lambda hidden, *_, **__: hidden  # pyright: ignore[reportAttributeAccessIssue, reportGeneralTypeIssues]
    found = steps(model, AdamW(parameters(model), lr=1e-3))
    told(found, "5 tensors", "has had no gradient", "as 3 more", "a.peft:1:1", "2 | ia3 on attn.k")


def test_a_gradient_that_is_cut_off() -> None:
    model = pefc.apply("tune on head; lora(r=2) on attn.q", llama())
    model.lm_head.register_forward_pre_hook(lambda _, given: (given[0].detach(),))  # pyright: ignore[reportAttributeAccessIssue]
    told(steps(model, AdamW(parameters(model), lr=1e-3)), "4 tensors", "has had no gradient")


def test_gradients_that_are_zero() -> None:
    model = pefc.apply(LORA, llama())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("lora.A"):
                parameter.zero_()
    told(steps(model, AdamW(parameters(model), lr=1e-3)), "8 tensors", "nothing but zeros")


def test_gradients_that_are_not_finite() -> None:
    model = pefc.apply(LORA, llama())
    for parameter in parameters(model):
        parameter.register_hook(lambda gradient: gradient / 0)
    told(steps(model, SGD(parameters(model), lr=0.0)), "8 tensors", "not finite")


def test_what_is_frozen_by_hand() -> None:
    model = pefc.apply(LORA, llama())
    optimizer = AdamW(parameters(model), lr=1e-3)
    model.get_parameter("model.layers.0.self_attn.q_proj.lora.A").requires_grad_(
        requires_grad=False
    )
    told(steps(model, optimizer), "a tensor of", "layers.0.self_attn.q_proj.lora.A")


def test_an_optimizer_that_was_made_before() -> None:
    model = llama()
    optimizer = AdamW(model.parameters(), lr=1e-3)
    pefc.apply(f"{LORA}; tune on norm", model)
    told(steps(model, optimizer), "8 tensors", "is in no optimizer", "pefc.optimizer")


def test_two_optimizers_share_what_trains() -> None:
    model = pefc.apply(LORA, llama())
    halves = parameters(model)[::2], parameters(model)[1::2]
    assert not steps(model, *(AdamW(half, lr=1e-3) for half in halves))


def test_a_learning_rate_of_zero() -> None:
    model = pefc.apply(LORA, llama())
    told(steps(model, AdamW(parameters(model), lr=0.0)), "8 tensors", "has not moved")


def test_steps_that_16_bits_do_not_hold() -> None:
    spec = f"{LORA}; ia3 on attn.k with dtype=bf16; tune on norm"
    model = pefc.apply(spec, llama().bfloat16())
    optimizer = AdamW(parameters(model), lr=2e-5, weight_decay=0)
    told(steps(model, optimizer), "7 tensors", "has not moved", "with dtype=fp32")


def test_tasks_count_the_steps_in_which_they_run() -> None:
    model = pefc.apply(f"task one {{ {LORA} }}\ntask two {{ {LORA} }}", llama())
    optimizer = AdamW(parameters(model), lr=1e-3)
    pefc.set_task(model, "one")
    assert not steps(model, optimizer)
    with pefc.tasks(model, ["two", "one"]):
        assert not steps(model, optimizer, count=1)
    pefc.set_task(model, "two")
    for layer in model.model.layers:  # pyright: ignore[reportGeneralTypeIssues, reportAttributeAccessIssue]
        layer.self_attn.v_proj.register_forward_hook(lambda *call: call[-1].detach())  # pyright: ignore[reportAttributeAccessIssue]
    told(steps(model, optimizer), "2 tensors", "v_proj.two.lora.A", "has had no gradient")


def test_a_task_that_trains_in_vain() -> None:
    model = pefc.apply(f"task one {{ {LORA} }}\ntask two {{ {LORA} }}", llama())
    for layer in model.model.layers:  # pyright: ignore[reportGeneralTypeIssues, reportAttributeAccessIssue]
        layer.self_attn.v_proj.register_forward_hook(lambda *call: call[-1].detach())  # pyright: ignore[reportAttributeAccessIssue]
    pefc.set_task(model, "two")
    optimizer = AdamW(parameters(model), lr=1e-3)
    assert not steps(model, optimizer)  # of `one` nothing is known yet
    pefc.set_task(model, "one")
    told(steps(model, optimizer), "8 tensors", "v_proj.one.lora.A", "v_proj.two.lora.A")


def test_a_scaler_leaves_steps_out() -> None:
    model = pefc.apply(LORA, llama()).train()
    optimizer = AdamW(parameters(model), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(120):
            scaler.scale(model(words(), labels=words()).loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    assert all(optimizer.state[p]["step"] > STEPS for p in parameters(model))


def test_other_models_and_removed_specs_are_left_alone() -> None:
    model, other = pefc.apply(LORA, llama()), llama()
    assert not steps(other, AdamW(other.parameters(), lr=0.0))
    optimizer = AdamW(parameters(model), lr=0.0)
    pefc.remove(model)
    assert not steps(model, optimizer)


def test_it_is_said_once() -> None:
    model = pefc.apply(LORA, llama())
    optimizer = AdamW(parameters(model), lr=0.0)
    assert len(steps(model, optimizer, count=4 * STEPS)) == 1
