"""A made trace with as many events as wanted, in one of the formats: ``million.py FORMAT FILE EVENTS``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from unit.gaps.made_traces import US, Called, Did, Made, as_xplane

EACH = 5
"""Events of a step: a kernel, its launch, two ops and a call in it."""


def steps(first: int, count: int) -> Made:
    """Some steps of 100 µs."""
    made = Made()
    for number in range(first, first + count):
        start = number * 100 * US
        made.work.append(Did(start, start + 60 * US, number))
        made.host += [
            Called("cudaLaunchKernel", start - 5 * US, start - US, "cuda_runtime", number),
            Called(f"aten::op{number % 300}", start - 30 * US, start, "cpu_op"),
            Called("aten::empty", start - 25 * US, start - 20 * US, "cpu_op"),
            Called("cudaStreamIsCapturing", start - 15 * US, start - 14 * US, "cuda_runtime"),
        ]
    return made


def main() -> None:
    """Write the file."""
    form, path, events = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    made = steps(1, events // EACH + 1)
    if form == "xplane":
        path.write_bytes(as_xplane(made))
    else:
        from unit.gaps.made_traces import as_json

        document = as_json(made)
        with path.open("w", encoding="utf-8") as file:
            for part in json.JSONEncoder().iterencode(document):
                file.write(part)


if __name__ == "__main__":
    main()
