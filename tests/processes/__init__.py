"""Training in several processes, and processes that are killed."""
