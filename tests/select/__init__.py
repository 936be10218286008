"""Tests of selection: from selectors to sites."""
