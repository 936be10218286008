import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from .prefixed import LENGTH, attend, patch, untouched

WIDTH, HEADS, KV_HEADS, DEPTH = 16, 4, 2, 4
Product = Callable[[Tensor, Tensor, Tensor], Tensor]
SIGHT = torch.rand(6, 6, generator=torch.Generator().manual_seed(0)) > 0.3
BIAS = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ROWS = torch.tensor([[True], [False]]).view(2, 1, 1, 1)
CAUSAL = torch.ones(6, 6, dtype=torch.bool).tril()
ALL = torch.ones(6, 6, dtype=torch.bool)


class Heads(nn.Module):
    """Attention by hand, with grouped queries unless there are as many heads of keys."""

    def __init__(self, product: Product, kv_heads: int = HEADS) -> None:
        super().__init__()
        self.product = product
        self.kv_heads = kv_heads
        self.q = nn.Linear(WIDTH, HEADS * DEPTH)
        self.kv = nn.Linear(WIDTH, 2 * kv_heads * DEPTH)
        self.o = nn.Linear(HEADS * DEPTH, WIDTH)
        self.prefix = nn.Parameter(torch.randn(2, LENGTH, kv_heads, DEPTH))

    def forward(self, x: Tensor) -> Tensor:
        q = self.q(x).unflatten(-1, (HEADS, DEPTH)).transpose(1, 2)
        keys, values = self.kv(x).unflatten(-1, (2, self.kv_heads, DEPTH)).unbind(2)
        context = self.product(q, keys.transpose(1, 2), values.transpose(1, 2))
        return self.o(context.transpose(1, 2).flatten(2))


