"""From the plain patch, which is the formula, to the fast one: rewrites in the order in which they
run.
"""

from torch.fx import Graph

from .associate import Associate
from .base import CallBase, RowsOfBase
from .blocks import Blocks
from .cancel import Cancel
from .diagonal import Diagonal, Rescale
from .distribute import Distribute
from .dtype import KeepDtype
from .fuse import FuseAdd
from .packed import ReadPacked
from .reassociate import Reassociate
from .rewrite import Pass, copied, renamed
from .scalars import Scalars
from .share import Share
from .structured import Structured
from .thin_norm import ThinNorm
from .units import Units

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
