"""Several saved adapters become one."""

from .combine import combine as combine
