"""Sites: the places of a model where a method attaches, with what the data flow says they are."""

from dataclasses import dataclass
from typing import Literal

from .ports import AttentionPorts, BlockPorts, TokenPorts

SiteKind = Literal["linear", "block", "attention", "tokens", "embedding", "norm", "conv", "param"]


@dataclass(frozen=True, slots=True)
class Site:
    """One role of one module. A module that feeds both keys and values is two sites of one path."""

    path: str
    """The path of the module in the model; of the parameter for the kind `param`."""
    kind: SiteKind
    role: str | None
    """`attn.q`, `ffn.down`, `head`, …; None for a module with no role of its own."""
    slice: tuple[tuple[int, int], ...] | None
    """The [start, stop) ranges of output features that carry the role; None for all of them."""
    layer: int | None
    """The index of the layer around it, counted from 0; in encoder-decoder models, from 0 in each
    stack.
    """
    class_name: str
    """The class of the module."""
    inputs: int | None
    """Input features of the whole module."""
    outputs: int | None
    """Output features of the whole module, not of the slice."""
    bias: bool = False
    """The module has a bias."""
    called: bool | None = True
    """False for a linear module whose own forward never ran: its weight may be read elsewhere. None
    where that is not known.
    """
    elsewhere: tuple[tuple[str, str], ...] = ()
    """The parameters of a linear module that are read while its own forward does not run, each with
    the path of the module that reads it.
    """
    block: BlockPorts | None = None
    """Where the values of a block pass."""
    attention: AttentionPorts | None = None
    """Where the values of the attention product in it pass."""

    @property
    def width(self) -> int | None:
        """Output features that carry the role."""
        if self.slice is None:
            return self.outputs
        return sum(stop - start for start, stop in self.slice)


@dataclass(frozen=True, slots=True)
class SiteTable:
    """Every site of a model, in the order of the model's modules."""

    model: str
    """The class of the model."""
    sites: tuple[Site, ...]
    layers: int
    """How many layers the deepest stack has."""
    modules: tuple[tuple[str, str], ...]
    """(path, class) of every module, for globs and classes in selectors."""
    traced: bool = True
    """False where the model could not be exported and the sites come from its module structure
    alone.
    """
    reason: str | None = None
    """Why it was not traced."""
    tokens: TokenPorts | None = None
    """Where the embedded input passes."""
    calls: tuple[tuple[str, BlockPorts], ...] = ()
    """The ports of every module of modules that was called, for blocks chosen by path or class."""
    closed: tuple[tuple[str, str], ...] = ()
    """(path, why) of every module that is no site although its class is that of a linear map."""
