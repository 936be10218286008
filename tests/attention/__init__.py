"""What prefixes, adapters of attention and prompts do on whole models, each by its spec."""
