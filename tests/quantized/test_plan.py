"""What a plan says of weights that are quantized, and of those that stay."""

from collections.abc import Callable

import pytest
from rich.console import Console
from torch import nn

import pefc
from pefc.cli.views.plan import plan_view
from pefc.compiler.plan.as_json import report

from ..models import bert, gpt2, llama


def tied() -> nn.Module:
    return llama(tied=True)


STAYS = {
    llama: "head 1, embeddings",
    tied: "head 1 (tied to model.embed_tokens), embeddings",
    gpt2: "head 1 (tied to transformer.wte), embeddings",
    bert: "other 1, embeddings",
}
BIASES = {llama: 0, tied: 0, gpt2: 8, bert: 12}


def shown(plan: pefc.Plan, model: nn.Module) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        for part in plan_view(plan, model):
            console.print(part)
    return capture.get()


@pytest.mark.parametrize("build", STAYS, ids=lambda build: build.__name__)
def test_ties_biases_and_what_stays(build: Callable[[], nn.Module]) -> None:
    model = build()
    plan = pefc.plan("qlora(r=2)", model)
    text, document = shown(plan, model), report(plan)
    assert f"in floating point: {STAYS[build]}" in text
    assert (f"{BIASES[build]} biases stay" in text) == bool(BIASES[build])
    quantized: list[dict[str, object]] = document["quantized"]  # pyright: ignore[reportAssignmentType]
    assert sum(bool(each["bias"]) for each in quantized) == BIASES[build]
    assert not any(each["there"] for each in quantized)
    (left,) = document["floating"]  # pyright: ignore[reportGeneralTypeIssues]
    path = "pooler.dense" if build is bert else "lm_head"
    paths = {llama: None, bert: None, tied: "model.embed_tokens", gpt2: "transformer.wte"}
    role = None if build is bert else "head"
    assert left == {"site": path, "role": role, "bias": build is bert, "tied": paths[build]}


def test_what_arrived_is_told_from_what_comes() -> None:
    model = pefc.apply("quantize(nf4) on attn.q", llama())
    plan = pefc.plan("quantize(nf4) on linear", model)
    quantized: list[dict[str, object]] = report(plan)["quantized"]  # pyright: ignore[reportAssignmentType]
    there = {each["site"] for each in quantized if each["there"]}
    assert there == {f"model.layers.{layer}.self_attn.q_proj" for layer in range(2)}
    assert "2 arrived in this form" in shown(plan, model)


def test_a_plan_without_quantized_weights_lists_none() -> None:
    assert report(pefc.plan("lora(r=2) on attn.q", llama()))["floating"] == []
