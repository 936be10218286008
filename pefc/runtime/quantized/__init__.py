"""Base weights in few bits, as bitsandbytes keeps them. What needs that library is in `pack`,
`read`, `saved` and `meta`, which are imported when they are first used.
"""

import importlib.util
import logging
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from .form import BLOCK as BLOCK
from .form import DTYPES as DTYPES
from .form import Form as Form
from .form import dtype as dtype
from .form import form as form
from .form import is_packed as is_packed
from .form import lacks_bits as lacks_bits
from .form import size as size
from .rows import readable_names as readable_names

if TYPE_CHECKING:
    from . import meta as meta
    from . import pack as pack
    from . import read as read
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
    if name in {"meta", "pack", "read", "saved"}:
        library()
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def floating_weight(module: nn.Module) -> Tensor:
    """The weight of a linear map as it stores it, or as floating point where it is quantized."""
    if not is_packed(module):
        return module.get_parameter("weight")
    return __getattr__("read").values(module)
