"""Values of a merged weight, some rows or columns at a time, in bounded memory."""

from .evaluate import PART as PART
from .evaluate import Strips as Strips
from .tile import Places as Places
from .tile import taken as taken
