"""Values of a graph of parameters, some rows or columns at a time."""

from .evaluation import PART as PART
from .evaluation import Leaves as Leaves
from .evaluation import Strips as Strips
from .steps import Places as Places
from .steps import taken as taken
