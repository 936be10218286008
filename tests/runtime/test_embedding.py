"""New tokens in a module that is no model of transformers."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pefc.runtime.prompts.embedding import embedding_names, trimmed_names
from tests.models import WIDTH, Plain, plain, words

from .prompting import LENGTH, PROMPTS, change


class Both(NamedTuple):
    states: Tensor
    best: Tensor


class Scored(Plain):
    """Returns a row a token, a choice a token, and a row a text."""

    def forward(self, input_ids: Tensor) -> dict[str, object]:
        states = super().forward(input_ids)
        return {
            "both": Both(states, states.argmax(-1)),
            "mean": states.mean(-2),
            "loss": states.square().mean(),
        }


def test_a_module_sees_the_longer_text_and_returns_the_shorter() -> None:
    model, prompt = _prompted(plain())
    whole = _longer(plain(), prompt, words())
    assert torch.equal(model(words()), whole[:, LENGTH:])
    model(words()).sum().backward()
    assert prompt.grad is not None
    assert prompt.grad.abs().sum(-1).min() > 0


def test_one_text_without_a_batch() -> None:
    model, prompt = _prompted(plain())
    whole = _longer(plain(), prompt, words()[:1])
    torch.testing.assert_close(model(words()[0]), whole[0, LENGTH:], rtol=0, atol=2e-6)


def test_only_rows_of_tokens_are_trimmed() -> None:
    torch.manual_seed(5)
    other = Scored().eval()
    other.load_state_dict(plain().state_dict())
    model, prompt = _prompted(other)
    output = model(words())
    whole = _longer(plain(), prompt, words())
    assert torch.equal(output["both"].states, whole[:, LENGTH:])
    assert torch.equal(output["both"].best, whole.argmax(-1)[:, LENGTH:])
    assert torch.equal(output["mean"], whole.mean(1))
    assert torch.equal(output["loss"], whole.square().mean())


def test_a_compiled_module_is_one_graph() -> None:
    model, _ = _prompted(plain())
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.equal(compiled(words()), model(words()))


def _prompted(model: Plain) -> tuple[Plain, nn.Parameter]:
    generator = torch.Generator().manual_seed(11)
    prompt = nn.Parameter(torch.randn(LENGTH, WIDTH, generator=generator))
    model.e.register_parameter("added", prompt)
    change(model.e, embedding_names(type(model.e), PROMPTS))
    change(model, trimmed_names(type(model), PROMPTS))
    return model, prompt


def _longer(model: Plain, prompt: Tensor, ids: Tensor) -> Tensor:
    """What a module makes of embeddings that are put together by hand."""
    embeddings = torch.cat((prompt.expand(len(ids), -1, -1), model.e(ids)), 1)
    handle = model.e.register_forward_hook(lambda *_: embeddings)
    try:
        return model(ids)
    finally:
        handle.remove()
