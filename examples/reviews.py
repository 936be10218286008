"""Reviews, or other sentences that praise and damn, with their labels, as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoTokenizer

LENGTH = 48
"""Tokens of a review that are read; nine of ten reviews are shorter."""

Batch = tuple[dict[str, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Reviews:
    """Rows of token ids, padded to one length, with a label each: 1 praises, 0 damns."""

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice) -> "Reviews":
        return Reviews(self.ids[rows], self.mask[rows], self.labels[rows])

    def batches(self, size: int) -> list[Batch]:
        """Batches of about equally long reviews, in an order of their own, cut to the longest."""
        lengths = self.mask.sum(1)
        near = [
            chunk[lengths[chunk].argsort()] for chunk in torch.arange(len(self)).split(8 * size)
        ]
        rows = [batch for chunk in near for batch in chunk.split(size)]
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
        return [self._batch(rows[index], int(lengths[rows[index]].max())) for index in order]

    def _batch(self, rows: torch.Tensor, length: int) -> Batch:
        inputs = {
            "input_ids": self.ids[rows, :length],
            "attention_mask": self.mask[rows, :length],
        }
        return inputs, self.labels[rows]


def mixed(parts: Sequence[Reviews]) -> Reviews:
    """One row of each part, then the next of each; the parts are equally long."""
    columns = ([part.ids for part in parts], [part.mask for part in parts])
    ids, mask = (torch.stack(column, 1).flatten(0, 1) for column in columns)
    return Reviews(ids, mask, torch.stack([part.labels for part in parts], 1).flatten())


def read_reviews(file: Path, tokenizer: Path) -> Reviews:
    """Read a table of ratings and texts."""
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    ratings, texts = zip(*(line.split("\t", 1) for line in lines), strict=True)
    tokens = AutoTokenizer.from_pretrained(tokenizer)(
        list(texts), truncation=True, max_length=LENGTH, padding="max_length", return_tensors="pt"
    )
    labels = torch.tensor([int(float(rating) > 0) for rating in ratings])
    return Reviews(tokens["input_ids"], tokens["attention_mask"], labels)
