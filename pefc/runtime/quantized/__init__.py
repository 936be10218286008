"""Base weights in few bits, as bitsandbytes keeps them. What needs that library is in `reading` and
`packing`, which are imported where a weight is quantized.
"""

from .forms import DTYPES as DTYPES
from .forms import Form as Form
from .forms import dtype as dtype
from .forms import form as form
from .forms import is_packed as is_packed
from .forms import size as size
