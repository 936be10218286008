"""Modules that stand in a graph for what depends on `.training`: a trace would freeze it."""

from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """`scaled_dot_product_attention` whose dropout stops in evaluation mode."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        *,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        return functional.scaled_dot_product_attention(
            query, key, value, mask, dropout, is_causal, scale=scale, enable_gqa=enable_gqa
        )

    def extra_repr(self) -> str:
        return f"dropout={self.dropout}"
