"""Which module plays which role, read from the flow of data and never from names."""

from .find_sites import find_sites as find_sites
