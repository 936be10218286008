"""From a checked spec and a model to a plan, to patches, into the model."""

from .adapter import load as load
from .adapter import save as save
from .merge import merge as merge
from .merge import remove as remove
from .optimizing import parameter_groups as parameter_groups
from .plan import Plan as Plan
from .planning import plan as plan
from .program import Program as Program
from .program import compiled as compiled
