"""Base weights in few bits."""
