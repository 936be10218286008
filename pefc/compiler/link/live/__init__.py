"""The live linker: modules keep their identity, path, class family and keys."""

from .bindings import dropping as dropping
from .bindings import module_paths as module_paths
from .bindings import wires as wires
from .install import check_forwards as check_forwards
from .install import check_free as check_free
from .install import check_unattached as check_unattached
from .install import installing as installing
from .install import train as train
from .install import uninstall as uninstall
from .install import unpatch as unpatch
from .losses import regularizer as regularizer
from .patcher import Patching as Patching
from .progress import progress as progress
from .rates import parameter_groups as parameter_groups
from .rates import rates as rates
