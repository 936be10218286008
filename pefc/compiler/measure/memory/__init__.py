"""The memory that training takes, estimated before there are weights."""

from .estimate import Memory as Memory
from .estimate import estimate as estimate
from .setup import Setup as Setup
from .setup import setup as setup
