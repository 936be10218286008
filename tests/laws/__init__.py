"""Laws: what holds of every spec, shape and model."""
