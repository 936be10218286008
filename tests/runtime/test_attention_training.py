from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .prefixed import attentions, bert, gpt2, llama, patched, referring, seeded, t5

Make = Callable[[], PreTrainedModel]
IDS = torch.randint(1, 64, (2, 9), generator=torch.Generator().manual_seed(2))


def output(model: nn.Module) -> Tensor:
    if model.config.is_encoder_decoder:
        return model(input_ids=IDS, decoder_input_ids=IDS[:, :5])[0]
    return model(input_ids=IDS)[0]


def gradients(model: nn.Module) -> list[Tensor]:
    model.zero_grad()
    output(model).square().sum().backward()
    return [module.prefix.grad for module in attentions(model)]


@pytest.mark.parametrize("make", [llama, gpt2, bert, t5])
def test_gradients_are_those_of_the_reference(make: Make) -> None:
    model = seeded(make)
    expected = gradients(referring(model))
    torch.testing.assert_close(gradients(patched(model)), expected, rtol=1e-5, atol=1e-5)
    assert all(gradient.abs().max() > 1e-3 for gradient in expected)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("make", [llama, gpt2, t5])
def test_checkpointing_changes_no_gradient(make: Make, reentrant: bool) -> None:
    model = patched(seeded(make)).train()
    expected = gradients(model)
    model.activation_checkpointing_enable({"use_reentrant": reentrant})
    calls = []
    attentions(model)[0].register_forward_hook(lambda *_: calls.append(1))
    torch.testing.assert_close(gradients(model), expected, rtol=1e-12, atol=1e-12)
    assert len(calls) == 2


@pytest.mark.parametrize(("make", "implementation"), [(llama, "sdpa"), (bert, "eager")])
def test_a_model_compiles_in_one_graph(make: Make, implementation: str) -> None:
    model = patched(seeded(make))
    model.set_attn_implementation(implementation)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(output(compiled), output(model), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [llama, bert])
def test_a_model_can_be_exported(make: Make) -> None:
    model = patched(seeded(make))
    given = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
    given |= {"use_cache": False} if make is llama else {}
    program = torch.export.export(model, (), given, strict=False)
    actual = program.module()(**given)[0]
    torch.testing.assert_close(actual, model(**given)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@torch.no_grad()
def test_prefixes_of_32_bits_run_in_half_precision(implementation: str) -> None:
    model = seeded(llama, torch.float32)
    tuned = patched(model)
    tuned.set_attn_implementation(implementation)
    seen = []
    attentions(tuned)[0].o_proj.register_forward_pre_hook(lambda _, x: seen.append(x[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        actual = output(tuned)
    exact = output(tuned)
    assert seen == [torch.bfloat16, torch.float32]
    # Eight bits of mantissa, through two layers.
    assert (actual - exact).abs().max() < 2**-5 * exact.abs().max()
    assert (actual - output(model)).abs().max() > 2**-3 * exact.abs().max()
