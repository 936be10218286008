"""A layer and a whole model with prefixes, adapters or prompts compile as one graph."""

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

import pefc

from ..models import bert, gpt2, llama, perturb, sdpa
from ..runtime.prompt_models import mistral, t5
from .tuned import ATTENTION, COMBINED, LEFT, SPECS, Build, assert_near, output, tuned

LAYERS = {
    llama: "model.layers.1",
    mistral: "model.layers.1",
    gpt2: "transformer.h.1",
    t5: "decoder.block.1",
    bert: "encoder.layer.1",
    sdpa: "s.1",
}
OTHERS = (mistral, gpt2, t5, bert, sdpa)
ALONE = ("mlp", "zero", "adapter", "p_tuning", "combined")
WHOLE = [pytest.param(llama, SPECS[name], id=f"llama-{name}") for name in ALONE]
WHOLE += [pytest.param(build, COMBINED, id=build.__name__) for build in OTHERS]
PARTS = [pytest.param(llama, spec, id=f"llama-{name}") for name, spec in ATTENTION.items()]
PARTS += [pytest.param(build, COMBINED, id=build.__name__) for build in OTHERS]


def trained(model: nn.Module, result: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    result.square().sum().backward()
    tensors = {name: p for name, p in model.named_parameters() if p.requires_grad}
    found = {name: p.grad for name, p in tensors.items() if p.grad is not None}
    assert found.keys() == tensors.keys()
    return found


@pytest.mark.parametrize(("build", "spec"), WHOLE)
def test_a_model(build: Build, spec: str) -> None:
    torch.compiler.reset()
    model, compiled = tuned(build, spec), tuned(build, spec)
    given = {} if build is sdpa else {"attention_mask": LEFT}
    counter = CompileCounter()
    compiled.compile(fullgraph=True, backend=counter)
    expected, found = output(model, **given), output(compiled, **given)
    assert_near(found, expected)
    gradients = trained(model, expected)
    largest = max(gradient.abs().max().item() for gradient in gradients.values())
    for name, gradient in trained(compiled, found).items():
        assert_near(gradient, gradients[name], 1e-13 * largest)
    assert counter.frame_count == 1


@pytest.mark.parametrize(("build", "spec"), PARTS)
@torch.no_grad()
def test_a_layer(build: Build, spec: str) -> None:
    torch.compiler.reset()
    model = tuned(build, spec)
    expected = output(model)
    counter = CompileCounter()
    model.get_submodule(LAYERS[build]).compile(fullgraph=True, backend=counter)
    assert_near(output(model), expected)
    assert counter.frame_count == 1


# With one network for all layers, the code of each has the number of its layer in it.
@pytest.mark.parametrize("name", sorted(ATTENTION.keys() - {"mlp"}))
@torch.no_grad()
def test_one_compiled_layer_serves_all_of_them(name: str) -> None:
    torch.compiler.reset()
    model = pefc.apply(ATTENTION[name], llama(layers=4))
    perturb(model)
    expected = output(model, use_cache=False)
    counter = CompileCounter()
    for layer in model.model.layers:
        layer.compile(fullgraph=True, backend=counter)
    assert_near(output(model, use_cache=False), expected, 1e-5)
    assert counter.frame_count == 1


STAGED = """
method staged on attention {
  K: [layer + 1, kv_heads, head_dim] ~ normal(0, 1)
  V: [layer + 1, kv_heads, head_dim] ~ normal(0, 1)
  if layer > 1 {
    extend keys, values by K, V
  } else {
    extend keys, values by V, K
  }
}
staged all layers
"""


@torch.no_grad()
def test_layers_that_a_method_tells_apart_have_patches_of_their_own() -> None:
    model = pefc.apply(STAGED, llama(layers=4))
    attentions = [layer.self_attn for layer in model.model.layers]
    assert [attention.staged.K.shape[0] for attention in attentions] == [1, 2, 3, 4]
    assert len({type(attention) for attention in attentions}) == 4
    switched = pefc.apply(STAGED.replace("V, K", "K, V"), llama(layers=4))
    switched.load_state_dict(model.state_dict())
    assert not torch.equal(output(switched), output(model))
    for layer in switched.model.layers[:2]:
        staged = layer.self_attn.staged
        staged.K, staged.V = staged.V, staged.K
    assert torch.equal(output(switched), output(model))
