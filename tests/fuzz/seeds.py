"""How long a campaign runs, and from which seed. In CI both are fixed; `make fuzz` sets
`PEFC_FUZZ_SECONDS` and draws a seed, which it prints, so that `PEFC_FUZZ_SEED` repeats it.
"""

import os
import time
from collections.abc import Iterator
from random import Random

IS_LONG = "PEFC_FUZZ_SECONDS" in os.environ
SECONDS = float(os.environ.get("PEFC_FUZZ_SECONDS", "20"))
SEED = int(os.environ.get("PEFC_FUZZ_SEED", "11"))


def campaign(name: str) -> Iterator[Random]:
    """A source of randomness for each input, until the time is over; the number of inputs is
    printed, and shown by `pytest -s`.
    """
    began, tried = time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        yield Random(f"{SEED} {name} {tried}")  # noqa: S311  (nothing here is a secret)
        tried += 1
    print(f"{name}: {tried} inputs in {SECONDS:g} s from seed {SEED}")
    assert tried
