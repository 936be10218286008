"""A model lives on after `apply`."""
