"""Training by the Trainers of transformers, and by a loop of one's own."""
