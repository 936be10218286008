"""From syntax to a checked spec: names, arguments and types are right, recipes are expanded."""

from .check import check as check
from .check import check_library as check_library
