"""Roles in modules that nobody's table knows, and promises about the model looked at."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from pefc.compiler.model.sites import SiteTable
from pefc.compiler.roles.find_sites import find_sites
from tests.work import calls

WIDTH, HEADS = 16, 2


class Mixing(nn.Module):
    """Attention; which of its maps is which, only the arithmetic says."""

    def __init__(self, *, written_out: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.c, self.d = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.written_out = written_out

    def forward(self, x: Tensor) -> Tensor:
        v, k, q = (self._heads(f(x)) for f in (self.a, self.b, self.c))
        if self.written_out:
            mixed = torch.softmax(q @ k.transpose(-1, -2) / 4, dim=-1) @ v
        else:
            mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.d(mixed.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


class Block(nn.Module):
    def __init__(self, *, written_out: bool) -> None:
        super().__init__()
        self.a = Mixing(written_out=written_out)
        self.b = nn.Sequential(nn.Linear(WIDTH, 40), nn.GELU(), nn.Linear(40, WIDTH))
        self.c, self.d = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.a(self.c(x))
        return x + self.b(self.d(x))


class Network(nn.Module):
    def __init__(self, *, written_out: bool = False, layers: int = 4) -> None:
        super().__init__()
        self.a = nn.Embedding(20, WIDTH)
        self.b = nn.ModuleList(Block(written_out=written_out) for _ in range(layers))
        self.c = nn.Linear(WIDTH, 20)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        for layer in self.b:
            x = layer(x)
        return self.c(x)


def roles(table: SiteTable, prefix: str = "") -> dict[str, str | None]:
    found = (s for s in table.sites if s.path.startswith(prefix) and s.kind != "norm")
    return {site.path.removeprefix(prefix): site.role for site in found}


@pytest.mark.parametrize("written_out", [False, True])
def test_attributes_called_a_b_c(written_out: bool) -> None:
    table = find_sites(Network(written_out=written_out))
    assert table.layers == 4
    assert roles(table, "b.2.") == {
        "a": "attn",
        "a.a": "attn.v",
        "a.b": "attn.k",
        "a.c": "attn.q",
        "a.d": "attn.o",
        "b": "ffn",
        "b.0": "ffn.up",
        "b.2": "ffn.down",
    }
    assert roles(table)["a"] == "embed"
    assert roles(table)["c"] == "head"


def test_layers_need_no_list() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = Block(written_out=False), Block(written_out=False)
            self.out = nn.Linear(WIDTH, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.two(self.one(x)))

    class Framed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.net = nn.Linear(5, WIDTH), Two()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(self.into(x))

    table = find_sites(Framed())
    assert [(s.path, s.layer) for s in table.sites if s.role == "layer"] == [
        ("net.one", 0),
        ("net.two", 1),
    ]
    assert roles(table)["net.out"] == "head"
    assert roles(table)["into"] is None


def test_a_list_that_holds_no_layers_is_traced_whole() -> None:
    steps = (nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(4))
    table = find_sites(nn.Sequential(*steps))
    assert roles(table) == {"0.0": None, "1.0": None, "2.0": None, "3.0": "head"}


def test_gates_by_activation_not_by_order() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 12), nn.Linear(8, 12), nn.Linear(12, 8)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.c(self.a(x) * functional.silu(self.b(x)))

    assert roles(find_sites(Gated())) == {"a": "ffn.up", "b": "ffn.gate", "c": "ffn.down"}


def test_what_mixes_positions_is_no_feed_forward_net() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 12), nn.Linear(12, 8)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.b(torch.cumsum(self.a(x), dim=1))

    assert set(roles(find_sites(Shifted())).values()) == {None}


def test_fused_weights_of_multi_head_attention() -> None:
    table = find_sites(nn.TransformerEncoderLayer(WIDTH, HEADS, 32, batch_first=True))
    fused = [s for s in table.sites if s.path == "self_attn.in_proj_weight"]
    assert [(s.kind, s.role, s.slice) for s in fused] == [
        ("param", "attn.q", ((0, 16),)),
        ("param", "attn.k", ((16, 32),)),
        ("param", "attn.v", ((32, 48),)),
    ]


def test_a_model_that_cannot_run_keeps_its_structure() -> None:
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) if x.sum().item() > 0 else x

    table = find_sites(Deciding())
    assert not table.traced
    assert table.reason is not None
    assert [(site.path, site.kind, site.role) for site in table.sites] == [("a", "linear", None)]


def test_the_model_stays_as_it_was() -> None:
    model = Network().train()
    model.b[1].eval()
    hook = model.b[0].register_forward_hook(lambda *_: pytest.fail("the model was run"))
    flags = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    find_sites(model)
    hook.remove()
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_quantized_and_patched_maps_count_as_linear() -> None:
    class Packed(nn.Linear):
        """A weight in half the bytes, as in four bits."""

        def __init__(self) -> None:
            super().__init__(WIDTH, WIDTH)
            self.weight = nn.Parameter(torch.zeros(128, 1, dtype=torch.uint8), requires_grad=False)

        def forward(self, input: Tensor) -> Tensor:
            raise NotImplementedError

    Packed.__module__ = "bitsandbytes.nn.modules"
    model = Network()
    model.b[0].a.c = Packed()
    model.b[0].a.c.extra = nn.Linear(WIDTH, 2)
    table = find_sites(model)
    site = next(site for site in table.sites if site.path == "b.0.a.c")
    assert (site.role, site.inputs, site.outputs) == ("attn.q", WIDTH, WIDTH)
    assert not any(site.path.startswith("b.0.a.c.") for site in table.sites)


def test_eighty_layers_cost_about_as_much_as_two() -> None:
    sizes = {"hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64}
    work = []
    for layers in (2, 80):
        config = LlamaConfig(**sizes, num_hidden_layers=layers, num_key_value_heads=8)
        with torch.device("meta"):
            model = LlamaForCausalLM(config)
        table = find_sites(model)
        assert sum(site.role == "attn.q" for site in table.sites) == layers
        work.append(calls(find_sites, model))
    assert work[1] < 2 * work[0]
