"""A whole number as a product of two."""

from torch.fx import Graph

from .budgets import LARGEST_PRODUCT


def factors(graph: Graph, value: int, factor: int) -> tuple[int, int]:  # noqa: ARG001
    """Two numbers whose product is `value`: `factor` and the rest, where it divides; else the pair
    with the smallest sum whose first is no larger than `factor`, or than the second where `factor`
    is -1.
    """
    if value > LARGEST_PRODUCT:
        raise ValueError(f"{value} is too large for its factors to be sought")
    if factor > 0 and value % factor == 0:
        return factor, value // factor
    most = value if factor == -1 else factor
    first = 1
    for divisor in range(2, value):
        if divisor > most or divisor > value // divisor:
            break
        if value % divisor == 0:
            first = divisor
    return first, value // first
