"""The memory that training takes, told before there are weights."""

from .estimate import Memory as Memory
from .estimate import estimate as estimate
from .live import Live as Live
from .setup import Setup as Setup
from .setup import setup as setup
