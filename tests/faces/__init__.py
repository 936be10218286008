"""The functions that users call, as far as they speak of their arguments."""
