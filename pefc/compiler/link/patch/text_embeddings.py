"""Texts as initial values: the embeddings of a text's tokens."""

from collections.abc import Callable, Sequence
from operator import index

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer

from ....dsl.diagnostics.arguments import NoTokenizer, UnfitText
from ....dsl.diagnostics.report import SpecError
from ....dsl.syntax.source import Span

Tokenize = Callable[[str], Sequence[int]]
"""The token ids of a text, without those that mark its ends."""


class NoTokenizerError(Exception):
    """A folder has no tokenizer."""


def tokenize_with(tokenizer: object) -> Tokenize | None:
    """The ids of a text, by a tokenizer of transformers or by a function of the caller's."""
    if tokenizer is None:
        return None
    encode = getattr(tokenizer, "encode", None)
    if encode is None:
        if not callable(tokenizer):
            raise TypeError(f"a tokenizer, or a function from a text to ids, not {tokenizer!r}")
        return tokenizer  # pyright: ignore[reportReturnType]
    return lambda text: encode(text, add_special_tokens=False)


def tokenize_as(reference: str) -> Tokenize:
    """As the tokenizer in a model's folder reads texts, which is loaded when a text comes; a folder
    without one is a NoTokenizerError then.
    """

    def tokenize(text: str) -> Sequence[int]:
        try:
            tokenizer = AutoTokenizer.from_pretrained(reference)
        except (OSError, ValueError, ImportError):
            raise NoTokenizerError(reference) from None
        return tokenizer.encode(text, add_special_tokens=False)

    return tokenize


def embedded(
    text: str, length: int, embedding: nn.Module, tokenize: Tokenize | None, span: Span
) -> Tensor:
    """The embeddings [length, d] of a text, which is repeated where it is too short and cut where
    it is too long.

    Raises SpecError where there is no tokenizer, or one that fails, the text has no token, or one
    that the embedding does not know.
    """
    weight = embedding.get_parameter("weight")
    ids = _ids(text, tokenize, span)
    if not ids:
        raise SpecError([UnfitText(span, "it gives no token")])
    unknown = next((token for token in ids if not 0 <= token < len(weight)), None)
    if unknown is not None:
        reason = f"it has the token {unknown}, and the model knows {len(weight)}"
        raise SpecError([UnfitText(span, reason)])
    repeated = torch.tensor([ids[place % len(ids)] for place in range(length)])
    return weight[repeated.to(weight.device)].detach()


def _ids(text: str, tokenize: Tokenize | None, span: Span) -> tuple[int, ...]:
    if tokenize is None:
        raise SpecError([NoTokenizer(span)])
    try:
        return tuple(map(index, tokenize(text)))
    except NoTokenizerError:
        raise SpecError([NoTokenizer(span)]) from None
    except Exception as error:
        reason = f"the tokenizer fails with {type(error).__name__}: {error}"
        raise SpecError([UnfitText(span, " ".join(reason.split()))]) from error
