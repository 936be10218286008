"""Modules that stand in unusual places: in a sequence, under two names, called again."""

import gc
import linecache
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import nn
from transformers import AlbertConfig, AlbertModel, FalconConfig, FalconForCausalLM

import pefc

from ..models import gpt2, llama, perturb


def test_shared_tensors_at_the_top_of_a_sequence_change_nothing() -> None:
    model = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 4)).eval()
    x = torch.randn(3, 16)
    before = model(x)
    pefc.apply("vera(r=4) on **", model)
    assert torch.equal(model(x), before)
    perturb(model)
    assert not torch.allclose(model(x), before)
    pefc.remove(model)
    assert torch.equal(model(x), before)


class Twice(nn.Module):
    """One linear map under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(16, 16)
        self.second = self.first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).relu())


@pytest.mark.parametrize("path", ["first", "**"])
def test_a_module_under_two_names_is_patched_at_both(path: str) -> None:
    model = Twice().eval()
    x = torch.randn(3, 16)
    program = pefc.compile(f"lora(r=2) on {path}", model)
    graph = program.graph
    program.apply()
    perturb(model)
    live, traced = model(x), graph(x=x)
    torch.testing.assert_close(traced, live)


def test_layers_that_are_called_again_are_patched_at_every_call() -> None:
    config = AlbertConfig(
        embedding_size=16,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=4,
        num_hidden_layers=3,
        vocab_size=50,
    )
    model = AlbertModel(config).eval()
    tokens = {"input_ids": torch.randint(0, 50, (2, 5))}
    tokens["attention_mask"] = torch.ones_like(tokens["input_ids"])
    program = pefc.compile("lora(r=2) on attn.q, ffn.down", model)
    graph = program.graph
    program.apply()
    perturb(model)
    live = model(**tokens).last_hidden_state
    torch.testing.assert_close(graph(**tokens).last_hidden_state, live)


class Doubled(nn.Linear):
    """A linear map by class, and another one by forward."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 2 + 1


class Weighed(nn.Module):
    """Maps that are not what their class says."""

    def __init__(self) -> None:
        super().__init__()
        self.doubled = Doubled(16, 16)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(16, 16))
        self.plain = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.plain(self.normed(self.doubled(x)))


CLOSED = {
    "doubled": "`doubled` is of the class `Doubled`, which has a forward of its own",
    ":Doubled": "`doubled` is of the class `Doubled`, which has a forward of its own",
    "normed": "`normed` has a weight that is worked out anew at each call",
}


@pytest.mark.parametrize("term", CLOSED)
def test_a_forward_or_weight_of_its_own_makes_no_linear_site(term: str) -> None:
    with pytest.raises(pefc.SpecError, match="no-such-site") as caught:
        pefc.plan(f"lora(r=2) on {term}", Weighed())
    (mistake,) = caught.value.diagnostics
    assert mistake.notes() == (f"{CLOSED[term]}, so no formula can say what to change",)
    assert mistake.help().startswith("make it an `nn.Linear`")
    assert len(pefc.plan("lora(r=2) on plain", Weighed()).attachments) == 1


@pytest.mark.parametrize("around", [torch.inference_mode(), torch.device("meta"), torch.no_grad()])
def test_the_mode_and_device_of_the_caller_hide_no_site(around: AbstractContextManager) -> None:
    model = llama()
    with around:
        plan = pefc.plan("lora(r=2) on attn.q", model)
    assert {planned.site.role for planned in plan.attachments} == {"attn.q"}


def test_what_is_applied_in_inference_mode_trains() -> None:
    model = llama()
    with torch.inference_mode():
        pefc.apply("lora(r=2) on attn.q", model)
    model(torch.ones(1, 3, dtype=torch.long)).logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("detach", [pefc.remove, pefc.merge])
