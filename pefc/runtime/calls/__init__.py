"""What patches know of the call that is running."""

from .adapterdrop import Drop as Drop
from .adapterdrop import Variants as Variants
from .adapterdrop import drawing_names as drawing_names
from .reads import Reached as Reached
from .reads import noting_reads as noting_reads
from .recompute import layer_names as layer_names
from .token_positions import TextPart as TextPart
from .token_positions import first_positions as first_positions
from .token_positions import last_positions as last_positions
from .token_positions import noting_names as noting_names
from .token_positions import present as present
from .turns import Turns as Turns
from .turns import again_names as again_names
from .turns import turning_names as turning_names
