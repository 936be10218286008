"""Losses, rates, Trainers, and the watch over what trains."""

from .losses import Owed as Owed
from .losses import Term as Term
from .losses import Terms as Terms
from .losses import adding_names as adding_names
from .losses import summed as summed
from .output_head import asking_names as asking_names
from .progress import STEPS as STEPS
from .progress import Expected as Expected
from .progress import Progress as Progress
from .progress import Reason as Reason
from .progress import follow as follow
from .rates import Ignored as Ignored
from .rates import Rate as Rate
from .rates import Rates as Rates
from .rates import give as give
from .rates import watch as watch
from .trainer import MARK as MARK
from .trainer import ORIGIN as ORIGIN
from .trainer import checkpoint_names as checkpoint_names
from .trainer import kept as kept
from .trainer import mark as mark