def test_a_model_of_inference_mode_answers_with_a_spec(
    detach: Callable[[nn.Module], nn.Module], *, within: bool
) -> None:
    """It could never train, but it can answer, and let go of the spec in that mode or after it."""
    ids = torch.ones(1, 3, dtype=torch.long)
    with torch.inference_mode():
        model = llama()
        expected = model(ids).logits
        pefc.apply("lora(r=2) on attn.q", model)
        assert torch.equal(model(ids).logits, expected)
    with torch.inference_mode(within):
        detach(model)
        torch.testing.assert_close(model(ids).logits, expected)
    assert not any("lora" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("spec", ["lora(r=2) on linear", "dora(r=2) on **.dense", "ssf on linear"])
def test_maps_of_falcon_are_linear(spec: str, new: bool) -> None:
    """Their class has a forward of its own, which adds the bias after the product."""
    model = FalconForCausalLM(
        FalconConfig(
            vocab_size=64,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_kv_heads=2,
            new_decoder_architecture=new,
            multi_query=not new,
            alibi=False,
            bias=True,
        )
    ).eval()
    tokens = torch.arange(12).view(2, 6)
    before = model(tokens).logits
    pefc.apply(spec, model)
    torch.testing.assert_close(model(tokens).logits, before, rtol=0, atol=1e-6)
    perturb(model)
    attached = model(tokens).logits.detach()
    assert not torch.allclose(attached, before, atol=1e-3)
    torch.testing.assert_close(pefc.merge(model)(tokens).logits, attached, rtol=0, atol=1e-5)


def test_the_graph_trains_what_the_spec_names_alone() -> None:
    model = llama()
    graph = pefc.compile("lora(r=2) on attn.q; tune on norm", model).graph
    trained = {name for name, p in graph.named_parameters() if p.requires_grad}
    assert all("lora" in name or "norm" in name for name in trained)
    tokens = torch.ones(1, 3, dtype=torch.long)
    graph(input_ids=tokens, attention_mask=tokens).logits.sum().backward()
    assert all("norm" in name for name, p in model.named_parameters() if p.grad is not None)
    base = dict(model.named_parameters())["model.embed_tokens.weight"]
    twin = dict(graph.named_parameters())["model.embed_tokens.weight"]
    assert twin.data_ptr() == base.data_ptr()


def test_a_long_chain_on_slices_of_one_map_compiles() -> None:
    chain = (
        "dora(r=2) on attn.q as d0; ssf on attn.q, attn.v as s0; dora(r=2) on attn.q as d1;"
        'ssf on attn.q, attn.v as s1; lora(r=2) on "attn.c_attn"; boft(size=4) on attn.v'
    )
    model = gpt2()
    tokens = torch.ones(1, 3, dtype=torch.long)
    before = model(tokens).logits
    pefc.apply(chain, model)
    torch.testing.assert_close(model(tokens).logits, before, rtol=1e-4, atol=1e-5)


def test_an_optional_term_may_have_nothing_to_tune() -> None:
    assert pefc.plan("tune bias on norm?", llama()).tuned == ()


def test_a_label_is_no_word_of_python() -> None:
    with pytest.raises(pefc.SpecError, match="label-taken"):
        pefc.plan("lora(r=2) on attn.q as class", llama())


class Encoder(nn.Module):
    """Torch's own encoder, whose attention is computed inside of torch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(9)
        self.words = nn.Embedding(20, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.layers(self.words(input_ids))


def test_prefixes_reach_the_attention_of_torch() -> None:
    model, ids = Encoder().eval(), torch.arange(10).reshape(2, 5)
    before = model(ids)
    pefc.apply("prefix(len=3) all layers", model)
    assert model(ids).shape == before.shape
    assert not torch.allclose(model(ids), before, atol=1e-3)
    model(ids).sum().backward()
    prefix = model.layers.layers[0].self_attn.prefix
    assert prefix.K.grad is not None
    assert bool(prefix.K.grad.any())
    pefc.remove(model)
    assert torch.equal(model(ids), before)


def test_a_projection_that_is_a_bare_weight_cannot_be_called() -> None:
    with pytest.raises(pefc.SpecError, match="unreachable-port"):
        pefc.plan("llama_adapter on attn", Encoder())


def test_the_text_of_a_patch_goes_with_it() -> None:
    def texts() -> int:
        gc.collect()
        return sum(name.startswith("<pefc patch") for name in linecache.cache)

    before = texts()
    model = pefc.apply("lora(r=2) on attn.q", llama())
    assert texts() > before
    pefc.remove(model)
    assert texts() == before
