"""Roles: what is where in a model, read from the flow of its data and never from names."""

from .sites import find_sites as find_sites
