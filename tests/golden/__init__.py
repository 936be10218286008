"""Texts in, texts out: each expected output stands in a file beside its input."""
