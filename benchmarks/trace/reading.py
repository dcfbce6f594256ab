"""Reads a trace in a process of its own, and says how long that took and how much memory.

Started by bench.py: ``python reading.py FILE``; prints a JSON object.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from pipeprof.profiles.worker.trace.record import TracedStretch
from pipeprof.profiles.worker.trace.threads import Looks
from pipeprof.profiles.worker.trace.work import read_stretch


def most_bytes() -> int:
    """Resident memory at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Read the file."""
    before = most_bytes()
    began = time.perf_counter()
    data = Path(sys.argv[1]).read_bytes()
    python = Looks(lambda _file: False)
    stretch = TracedStretch(0, python, [data], batches=1, seconds=1.0, cpu_seconds=1.0, ended_ns=10**9)
    found = read_stretch(stretch, None)
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "events": stretch.events,
                "file_bytes": len(data),
                "seconds": round(seconds, 3),
                "bytes": most_bytes() - before,
                "ops": len(found.unattributed_ops),
                "iterators": len(found.elements),
            }
        )
    )


main()
