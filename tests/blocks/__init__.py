"""Methods on blocks: their formulas, their places, and what leaves them out."""
