"""What is known of a patch without running it: identity, affine, weight reads, costs."""

from .costs import Costs as Costs
from .identity import Identity as Identity
from .verdict import Verdict as Verdict
from .verdict import folded_parameters as folded_parameters
from .verdict import judge as judge
from .weight_reads import Need as Need
