"""Texts as initial values: the embeddings of a text's tokens."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer

from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.placing import NoTokenizer
from ..dsl.source import Span

Tokenize = Callable[[str], Sequence[int]]
"""The token ids of a text, without those that mark its ends."""


def tokenize_with(tokenizer: object) -> Tokenize | None:
    """The ids of a text, by a tokenizer of transformers or by a function of the caller's."""
    if tokenizer is None:
        return None
    encode = getattr(tokenizer, "encode", None)
    if encode is None:
        return tokenizer  # pyright: ignore[reportReturnType]
    return lambda text: encode(text, add_special_tokens=False)


def tokenize_as(reference: str) -> Tokenize:
    """As the tokenizer in a model's folder reads texts, which is loaded when a text comes; without
    one, no text has any token.
    """

    def tokenize(text: str) -> Sequence[int]:
        try:
            tokenizer = AutoTokenizer.from_pretrained(reference)
        except (OSError, ValueError, ImportError):
            return ()
        return tokenizer.encode(text, add_special_tokens=False)

    return tokenize


def embedded(
    text: str, length: int, embedding: nn.Module, tokenize: Tokenize | None, span: Span
) -> Tensor:
    """The embeddings [length, d] of a text, which is repeated where it is too short and cut where
    it is too long.

    Raises SpecError where there is no tokenizer, or the text has no token.
    """
    ids = () if tokenize is None else tuple(tokenize(text))
    if not ids:
        raise SpecError([NoTokenizer(span)])
    weight = embedding.get_parameter("weight")
    repeated = torch.tensor([ids[place % len(ids)] for place in range(length)])
    return weight[repeated.to(weight.device)].detach()
