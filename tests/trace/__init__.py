"""Tests of tracing: graphs that compute what the model computes."""
