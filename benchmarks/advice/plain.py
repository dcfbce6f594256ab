"""A plain loop over one function of flawed.py: ``python plain.py FUNCTION SECONDS``; prints JSON."""

from __future__ import annotations

import json
import sys
import time

import flawed


def main() -> None:
    """Run a second to warm up, then count batches."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    iterator = iter(getattr(flawed, name)())
    begun = time.perf_counter()
    while time.perf_counter() - begun < 1.0:
        next(iterator)
    count, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        next(iterator)
        count += 1
    print(json.dumps({"batches_per_second": count / passed}), flush=True)


if __name__ == "__main__":
    main()
