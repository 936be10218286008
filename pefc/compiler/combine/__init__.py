"""Several adapters become one."""

from .asking import WAYS as WAYS
from .combining import Combined as Combined
from .combining import combine as combine
