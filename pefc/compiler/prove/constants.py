"""Is there anything in y that does not come from x? A map without a bias cannot hold it."""

from torch.fx import Graph

from .identity import read
from .terms import ZERO


def adds_constant(merged: Graph) -> bool:
    """Whether the bias of merged parameters is not shown to be zero, whatever the tensors are."""
    _, bias = merged.output_node().args[0]  # pyright: ignore[reportGeneralTypeIssues, reportAssignmentType, reportOptionalIterable]
    if bias is None:
        return False
    merged.output_node().args = (bias,)
    merged.eliminate_dead_code()
    return read(merged, {}, exact=True) != ZERO
