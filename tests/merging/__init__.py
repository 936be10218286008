"""Adapters merged into models that are in folders."""
