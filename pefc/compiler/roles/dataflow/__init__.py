"""Read the tape: backward slices, linear maps, attention products, the residual stream."""

from .attention_products import Attention as Attention
from .backward_slice import Masks as Masks
from .backward_slice import demand as demand
from .backward_slice import whole as whole
from .linear_maps import Finding as Finding
from .linear_maps import Map as Map
from .linear_maps import Ranges as Ranges
from .linear_maps import features as features
from .linear_maps import output_axis as output_axis
from .linear_maps import ranges as ranges
from .linear_maps import rows as rows
from .residual_stream import Flow as Flow
from .residual_stream import Join as Join
from .residual_stream import find_flow as find_flow
