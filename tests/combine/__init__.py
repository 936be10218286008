"""Several adapters become one."""
