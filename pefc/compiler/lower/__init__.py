"""From a method's formula and a site's dims to patch graphs."""

from .compose import LinearFacts as LinearFacts
from .compose import Member as Member
from .compose import initial_value as initial_value
from .elaborate import Declared as Declared
from .elaborate import Elaborated as Elaborated
from .elaborate import elaborate as elaborate
from .patch import Site as Site
from .patch import merged_parameters as merged_parameters
from .patch import plain_patch as plain_patch
from .patch import run as run
