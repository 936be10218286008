"""The values of expressions."""

from .calls import misfits as misfits
from .calls import with_flags as with_flags
from .evaluate import bounded as bounded
from .evaluate import describe as describe
from .evaluate import evaluate as evaluate
from .evaluate import power as power
from .evaluate import truth as truth
