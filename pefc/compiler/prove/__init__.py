"""What can be said of a patch without running it: is the output unchanged at first, is it affine,
what of W is read.
"""

from .affine import is_affine as is_affine
from .constants import adds_constant as adds_constant
from .identity import Identity as Identity
from .identity import identity as identity
from .needs import Need as Need
from .needs import need as need
