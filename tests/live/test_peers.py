"""What other tools take without a word, or get wrong: here it is an error that says so."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import MixtralConfig, MixtralForCausalLM

import pefc
from pefc.dsl.diagnostics.report import Diagnostic

from ..laws.snapshots import Snapshot
from ..models import Pair, llama, output, pair, perturb, plain


def mistakes(spec: str, model: nn.Module) -> tuple[Diagnostic, ...]:
    """What `apply` says of a spec; the model must stay as it was, flags and all."""
    before = Snapshot.of(model)
    with pytest.raises(pefc.SpecError) as caught:
        pefc.apply(spec, model)
    before.assert_same(model)
    return caught.value.diagnostics


def marked(diagnostic: Diagnostic) -> str:
    """The text that a diagnostic points at."""
    span = diagnostic.labels()[0].span
    assert span is not None
    return span.text


def told(spec: str, model: nn.Module) -> list[tuple[str, str]]:
    return [(found.code(), marked(found)) for found in mistakes(spec, model)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("lora(r=2) on attn.q, attn.v, mlp.up_prj", ("unmatched-selector", "mlp.up_prj")),
        (
            "lora(r=2) on self_attn.{q_proj,w_proj}",
            ("unmatched-selector", "self_attn.{q_proj,w_proj}"),
        ),
        ("lora(r=2) on attn.q in layers 0..5", ("layer-out-of-range", "5")),
        ("lora(r=2) on attn.q in layers 0, 7", ("layer-out-of-range", "7")),
        ("lora(r=2) on attn.q\ntune on heads", ("unmatched-selector", "heads")),
        ("lora(r=2) on attn.q, attn.v expect 5", ("expect-mismatch", "on attn.q, attn.v")),
        ("lora(r=2)", ("missing-target", "lora(r=2)")),
        ("lora(r=-3) on attn.q", ("not-positive", "-3")),
        ("lora(r=8, r=16) on attn.q", ("repeated-argument", "r=16")),
        ("lora(r=8) on attn.qq", ("unmatched-selector", "attn.qq")),
        ("adalora(r=8) on attn.q", ("missing-argument", "adalora(r=8)")),
    ],
    ids=[
        "a typo among targets",
        "a dead branch of a pattern",
        "a range beyond the layers",
        "a layer that is not there",
        "a typo in what is trained",
        "another number of sites",
        "no target",
        "a negative rank",
        "an argument twice",
        "a role that is not there",
        "a training of unknown length",
    ],
)
def test_a_mistake_is_an_error_at_its_place(spec: str, expected: tuple[str, str | None]) -> None:
    ((code, place),) = told(spec, llama())
    assert code == expected[0]
    assert expected[1] in (place, None)


def test_the_name_of_an_unknown_task_is_an_error() -> None:
    spec = "task sst { lora on attn.q }\nfuse(sst, mlni) on ffn"
    assert ("unknown-task", "mlni") in told(spec, llama())


def test_a_failed_apply_attaches_and_trains_nothing() -> None:
    model = llama().requires_grad_(False)
    told("lora(r=2) on attn.q\nia3 on attn.k\nlora(r=2) on attn.kk", model)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any("lora" in name for name, _ in model.named_modules())
    pefc.apply("lora(r=2) on attn.q", model)


def test_an_adapter_of_more_layers_is_refused(tmp_path: Path) -> None:
    pefc.save(pefc.apply("lora(r=2) on attn.q", llama(layers=4)), tmp_path)
    assert _refusal(tmp_path, llama()) == "other-base"


def test_an_adapter_of_layers_that_are_not_there_is_refused(tmp_path: Path) -> None:
    pefc.save(pefc.apply("lora(r=2) on attn.q in layers 2..3", llama(layers=4)), tmp_path)
    assert _refusal(tmp_path, llama()) == "other-base"


def test_another_base_of_the_same_shape_is_refused(tmp_path: Path) -> None:
    pefc.save(pefc.apply("lora(r=2) on attn.q", llama()), tmp_path)
    other = llama()
    with torch.no_grad():
        other.model.layers[1].mlp.down_proj.weight.add_(0.01)
    assert _refusal(tmp_path, other) == "other-base"


def _refusal(folder: Path, model: nn.Module) -> str:
    """Return the code with which a model, which stays as it was, takes no adapter."""
    before = Snapshot.of(model)
    with pytest.raises(pefc.SpecError) as caught:
        pefc.load(model, folder)
    before.assert_same(model)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code()


def test_tied_embeddings_are_not_saved(tmp_path: Path) -> None:
    model = pefc.apply("lora(r=2) on attn.q", llama(tied=True))
    pefc.save(model, tmp_path)
    saved = load_file(tmp_path / "adapter.safetensors")
    assert {name.rpartition(".lora.")[2] for name in saved} == {"A", "B"}
    assert sum(value.numel() for value in saved.values()) == 2 * 2 * (24 + 24)
    embedding = 4 * model.model.embed_tokens.weight.numel()
    assert (tmp_path / "adapter.safetensors").stat().st_size < embedding


def mixtral() -> MixtralForCausalLM:
    torch.manual_seed(9)
    config = MixtralConfig(
        vocab_size=64,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        max_position_embeddings=32,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return MixtralForCausalLM(config).eval()


def test_lora_on_a_mixture_of_experts() -> None:
    model = mixtral()
    plan = pefc.plan("lora(r=2) on attn.{q,v}", model)
    assert [term.matched for term in plan.terms] == [4]
    roles = {site.role for site in plan.table.sites}
    assert {"moe.router", "moe.up", "moe.gate", "moe.down"} <= roles
    for term in ("moe.router", "moe.up", "ffn"):
        (found,) = mistakes(f"lora(r=2) on attn.q, {term}", model)
        assert (found.code(), marked(found)) == ("no-such-site", term)
        assert "`param`" in found.labels()[0].text


class Layer(nn.Module):
    """Attention whose values may be its keys, as in every other layer of some models."""

    def __init__(self, *, values: bool) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.o_proj = (nn.Linear(24, 24) for _ in range(3))
        self.v_proj = nn.Linear(24, 24) if values else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        keys = self.k_proj(x)
        values = keys if self.v_proj is None else self.v_proj(x)
        scores = self.q_proj(x) @ keys.transpose(-1, -2)
        return x + self.o_proj(torch.softmax(scores, -1) @ values)


class Uneven(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(10)
        self.embed = nn.Embedding(64, 24)
        self.layers = nn.ModuleList(Layer(values=number != 1) for number in range(3))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x)
        return x


def test_a_module_that_some_layers_lack() -> None:
    model = Uneven()
    plan = pefc.plan("lora(r=2) on v_proj, q_proj", model)
    assert [(term.text, term.matched) for term in plan.terms] == [("v_proj", 2), ("q_proj", 3)]
    ((code, place),) = told("lora(r=2) on v_proj expect 3", model)
    assert (code, place) == ("expect-mismatch", "on v_proj")
    values = [planned.site.path for planned in pefc.plan("lora on attn.v", model).attachments]
    assert values == ["layers.0.v_proj", "layers.1.k_proj", "layers.2.v_proj"]


def test_a_model_that_is_no_transformer_merges() -> None:
    model = pefc.apply("lora(r=2) on linear", pair())
    assert isinstance(model, Pair)
    perturb(model)
    x = torch.randn(3, 48, generator=torch.Generator().manual_seed(0))
    expected = model(x)
    assert torch.allclose(pefc.merge(model)(x), expected, atol=1e-4, rtol=1e-5)


def test_what_is_trained_is_what_is_named() -> None:
    model = plain()
    before = output(model)
    pefc.apply("lora(r=2) on attn.q", model)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {"a.lora.A", "a.lora.B"}
    assert torch.equal(output(model), before)
