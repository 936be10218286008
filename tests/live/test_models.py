"""What users do with a model goes on working: copies, conversion, files, compilation."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from transformers import LlamaForCausalLM

import pefc

from ..models import BUILDERS, gpt2, llama, neox, output, perturb, words

SPEC = "lora(r=2) on attn.{q,v}; vera(r=2) on ffn; ia3 on attn.k; dora(r=2) on attn.o"
EXACT = "lora(r=2) on attn.{q,v}; vera(r=2) on ffn; ia3 on attn.k"


def generated(model: nn.Module, *, cache: bool) -> torch.Tensor:
    torch.manual_seed(0)
    return model.generate(
        words(),
        max_new_tokens=8,
        do_sample=False,
        use_cache=cache,
        pad_token_id=1,
        eos_token_id=None,
    )


@pytest.mark.parametrize("build", [llama, gpt2, neox], ids=lambda build: build.__name__)
def test_generation_with_and_without_a_cache(build: Callable[[], nn.Module]) -> None:
    model = build()
    base = generated(model, cache=True)
    pefc.apply(EXACT, model)
    assert torch.equal(generated(model, cache=True), base)
    perturb(model)
    found = generated(model, cache=True)
    assert torch.equal(found, generated(model, cache=False))
    assert not torch.equal(found, base)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_keys_of_the_base_stay(build: Callable[[], nn.Module]) -> None:
    model = build()
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pefc.apply(SPEC, model)
    kept = [name for name in model.state_dict() if name in base]
    assert kept == list(base)
    result = model.load_state_dict(base, strict=False)
    assert not result.unexpected_keys
    assert set(result.missing_keys) == set(model.state_dict()) - set(base)
    perturb(model)
    state = deepcopy(model.state_dict())
    fresh = pefc.apply(SPEC, build())
    fresh.load_state_dict(state)
    assert torch.equal(output(fresh), output(model))


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_a_copy_is_a_model_of_its_own(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = pefc.apply(SPEC, build())
    perturb(model)
    before = output(model)
    copy = deepcopy(model)
    assert torch.equal(output(copy), before)
    for name, buffer in copy.named_buffers():
        if name.startswith("vera."):
            buffer.mul_(2)
    assert not torch.equal(output(copy), before)
    perturb(copy, seed=8)
    assert torch.equal(output(model), before)
    changed = output(copy)
    pefc.save(copy, tmp_path)
    pefc.merge(copy)
    torch.testing.assert_close(output(copy), changed, rtol=1e-3, atol=1e-3)
    assert torch.equal(output(model), before)
    pefc.remove(model)
    assert torch.equal(output(model), output(build()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_conversion_reaches_every_tensor(
    build: Callable[[], nn.Module], dtype: torch.dtype
) -> None:
    model = pefc.apply(SPEC, build())
    perturb(model)
    expected = output(model)
    model.to(dtype)
    assert {t.dtype for t in model.parameters()} == {dtype}
    found = output(model)
    assert found.dtype == dtype
    close = 0.1 if dtype == torch.bfloat16 else 1e-4
    assert (found - expected).abs().max() <= close * expected.abs().max()


def test_a_model_moves_to_meta_and_back() -> None:
    model = pefc.apply(SPEC, llama())
    perturb(model)
    expected = output(model)
    state = deepcopy(model.state_dict())
    model.to("meta")
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.state_dict().values()))
    moved = pefc.apply(SPEC, llama())
    moved.load_state_dict(state)
    assert torch.equal(output(moved), expected)


def test_a_saved_model_loads_as_its_base(tmp_path: Path) -> None:
    model = llama()
    base = output(model)
    pefc.apply(SPEC, model)
    perturb(model)
    model.save_pretrained(tmp_path / "model")
    pefc.save(model, tmp_path / "adapter")
    fresh = LlamaForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert torch.equal(output(fresh), base)
    assert torch.equal(output(pefc.load(fresh, tmp_path / "adapter")), output(model))


def test_a_merged_model_saves_as_any_other(tmp_path: Path) -> None:
    model = pefc.apply(SPEC, llama())
    perturb(model)
    pefc.merge(model).save_pretrained(tmp_path)
    fresh = LlamaForCausalLM.from_pretrained(tmp_path).eval()
    assert list(fresh.state_dict()) == list(llama().state_dict())
    assert torch.equal(output(fresh), output(model))


@pytest.mark.parametrize("build", [llama, gpt2], ids=lambda build: build.__name__)
def test_the_whole_model_compiles_as_one_graph(build: Callable[[], nn.Module]) -> None:
    torch._dynamo.reset()
    model = pefc.apply(f"{SPEC}; lora(r=2, dropout=0.1) on ffn.down", build())
    perturb(model)
    expected = output(model)
    counter = CompileCounter()
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    found = compiled(words(), use_cache=False).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert counter.frame_count == 1


# Between compiled layers, hidden states are no leaves, and torch looks at their gradient.
between_layers = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")


def compilations(model: nn.Module) -> int:
    """How many graphs it takes to compile every layer by itself and run all of them."""
    torch._dynamo.reset()
    expected = output(model)
    counter = CompileCounter()
    for layer in model.model.layers:
        layer.compile(fullgraph=True, backend=counter)
    torch.testing.assert_close(output(model), expected, rtol=1e-4, atol=1e-4)
    return counter.frame_count


def test_one_compiled_layer_serves_all_of_them_in_inference() -> None:
    model = pefc.apply(SPEC, llama(layers=4))
    perturb(model)
    with torch.no_grad():
        assert compilations(model) == compilations(llama(layers=4)) == 1


@between_layers
def test_one_compiled_layer_serves_all_of_them_in_training() -> None:
    """The first layer alone reads what needs no gradient, unless it is asked for one."""
    model = pefc.apply(SPEC, llama(layers=5))
    perturb(model)
    assert compilations(model) == 2
    model.enable_input_require_grads()
    assert compilations(model) == 1


def test_layers_with_two_specs_compile_twice() -> None:
    spec = "lora(r=2) on linear in layers 0..1; dora(r=4) on attn in layers 2..3"
    model = pefc.apply(spec, llama(layers=4))
    perturb(model)
    with torch.no_grad():
        assert compilations(model) == 2


def test_planning_and_applying_need_no_weights() -> None:
    model = llama().to("meta")
    pefc.apply(SPEC, model)
    assert all(parameter.is_meta for parameter in model.parameters())
    pefc.remove(model)
    assert list(model.state_dict()) == list(llama().state_dict())


class Fused(nn.Module):
    """A layer whose weights torch hands to one kernel, in inference, without calling its maps."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(24, 4, 48, dropout=0.0, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_a_fused_kernel_does_not_pass_a_patch_by() -> None:
    torch.manual_seed(0)
    model = Fused().eval()
    x = torch.randn(2, 5, 24)
    base = model(x)
    pefc.apply("lora(r=2) on ffn", model)
    perturb(model)
    found = model(x)
    assert (found - base).abs().max() > 0.01
    with torch.no_grad():
        torch.testing.assert_close(model(x), found)
    torch.testing.assert_close(model.train()(x), found)
    pefc.merge(model.eval())
    torch.testing.assert_close(model(x), found, rtol=1e-4, atol=1e-5)


def test_hooks_on_a_module_go_on_running() -> None:
    model = llama()
    seen: list[int] = []
    projection = model.model.layers[0].self_attn.q_proj
    projection.register_forward_hook(lambda *_: seen.append(1))
    pefc.apply("lora(r=2) on attn.q", model)
    output(model)
    pefc.remove(model)
    output(model)
    assert len(seen) == 2


def test_a_patched_module_is_still_of_its_class() -> None:
    model = pefc.apply("lora(r=2) on attn.q", llama())
    projection = model.model.layers[0].self_attn.q_proj
    other = model.model.layers[1].self_attn.q_proj
    assert isinstance(projection, nn.Linear)
    assert type(projection).__name__ == "Linear"
    assert type(projection) is type(other)
