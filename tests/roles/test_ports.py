"""Where the values of blocks, attentions and tokens pass, stated by hand and measured."""

import threading
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
)
from transformers.modeling_utils import AttentionInterface

from pefc.compiler.model.ports import (
    AttentionPorts,
    BlockPorts,
    Entry,
    Exit,
    Projection,
    TokenPorts,
)
from pefc.compiler.model.sites import SiteTable
from pefc.compiler.roles.find_sites import find_sites

from .. import models
from ..work import calls
from .architectures import ARCHITECTURES
from .ports import ATTENTIONS, BLOCKS, LAYER, SELF, TOKENS, attention, block, hidden, maps

WIDTH = 16


def table_of(name: str, attention: str = "sdpa") -> SiteTable:
    return find_sites(ARCHITECTURES[name].build(attention))


def _ways(names: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, way) for name in names for way in ARCHITECTURES[name].attentions]


@pytest.mark.parametrize(("name", "way"), _ways(BLOCKS))
def test_blocks(name: str, way: str) -> None:
    table = table_of(name, way)
    assert {path: block(table, path) for path in BLOCKS[name]} == BLOCKS[name]


@pytest.mark.parametrize(("name", "way"), _ways(ATTENTIONS))
def test_attentions(name: str, way: str) -> None:
    table = table_of(name, way)
    assert {path: attention(table, path) for path in ATTENTIONS[name]} == ATTENTIONS[name]


@pytest.mark.parametrize("name", TOKENS)
def test_tokens(name: str) -> None:
    assert table_of(name).tokens == TOKENS[name]


def test_every_sublayer_of_every_layer_has_ports() -> None:
    for name, architecture in ARCHITECTURES.items():
        for site in table_of(name, architecture.attentions[-1]).sites:
            if site.kind == "block" and site.role in ("attn", "xattn", "ffn", "layer"):
                assert site.block is not None, (name, site.path)


def test_maps_straight_in_the_root() -> None:
    table = find_sites(models.plain())
    a, wide = Entry("a", 0, "input"), Entry("wide", 0, "input")
    assert block(table, "d") == BlockPorts(24, Exit("d", None), a, a)
    assert block(table, "tall") == BlockPorts(24, Exit("tall", None), wide, wide)
    inside = tuple((r, Projection(p, None)) for r, p in zip("qkvo", "abcd", strict=True))
    assert attention(table, "d") == AttentionPorts("", None, 24, 1, 1, 24, a, inside)
    assert table.tokens == TokenPorts("", "e", 24)


def test_maps_straight_in_a_layer() -> None:
    table = find_sites(models.sdpa())
    a, m, n = (Entry(f"s.1.{name}", 0, "input") for name in "amn")
    assert block(table, "s.1.d") == BlockPorts(24, Exit("s.1.d", None), a, m)
    f = Entry("s.1.f", 0, "input")
    assert block(table, "s.1.g") == BlockPorts(24, Exit("s.1.g", None), f, n)
    assert attention(table, "s.1.d") == AttentionPorts(
        "s.1", "product", 24, 4, 4, 6, a, maps("s.1", q="b", k="a", v="c", o="d")
    )
    assert table.tokens == TokenPorts("", "e", 24)


def test_modules_of_modules_have_the_ports_of_their_calls() -> None:
    calls = dict(table_of("llama").calls)
    assert calls[LAYER] == BlockPorts(32, Exit(LAYER, None), hidden(LAYER))
    assert calls[SELF] == BlockPorts(32, Exit(SELF, 0), hidden(SELF))
    assert calls["model"].output == Exit("model", "last_hidden_state")
    assert calls["model"].input is None
    assert f"{LAYER}.mlp.up_proj" not in calls


def test_the_registry_of_attention_functions_is_put_back() -> None:
    class Failing(LlamaForCausalLM):
        def forward(self, input_ids: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            self.model(input_ids)
            raise RuntimeError

    before = AttentionInterface.get_interface
    assert not find_sites(Failing(models.llama().config)).traced
    assert AttentionInterface.get_interface is before
    threads = [threading.Thread(target=find_sites, args=(models.llama(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert AttentionInterface.get_interface is before


def test_ports_of_eighty_layers_are_carried_over() -> None:
    sizes = {"hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64}
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**sizes, num_hidden_layers=80, num_key_value_heads=8))
    table = find_sites(model)
    assert calls(find_sites, model) < 500_000
    last = "model.layers.79"
    ports = attention(table, f"{last}.self_attn")
    assert (ports.heads, ports.kv_heads, ports.head_dim, ports.width) == (64, 8, 128, 8192)
    assert all(map.path.startswith(f"{last}.self_attn.") for _, map in ports.projections)
    assert ports.input == hidden(f"{last}.self_attn")
    assert block(table, f"{last}.mlp").residual == hidden(f"{last}.post_attention_layernorm")
    assert dict(table.calls)[last].output == Exit(last, None)
