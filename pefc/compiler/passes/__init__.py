"""From the plain patch, which is the formula, to the fast one: rewrites in the order in which they
run.
"""

from torch.fx import Graph

from .call_base import CallBase, RowsOfBase
from .cancel_sums import Cancel
from .common_subexpressions import Share
from .diagonal import Diagonal, Rescale
from .distribute_linear import Distribute
from .fuse_addmm import FuseAdd
from .hoist_scalars import Scalars
from .keep_dtype import KeepDtype
from .low_rank_norm import ThinNorm
from .merge_block_diagonal import Blocks
from .merge_identity import Units
from .merge_matmul_order import Associate
from .quantized_reads import ReadPacked
from .reassociate_linear import Reassociate
from .rewriter import Pass, copied, renamed
from .structured_products import Structured

PASSES: tuple[Pass, ...] = (
    Share(),
    Cancel(),
    Scalars(),
    ThinNorm(),
    Distribute(),
    Reassociate(),
    Structured(),
    Diagonal(),
    RowsOfBase(),
)
"""Run in turn until none finds anything."""

LAST: tuple[Pass, ...] = (Rescale(), CallBase(), FuseAdd(), KeepDtype(), Share())
"""Run once, when the shape of the computation is settled."""

MERGED: tuple[Pass, ...] = (Units(), Rescale(), Blocks(), Associate())
"""Run once over the parameters that stand for a module: the formula, but for products with what is
mostly zeros, and of more matrices than two.
"""


def _packed(passes: tuple[Pass, ...]) -> tuple[Pass, ...]:
    """The same over a quantized weight, whose module has a product of its own for tokens, which
    nothing else equals bit for bit.
    """
    others = {Distribute: Distribute(keeps_base=True), CallBase: CallBase(tokens_only=True)}
    return tuple(others.get(type(rewrite), rewrite) for rewrite in passes)


PACKED, PACKED_LAST = _packed(PASSES), (*_packed(LAST), ReadPacked())


def optimized(graph: Graph, *, packed: bool = False) -> Graph:
    """The same function in its fast order of evaluation; with `packed`, over a quantized weight."""
    passes = PACKED if packed else PASSES
    graph = copied(graph)
    before = ""
    while before != str(graph):
        before = str(graph)
        for rewrite in passes:
            graph = rewrite(graph)
    for rewrite in PACKED_LAST if packed else LAST:
        graph = rewrite(graph)
    return renamed(graph)


def thinned(graph: Graph) -> Graph:
    """The same parameters of a merged module, with fewer matrices on the way."""
    graph = copied(graph)
    for rewrite in MERGED:
        graph = rewrite(graph)
    return renamed(graph)
