"""Base weights in few bits, as bitsandbytes keeps them. What needs that library is in `packing`,
`reading`, `saved` and `hollow`, which are imported when they are first used.
"""

import importlib.util
import logging
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from .forms import BLOCK as BLOCK
from .forms import DTYPES as DTYPES
from .forms import Form as Form
from .forms import dtype as dtype
from .forms import form as form
from .forms import is_packed as is_packed
from .forms import lacks_bits as lacks_bits
from .forms import size as size
from .rows import readable_names as readable_names

if TYPE_CHECKING:
    from . import hollow as hollow
    from . import packing as packing
    from . import reading as reading
    from . import saved as saved


def missing(*libraries: str) -> tuple[str, ...]:
    """The libraries that cannot be found; this imports none."""
    return tuple(name for name in libraries if importlib.util.find_spec(name) is None)


def library(part: str = "bitsandbytes") -> ModuleType:
    """Import bitsandbytes without its advice to install `kernels`, which pefc would not call."""
    logger = logging.getLogger("bitsandbytes")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return import_module(part)
    finally:
        logger.setLevel(level)


def __getattr__(name: str) -> Any:  # noqa: ANN401  (a module, of whatever content)
    if name in {"hollow", "packing", "reading", "saved"}:
        library()
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def floating_weight(module: nn.Module) -> Tensor:
    """The weight of a linear map as it stores it, or as floating point where it is quantized."""
    if not is_packed(module):
        return module.get_parameter("weight")
    return __getattr__("reading").values(module)
