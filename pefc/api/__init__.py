"""What users call. Arguments are checked here."""