class Outer(Heads):
    """Attention whose output another attention module reads."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__(plain)
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.inner(x))


def plain(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, keys, values)


PRODUCTS: dict[str, tuple[Product, Tensor, float]] = {
    "plain": (plain, ALL, 0.5),
    "keywords": (
        lambda q, k, v: F.scaled_dot_product_attention(value=v, key=k, query=q, scale=0.3),
        ALL,
        0.3,
    ),
    "imported": (
        lambda q, k, v: scaled_dot_product_attention(q, k, v, SIGHT, 0.0),
        SIGHT,
        0.5,
    ),
    "positional": (
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, None, 0.0, True),
        CAUSAL,
        0.5,
    ),
    "causal": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        CAUSAL,
        0.5,
    ),
    "bias": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=BIAS), BIAS, 0.5),
    "rows": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=ROWS), ROWS, 0.5),
}


def grouped(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, keys, values, is_causal=True, enable_gqa=True)


def expected(module: Heads, x: Tensor, sight: Tensor, scale: float) -> Tensor:
    """The output of the module by the definition of attention, with the prefix first."""
    q = module.q(x).view(2, 6, HEADS, DEPTH)
    keys, values = module.kv(x).view(2, 6, 2, module.kv_heads, DEPTH).unbind(2)
    prefix = module.prefix[:, None].expand(-1, 2, -1, -1, -1)
    share = HEADS // module.kv_heads
    keys = torch.cat([prefix[0], keys], 1).repeat_interleave(share, 2)
    values = torch.cat([prefix[1], values], 1).repeat_interleave(share, 2)
    bias = sight if sight.is_floating_point() else torch.zeros(()).masked_fill(~sight, -math.inf)
    scores = torch.einsum("bnhd,bmhd->bhnm", q, keys) * scale
    scores = torch.cat([scores[..., :LENGTH], scores[..., LENGTH:] + bias], -1)
    return module.o(torch.einsum("bhnm,bmhd->bnhd", scores.softmax(-1), values).flatten(2))


def heads(product: Product, kv_heads: int = HEADS) -> tuple[Heads, Tensor]:
    torch.manual_seed(0)
    return Heads(product, kv_heads).double(), torch.randn(2, 6, WIDTH, dtype=torch.float64)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_prefix_stands_before_all_keys(name: str) -> None:
    product, sight, scale = PRODUCTS[name]
    module, x = heads(product)
    base = module(x)
    patch(module, attend, "product")
    torch.testing.assert_close(module(x), expected(module, x, sight, scale), rtol=0, atol=1e-14)
    patch(twin := heads(product)[0], untouched, "product")
    torch.testing.assert_close(twin(x), base, rtol=0, atol=0, equal_nan=True)


def test_groups_of_queries_share_a_prefix() -> None:
    module, x = heads(grouped, KV_HEADS)
    patch(module, attend, "product")
    torch.testing.assert_close(module(x), expected(module, x, CAUSAL, 0.5), rtol=0, atol=1e-14)


def test_one_causal_query_sees_the_first_key_and_the_prefix() -> None:
    """As in torch, which aligns the first query with the first key."""
    module, x = heads(
        lambda q, k, v: F.scaled_dot_product_attention(q[:, :, -1:], k, v, is_causal=True)
    )
    patch(module, attend, "product")
    sight = torch.tensor([True] + 5 * [False])
    actual = expected(module, x, sight, 0.5)[:, -1:]
    torch.testing.assert_close(module(x), actual, rtol=0, atol=1e-14)


def test_patches_stand_upon_each_other() -> None:
    module, x = heads(PRODUCTS["causal"][0])
    patch(module, attend, "product")
    patch(module, attend, "product")
    twice = module(x)
    twin = heads(PRODUCTS["causal"][0])[0]
    twin.prefix.data = twin.prefix.data.repeat(1, 2, 1, 1)

    def double(
        module: nn.Module, call: Product, q: Tensor, keys: Tensor, values: Tensor, _scale: float
    ) -> Tensor:
        rows = [module.prefix[i].transpose(0, 1).expand(2, -1, -1, -1) for i in (0, 1)]
        return call(q, torch.cat([rows[0], keys], 2), torch.cat([rows[1], values], 2), 2 * LENGTH)

    patch(twin, double, "product")
    torch.testing.assert_close(twice, twin(x), rtol=0, atol=1e-14)


def test_modules_within_each_other_keep_apart() -> None:
    inner, x = heads(PRODUCTS["causal"][0])
    outer = Outer(inner).double()
    patch(inner, attend, "product")
    patch(outer, attend, "product")
    between = expected(inner, x, CAUSAL, 0.5)
    torch.testing.assert_close(outer(x), expected(outer, between, ALL, 0.5), rtol=0, atol=1e-14)
    compiled = torch.compile(outer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), outer(x), rtol=0, atol=1e-14)


def test_nothing_stays_when_a_forward_fails() -> None:
    inner, x = heads(plain)
    outer = Outer(inner).double()
    patch(inner, attend, "product")
    patch(outer, attend, "product")
    good = outer(x)
    with pytest.raises(RuntimeError):
        outer(x[..., 1:])
    assert torch.equal(outer(x), good)
    assert torch.equal(plain(x, x, x), plain(x.clone(), x, x))


@pytest.mark.parametrize("name", ["plain", "causal", "bias"])
def test_a_module_compiles_in_one_graph(name: str) -> None:
    module, x = heads(PRODUCTS[name][0])
    patch(module, attend, "product")
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), module(x), rtol=0, atol=1e-14)


# A strict export takes the mode of the patch, which is gone after the call, for a side effect.
@pytest.mark.filterwarnings("ignore:While compiling, we found certain side effects:UserWarning")
@pytest.mark.parametrize("strict", [False, True])
def test_a_module_can_be_exported(strict: bool) -> None:
    module, x = heads(PRODUCTS["causal"][0])
    patch(module, attend, "product")
    shapes = {"x": {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}}
    program = torch.export.export(module, (), {"x": x}, dynamic_shapes=shapes, strict=strict)
    for given in (x, torch.randn(3, 8, WIDTH, dtype=torch.float64)):
        torch.testing.assert_close(program.module()(x=given), module(given), rtol=0, atol=1e-14)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_changes_no_gradient(reentrant: bool) -> None:
    module, x = heads(PRODUCTS["causal"][0])
    patch(module, attend, "product")
    x.requires_grad_()
    module(x).square().sum().backward()
    whole, module.prefix.grad = module.prefix.grad, None
    checkpoint(module, x, use_reentrant=reentrant).square().sum().backward()
    torch.testing.assert_close(module.prefix.grad, whole, rtol=0, atol=1e-14)
    assert whole.abs().max() > 1e-3


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_multi_head_attention_of_torch(training: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 32, dropout=0.0, batch_first=True).double()
    module, x = layer.self_attn, torch.randn(2, 6, WIDTH, dtype=torch.float64)
    module.prefix = nn.Parameter(torch.randn(2, LENGTH, HEADS, DEPTH, dtype=torch.float64))
    # The fused kernel of the layer calls no module, unless one has a hook.
    module.register_forward_pre_hook(lambda *_: None)
    patch(module, attend, "product")
    q, keys, values = F.linear(x, module.in_proj_weight, module.in_proj_bias).chunk(3, -1)
    twin = heads(plain)[0]
    twin.q, twin.kv, twin.prefix = nn.Identity(), nn.Identity(), module.prefix
    twin.o = module.out_proj
    keys, values = keys.view(2, 6, 1, HEADS, DEPTH), values.view(2, 6, 1, HEADS, DEPTH)
    prefix = module.prefix[:, None].expand(-1, 2, -1, -1, -1)
    keys, values = (
        torch.cat([prefix[0], keys[:, :, 0]], 1),
        torch.cat([prefix[1], values[:, :, 0]], 1),
    )
    scores = torch.einsum("bnhd,bmhd->bhnm", q.view(2, 6, HEADS, DEPTH), keys) * 0.5
    context = torch.einsum("bhnm,bmhd->bnhd", scores.softmax(-1), values).flatten(2)
    hidden = layer.norm1(x + module.out_proj(context))
    wanted = layer.norm2(hidden + layer.linear2(F.relu(layer.linear1(hidden))))
    torch.testing.assert_close(layer.train(training)(x), wanted, rtol=0, atol=1e-13)


def test_a_product_that_is_written_out_is_refused() -> None:
    module = nn.MultiheadAttention(WIDTH, HEADS)
    x = torch.randn(6, 2, WIDTH)
    patch(module, untouched, "product")
    assert torch.equal(
        module(x, x, x, need_weights=False)[0], module(x, x, x, need_weights=False)[0]
    )
    with pytest.raises(
        TypeError, match="MultiheadAttention has made its attention product without"
    ):
        module(x, x, x)


def test_queries_without_heads_are_refused() -> None:
    class Flat(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return plain(x, x, x)

    module = Flat()
    patch(module, untouched, "product")
    with pytest.raises(ValueError, match="not 3 axes"):
        module(torch.randn(2, 6, WIDTH))
