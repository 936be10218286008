"""How many inputs a campaign tries, and from which seed. In CI both are fixed; `make fuzz` sets
`PEFC_FUZZ_SECONDS`, for which it goes on, and draws a seed, which it prints, so that
`PEFC_FUZZ_SEED` repeats it.
"""

import os
import time
from collections.abc import Iterator
from itertools import count
from random import Random

IS_LONG = "PEFC_FUZZ_SECONDS" in os.environ
SECONDS = float(os.environ.get("PEFC_FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("PEFC_FUZZ_SEED", "11"))


def campaign(name: str, inputs: int) -> Iterator[Random]:
    """A source of randomness for each of so many inputs, or for each until the time of a long
    campaign is over; their number is printed, and shown by `pytest -s`.
    """
    began, tried = time.monotonic(), 0
    for tried in count():
        if time.monotonic() - began >= SECONDS if IS_LONG else tried == inputs:
            break
        yield Random(f"{SEED} {name} {tried}")  # noqa: S311  (nothing here is a secret)
    print(f"{name}: {tried} inputs from seed {SEED}")
    assert tried
