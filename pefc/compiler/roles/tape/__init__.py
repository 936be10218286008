"""Record one run of a model."""

from .module_io import Frame as Frame
from .module_io import Passing as Passing
from .module_io import call_ports as call_ports
from .recorder import record as record
from .tape import Call as Call
from .tape import Node as Node
from .tape import Product as Product
from .tape import Reference as Reference
from .tape import Tape as Tape
from .tape import common_scope as common_scope
from .tape import is_inside as is_inside
