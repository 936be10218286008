"""The grammar, and the standard library written in it."""
