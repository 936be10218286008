"""The living model and the traced graph compute the same, and give every tensor one gradient."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache, partial

import pytest
import torch
from torch import Tensor, nn

import pefc
from pefc.compiler.plan import planner as planning

from ..models import bert, gpt2, llama, perturb, sdpa, words
from ..runtime.prompt_models import t5
from .models import vit

AROUND = """
adapter(r=2) on attn, xattn?
adapter(form=pfeiffer, r=2) on ffn
parallel_adapter(r=2) on attn
compacter(r=4, n=2) on ffn
loreft(r=2) on layer
lora(r=2) on attn
prefix(len=3) on attn, xattn?
llama_adapter(len=2) on attn
prefix(len=2, init=zero) on attn as gated
adapterdrop(0..2, eval=1) {
  adapter(r=2) on ffn as late
  lora(r=2) on ffn as inner
}
"""
GATED = """
gate(unipelt) {
  dora(r=2) on ffn.down
  lora(r=2) on linear
  adapter(r=2) on ffn, attn
  prefix(len=3) on attn
}
ia3 on attn.{k,v}
"""
TOKENS = """
prompt(len=3)
p_tuning(len=2, h=4)
p_tuning(len=2, h=4, encoder=lstm) as recurrent
prefix(len=2, mlp=4) on attn as moved
direft(r=2) on ffn
"""


def inputs(model: nn.Module) -> dict[str, Tensor]:
    """All that a trace of the model asks for."""
    if type(model).__name__ == "ViTModel":
        generator = torch.Generator().manual_seed(15)
        return {"pixel_values": torch.randn(2, 3, 8, 8, generator=generator).double()}
    ids = words()
    given = {"input_ids": ids}
    if hasattr(model, "config"):
        given["attention_mask"] = torch.ones_like(ids)
        given["attention_mask"][0, -2:] = 0
    if type(model).__name__.startswith("T5"):
        given["decoder_input_ids"] = words(length=9)
    return given


def first(output: object) -> Tensor:
    if isinstance(output, Tensor):
        return output
    found = output.get("logits", output.get("last_hidden_state"))  # type: ignore[attr-defined]
    assert isinstance(found, Tensor)
    return found


def with_gradients(
    run: Callable[..., object], model: nn.Module
) -> tuple[Tensor, dict[str, Tensor]]:
    """The output, and the gradient of all that trains."""
    output = first(run(**inputs(model)))
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    loss = output.square().mean()
    found = torch.autograd.grad(loss, list(trained.values()), materialize_grads=True)
    return output.detach(), dict(zip(trained, found, strict=True))


@pytest.fixture(scope="module", autouse=True)
def _models_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "find_sites", cache(planning.find_sites))
        yield


def assert_linkers_agree(base: nn.Module, spec: str) -> None:
    plan = pefc.compile(spec, base).plan
    model = deepcopy(base)
    program = pefc.Program(plan, model)
    graph = program.graph
    program.apply()
    perturb(model)
    output, gradients = with_gradients(model, model)
    assert (output - first(base(**inputs(base)))).abs().max() > 1e-3
    found, others = with_gradients(graph, model)
    assert (found - output).abs().max() <= 1e-12 * output.abs().max()
    largest = max(gradient.abs().max() for gradient in gradients.values())
    assert largest > 0
    for name, gradient in gradients.items():
        assert (others[name] - gradient).abs().max() <= 1e-11 * largest, name


@pytest.mark.parametrize(
    "build", [llama, gpt2, bert, t5, vit, sdpa], ids=lambda build: build.__name__
)
def test_both_linkers_agree(build: Callable[[], nn.Module]) -> None:
    base = build().double()
    assert_linkers_agree(base, AROUND if build is vit else AROUND + TOKENS)


ONE_LAYER = {build.__name__: partial(build, layers=1) for build in (llama, gpt2, bert)}
"""Gates of a layer look at no other; the trace takes as long as there are layers."""


@pytest.mark.parametrize("name", [*ONE_LAYER, "t5", "vit"])
def test_both_linkers_agree_about_padding(name: str) -> None:
    build = {**ONE_LAYER, "t5": t5, "vit": vit}[name]
    assert_linkers_agree(build().double(), GATED)
