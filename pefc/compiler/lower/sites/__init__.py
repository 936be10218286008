"""All methods at one site, one file a kind of site."""

from .attention import attention_extension as attention_extension
from .attention import attention_initial as attention_initial
from .attention import attention_patch as attention_patch
from .attention import projection as projection
from .block import NORM as NORM
from .block import PRESENT as PRESENT
from .block import block_initial as block_initial
from .block import block_patch as block_patch
from .leaf import leaf_initial as leaf_initial
from .leaf import leaf_patch as leaf_patch
from .linear import linear_initial as linear_initial
from .linear import linear_patch as linear_patch
from .linear import merged_parameters as merged_parameters
from .tokens import EMBED as EMBED
from .tokens import token_extension as token_extension
from .tokens import token_initial as token_initial
from .tokens import token_patch as token_patch
