"""Verify a plan on a model, and the memory that training takes."""

from .memory import Memory as Memory
from .memory import Setup as Setup
from .memory import estimate as estimate
from .memory import setup as setup
from .verify import Measured as Measured
from .verify import verify as verify
