"""The allocation of ranks during training."""

from .allocator import STATE as STATE
from .allocator import Allocator as Allocator
from .allocator import Ranked as Ranked
from .schedule import Schedule as Schedule
