"""Quantized modules in the place of plain ones."""

from .base_model import base as base
from .hf_quantizer import declare as declare
from .hf_quantizer import retract as retract
from .modules import Modules as Modules
from .modules import Reading as Reading
from .modules import packed_modules as packed_modules
from .modules import plain as plain
from .modules import plain_modules as plain_modules
from .modules import put as put
from .modules import readings as readings
from .modules import requantized as requantized
from .modules import with_modules as with_modules
