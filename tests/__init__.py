"""Laws, goldens, parity and the rules of the house."""
