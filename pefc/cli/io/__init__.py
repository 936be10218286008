"""Read what a command is given, and write what it answers."""
