"""Base weights in few bits, as bitsandbytes keeps them. What needs that library is in `packing`,
`reading`, `saved` and `hollow`, which are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

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


def __getattr__(name: str) -> object:
    if name in {"hollow", "packing", "reading", "saved"}:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
