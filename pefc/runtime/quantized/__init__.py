"""Base weights in few bits, as bitsandbytes keeps them. What needs that library is in `packing`,
`reading` and `hollow`, which are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .forms import DTYPES as DTYPES
from .forms import Form as Form
from .forms import dtype as dtype
from .forms import form as form
from .forms import is_packed as is_packed
from .forms import size as size
from .rows import readable_names as readable_names

if TYPE_CHECKING:
    from . import hollow as hollow
    from . import packing as packing
    from . import reading as reading


def __getattr__(name: str) -> object:
    if name in {"hollow", "packing", "reading"}:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
