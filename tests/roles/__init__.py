"""Tests of roles: what is where in a model."""
