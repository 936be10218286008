"""Tasks, gates and fusion."""
