"""How bottlenecks start, and what a patched block keeps of the module that it was."""

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import pefc

from ..models import bert, gpt2, llama, sdpa
from ..runtime.prompt_models import t5
from .models import vit


def weights(init: str) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = pefc.apply(f"adapter(r=64, init={init}) on ffn in layers 0", llama())
    return dict(model.model.layers[0].mlp.adapter.named_parameters())


def test_zero_leaves_the_way_up_at_zero() -> None:
    found = weights("zero")
    assert not found["up.weight"].any()
    assert not found["up.bias"].any()
    assert found["down.weight"].std() > 0.05


def test_bert_is_normal_with_a_deviation_of_two_hundredths() -> None:
    for name in ("down.weight", "up.weight"):
        found = weights("bert")[name]
        # 1536 values: the deviation is known to 1.8 %, their mean to 0.0005.
        assert abs(found.std() / 0.02 - 1) < 0.1
        assert abs(found.mean()) < 0.003
        assert found.abs().max() > 0.05


def test_houlsby_is_cut_at_two_deviations_of_a_hundredth() -> None:
    for name in ("down.weight", "up.weight"):
        found = weights("houlsby")[name]
        assert 0.019 < found.abs().max() <= 0.02
        # A normal that is cut at two deviations keeps 0.88 of its deviation.
        assert abs(found.std() / 0.0088 - 1) < 0.1


SPECS = (
    "pfeiffer(r=2) on attn, ffn",
    "adapter(parallel, r=2) on ffn",
    "adapterdrop(0..1) {\n  loreft(r=2) on layer\n  lora(r=2) on ffn\n}",
    "llama_adapter(len=2) all layers",
)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(
    "build", [llama, gpt2, bert, t5, vit, sdpa], ids=lambda build: build.__name__
)
def test_modules_keep_their_signatures(build: Callable[[], nn.Module], spec: str) -> None:
    model = build()
    before = [list(inspect.signature(module.forward).parameters) for module in model.modules()]
    modules = list(model.modules())
    pefc.apply(spec, model)
    after = [list(inspect.signature(module.forward).parameters) for module in modules]
    assert after == before
    assert any(type(module).__dict__.get("pefc_base") for module in modules)


def test_a_block_returns_what_its_author_returned() -> None:
    model = pefc.apply("adapter(r=2) on attn", llama())
    seen: list[object] = []
    attention = model.model.layers[0].self_attn
    attention.register_forward_hook(lambda _module, _given, out: seen.append(out))
    model(torch.arange(2, 8)[None], output_attentions=True)
    (output,) = seen
    assert isinstance(output, tuple)
    assert len(output) == 2
