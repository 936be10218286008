"""The traced graph computes what the model computes, and reads like the model."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from pefc.compiler.trace.trace import trace
from pefc.compiler.trace.traced import Traced

from ..roles.architectures import ARCHITECTURES
from ..roles.test_modules import WIDTH, Block, Network


def real(name: str) -> nn.Module:
    """A model with weights that make every path count."""
    architecture = ARCHITECTURES[name]
    described = architecture.build("sdpa")
    torch.manual_seed(0)
    model = type(described)(described.config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


def inputs_for(traced: Traced) -> dict[str, Tensor]:
    """Inputs of another size than the trace had, wherever it left the size open."""
    torch.manual_seed(1)
    inputs = {}
    for entry in traced.inputs:
        sizes = {0: 3, 1: 5}
        shape = [sizes[a] if a in entry.dynamic else s for a, s in enumerate(entry.shape)]
        if entry.name == "attention_mask":
            inputs[entry.name] = torch.ones(shape, dtype=torch.long)
            inputs[entry.name][0, -2:] = 0
        elif entry.dtype == torch.long:
            inputs[entry.name] = torch.randint(2, 20, shape)
        else:
            inputs[entry.name] = torch.randn(shape)
    return inputs


def tensors(output: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor))


def gradients(model: nn.Module, output: object) -> dict[str, Tensor]:
    model.zero_grad()
    sum(tensor.sin().sum() for tensor in tensors(output)).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5", "vit", "mixtral"])
def test_outputs_and_gradients_are_the_model_s(name: str) -> None:
    model = real(name)
    traced = trace(model)
    assert traced.root is not None, traced.reason
    assert not model.training
    inputs = inputs_for(traced)
    cache = {} if name == "vit" else {"use_cache": False}
    expected, output = model(**inputs, **cache), traced.root(**inputs)
    assert type(output) is type(expected)
    for found, wanted in zip(tensors(output), tensors(expected), strict=True):
        torch.testing.assert_close(found, wanted)
    wanted = gradients(model, expected)
    found = gradients(model, output)
    assert found.keys() == wanted.keys()
    for parameter, gradient in wanted.items():
        torch.testing.assert_close(found[parameter], gradient, rtol=1e-4, atol=1e-4)


def test_leaves_and_parameters_are_the_model_s_own() -> None:
    model = Network()
    root = trace(model).root
    assert root is not None
    assert root.get_submodule("b.1.a.c") is model.b[1].a.c
    assert root.get_submodule("b.1.b.1") is model.b[1].b[1]
    own = dict(model.named_parameters())
    assert all(own[name] is parameter for name, parameter in root.named_parameters())


def test_a_block_reads_like_a_block() -> None:
    root = trace(Network()).root
    assert root is not None
    nodes = [
        str(node.target).removeprefix("aten.") for node in root.get_submodule("b.0").graph.nodes
    ]
    assert nodes[1:] == ["c", "a", "add.Tensor", "d", "b", "add.Tensor", "output"]


def test_dropout_follows_training() -> None:
    class Dropping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.dropout(self.into(x), 0.5, self.training)
            heads = x.unflatten(-1, (2, 4)).transpose(1, 2)
            p = 0.5 if self.training else 0.0
            return nn.functional.scaled_dot_product_attention(heads, heads, heads, dropout_p=p)

    model = Dropping().eval()
    root = trace(model).root
    assert root is not None
    x = torch.randn(2, 5, 8)
    assert torch.equal(root(x), model(x))
    root.train()
    model.train()
    torch.manual_seed(0)
    masked = root(x)
    torch.manual_seed(0)
    assert torch.equal(masked, model(x))
    assert not torch.equal(masked, root.eval()(x))


def test_inputs_may_be_given() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block(written_out=False)

        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return self.block(x), self.block(y)

    model = Pair()
    assert trace(model).root is None
    given = {"x": torch.zeros(2, 7, WIDTH), "y": torch.zeros(2, 4, WIDTH)}
    root = trace(model, given).root
    assert root is not None
    x, y = torch.randn(3, 5, WIDTH), torch.randn(3, 6, WIDTH)
    for found, wanted in zip(root(x=x, y=y), model(x, y), strict=True):
        assert torch.equal(found, wanted)


def test_the_model_stays_as_it_was() -> None:
    model = Network().train()
    model.b[1].eval()
    flags = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trace(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_cannot_be_exported_says_why() -> None:
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) if x.sum().item() > 0 else x

    model = Deciding().train()
    traced = trace(model)
    assert traced.root is None
    assert traced.reason
    assert model.training
