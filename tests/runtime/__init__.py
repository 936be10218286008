"""What stays in a model runs as the model does."""
