"""Training in several processes."""

from .processes import by_one as by_one
from .processes import gathered as gathered
from .processes import is_spread as is_spread
from .processes import spread as spread
from .processes import spread_class as spread_class
from .processes import unspread as unspread
from .processes import unwrapped as unwrapped
from .sharded_tensors import fill_zero as fill_zero
from .sharded_tensors import is_away as is_away
from .sharded_tensors import is_copied as is_copied
from .sharded_tensors import is_part as is_part
from .sharded_tensors import is_shared_out as is_shared_out
from .sharded_tensors import whole as whole
