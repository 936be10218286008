"""Ports of layers that nobody's table knows, and what passes at ports in a run."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AlbertConfig, AlbertModel, T5Config, T5ForConditionalGeneration

from pefc.compiler.model.ports import BlockPorts, Entry, Exit, TokenPorts
from pefc.compiler.model.sites import Site, SiteTable
from pefc.compiler.roles.find_sites import find_sites

from .. import models
from .ports import attention, block

WIDTH = 16


def _t5() -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    return T5ForConditionalGeneration(T5Config(**sizes, vocab_size=models.WORDS)).eval()


def _watched(model: nn.Module, table: SiteTable) -> dict[tuple[str, str], Tensor]:
    """What passes at the ports of every sublayer in one run, by the path of the site."""
    seen: dict[tuple[str, str], Tensor] = {}

    def enter(site: Site, what: str, entry: Entry) -> None:
        def note(_: nn.Module, args: tuple, kwargs: dict[str, Tensor]) -> None:
            assert entry.index is not None
            seen[site.path, what] = (
                kwargs[entry.name] if entry.name in kwargs else args[entry.index]
            )

        model.get_submodule(entry.module).register_forward_pre_hook(note, with_kwargs=True)

    def leave(site: Site, out: Exit) -> None:
        def note(_: nn.Module, _args: tuple, output: Tensor | tuple[Tensor, ...]) -> None:
            seen[site.path, "y"] = output if isinstance(output, Tensor) else output[int(out.index)]  # pyright: ignore[reportArgumentType]

        model.get_submodule(out.module).register_forward_hook(note)

    for site in table.sites:
        if site.role not in ("attn", "xattn", "ffn") or site.block is None:
            continue
        assert site.block.input is not None
        assert site.block.residual is not None
        enter(site, "x", site.block.input)
        enter(site, "residual", site.block.residual)
        leave(site, site.block.output)
        if site.block.norm is not None:
            enter(site, "sum", Entry(site.block.norm, 0, "input"))
    ids = models.words()
    with torch.no_grad():
        if isinstance(model, T5ForConditionalGeneration):
            model(input_ids=ids, decoder_input_ids=ids)
        else:
            models.output(model, ids)
    return seen


@pytest.mark.parametrize(
    "build", [models.llama, models.gpt2, models.bert, models.plain, models.sdpa, _t5]
)
def test_the_next_stream_is_the_residual_and_the_output(build: Callable[[], nn.Module]) -> None:
    model = build()
    table = find_sites(model)
    seen = _watched(model, table)
    order = [s for s in table.sites if s.role in ("attn", "xattn", "ffn") and s.kind == "block"]
    checked = 0
    for site, later in zip(order, [*order[1:], None], strict=True):
        total = seen[site.path, "residual"] + seen[site.path, "y"]
        if site.block is not None and site.block.norm is not None:
            assert torch.equal(total, seen[site.path, "sum"])
        elif later is not None and later.path.partition(".")[0] == site.path.partition(".")[0]:
            assert torch.equal(total, seen[later.path, "residual"])
        else:
            continue
        checked += 1
    assert checked >= len(order) - 2


def _heads(x: Tensor, count: int) -> Tensor:
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


class Grouped(nn.Module):
    """Attention whose heads of queries share those of keys; `times` products in one run."""

    def __init__(self, *, times: int = 1) -> None:
        super().__init__()
        self.q, self.o = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.k, self.v = nn.Linear(WIDTH, WIDTH // 2), nn.Linear(WIDTH, WIDTH // 2)
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = _heads(self.q(x), 4), _heads(self.k(x), 2), _heads(self.v(x), 2)
        mixed = [
            functional.scaled_dot_product_attention(q + n, k, v, enable_gqa=True)
            for n in range(self.times)
        ]
        return self.o(torch.stack(mixed).mean(0).transpose(1, 2).flatten(2))


class Shared(nn.Module):
    """A layer with one dropout and one activation for both of its branches."""

    def __init__(self, mixing: nn.Module) -> None:
        super().__init__()
        self.mixing, self.drop = mixing, nn.Dropout(0.1)
        self.up, self.down = nn.Linear(WIDTH, 40), nn.Linear(40, WIDTH)
        self.one, self.two = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.mixing(self.one(x)))
        return x + self.drop(self.down(functional.gelu(self.up(self.two(x)))))


def _stacked(*layers: nn.Module) -> SiteTable:
    return find_sites(nn.Sequential(nn.Linear(5, WIDTH), nn.Sequential(*layers)))


def test_a_module_called_for_both_branches_is_no_exit() -> None:
    table = _stacked(Shared(Grouped()), Shared(Grouped()))
    assert block(table, "1.1.mixing").output == Exit("1.1.mixing", None)
    assert block(table, "1.1.down").output == Exit("1.1.down", None)


def test_grouped_heads_of_a_product() -> None:
    ports = attention(_stacked(Shared(Grouped()), Shared(Grouped())), "1.0.mixing")
    assert (ports.module, ports.channel) == ("1.0.mixing", "product")
    assert (ports.heads, ports.kv_heads, ports.head_dim) == (4, 2, 4)


def test_two_products_in_one_run_have_no_channel() -> None:
    table = _stacked(Shared(Grouped(times=2)), Shared(Grouped(times=2)))
    assert attention(table, "1.0.mixing").channel is None


def test_attention_inside_torch_is_a_product() -> None:
    encoder = nn.TransformerEncoderLayer(WIDTH, 2, 32, batch_first=True)
    table = find_sites(nn.TransformerEncoder(encoder, 2))
    ports = attention(table, "layers.1.self_attn")
    assert (ports.channel, ports.heads, ports.head_dim) == ("product", 2, 8)
    assert block(table, "layers.1.dropout2").norm == "layers.1.norm2"
    assert block(table, "layers.1.self_attn").output == Exit("layers.1.dropout1", None)


def test_layers_that_run_many_times() -> None:
    sizes = {"hidden_size": 32, "embedding_size": 16, "intermediate_size": 64, "vocab_size": 50}
    config = AlbertConfig(**sizes, num_hidden_layers=3, num_attention_heads=4)
    with torch.device("meta"):
        table = find_sites(AlbertModel(config))
    layer = "encoder.albert_layer_groups.0.albert_layers.0"
    norm, entry = f"{layer}.full_layer_layer_norm", Entry(f"{layer}.ffn", 0, "input")
    out = Exit(f"{layer}.ffn_output", None)
    assert block(table, f"{layer}.ffn_output") == BlockPorts(32, out, entry, entry, norm)
    assert attention(table, f"{layer}.attention").channel == "interface"
    assert table.tokens == TokenPorts("", "embeddings.word_embeddings", 16)


def test_a_branch_that_is_scaled_after_its_last_module() -> None:
    class Scaled(Shared):
        def forward(self, x: Tensor) -> Tensor:
            x = x + self.mixing(self.one(x)) * 0.5
            return x + self.down(functional.gelu(self.up(self.two(x)))) * 0.5

    table = _stacked(Scaled(Grouped()), Scaled(Grouped()))
    assert block(table, "1.0.mixing").output == Exit("1.0.mixing", None)
    assert block(table, "1.0.down").output == Exit("1.0.down", None)


def test_no_module_returns_the_sum_of_two_last_maps() -> None:
    class Split(Shared):
        def __init__(self) -> None:
            super().__init__(Grouped())
            self.other = nn.Linear(40, WIDTH)

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.mixing(self.one(x))
            inner = functional.gelu(self.up(self.two(x)))
            return x + (self.down(inner) + self.other(inner))

    sites = _stacked(Split(), Split()).sites
    assert [site.path for site in sites if site.role == "ffn"] == []
    assert [site.path for site in sites if site.role == "ffn.down"] == [
        f"1.{layer}.{name}" for layer in range(2) for name in ("down", "other")
    ]
