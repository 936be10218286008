"""AdaLoRA: ranks that are allocated while a model trains."""
