"""Canonical text of a spec, with its comments and single blank lines; reading it again gives the
same tree.
"""

from .page import format as format
