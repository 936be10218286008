"""From a method's formula and a site's dims to patch graphs."""

from .attached import Member as Member
from .declared import Declared as Declared
from .elaborate import elaborate as elaborate
from .elaborated import Elaborated as Elaborated
from .facts import AttentionFacts as AttentionFacts
from .facts import BlockFacts as BlockFacts
from .facts import Facts as Facts
from .facts import LeafFacts as LeafFacts
from .facts import LinearFacts as LinearFacts
from .facts import MapFacts as MapFacts
from .facts import Rows as Rows
from .facts import TokenFacts as TokenFacts
from .linear import merged_parameters as merged_parameters
from .patch import Site as Site
from .patch import extension_values as extension_values
from .patch import initial_value as initial_value
from .patch import loss_value as loss_value
from .patch import plain_patch as plain_patch
from .patch import run as run
