"""pefc on a real language model, and at the sizes that language models have."""
