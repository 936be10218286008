"""The commands, one file each, by the name that is typed."""
