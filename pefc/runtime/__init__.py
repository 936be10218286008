"""What stays in a model after compilation. It knows nothing of the language and the compiler."""
