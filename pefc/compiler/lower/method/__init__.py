"""One method at a site: its numbers, tensors and formulas."""

from .declarations import VOCABULARY as VOCABULARY
from .declarations import Declared as Declared
from .drift import started as started
from .elaborate import elaborate as elaborate
from .environment import TASK as TASK
from .environment import Attached as Attached
from .environment import Member as Member
from .environment import Port as Port
from .gates import GATES as GATES
from .gates import Noted as Noted
from .gates import gate as gate
from .gates import gate_tensors as gate_tensors
from .gates import of_prefix as of_prefix
from .gates import through as through
from .method import Elaborated as Elaborated
from .rank_allocation import Shrinking as Shrinking
from .signatures import AttentionFacts as AttentionFacts
from .signatures import BlockFacts as BlockFacts
from .signatures import Facts as Facts
from .signatures import LeafFacts as LeafFacts
from .signatures import LinearFacts as LinearFacts
from .signatures import MapFacts as MapFacts
from .signatures import Rows as Rows
from .signatures import TokenFacts as TokenFacts
