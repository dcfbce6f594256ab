"""The idle time of traces by the plainest program: whole files in memory, one list of intervals for each device.

It shares no code with the product: JSON by Python's own module, XPlane by TensorFlow's messages.

    independent.py FILE…    prints for each device its idle share from the first to the last event (JSON)
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

Spans = dict[str, list[tuple[int, int]]]
Steps = list[tuple[int, int]]


def _json(path: Path, steps: Steps) -> Spans:
    data = path.read_bytes()
    document: Any = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data, parse_float=Decimal)
    found: Spans = {}
    for event in document["traceEvents"] if isinstance(document, dict) else document:
        category = str(event.get("cat", "")).lower()
        if category in {"operator", "user_annotation"} and re.fullmatch(r"ProfilerStep#\d+", event["name"]):
            begin = int(Decimal(event["ts"]) * 1000)
            steps.append((begin, begin + int(Decimal(event["dur"]) * 1000)))
        if event.get("ph") == "X" and category in {"kernel", "memcpy", "memset", "gpu_memcpy", "gpu_memset"}:
            begin = int(Decimal(event["ts"]) * 1000)
            end = begin + int(Decimal(event["dur"]) * 1000)
            found.setdefault(f"GPU {event['args'].get('device', event['pid'])}", []).append((begin, end))
    return found


def _xplane(path: Path) -> Spans:
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(path.read_bytes())
    found: Spans = {}
    for plane in space.planes:
        match = re.fullmatch(r"/device:(GPU|TPU):(\d+).*", plane.name)
        if match is None:
            continue
        for line in plane.lines:
            if line.name == "XLA Modules" if match[1] == "TPU" else line.name.startswith("Stream #"):
                for event in line.events:
                    begin = line.timestamp_ns * 1000 + event.offset_ps
                    found.setdefault(f"{match[1]} {match[2]}", []).append((begin, begin + event.duration_ps))
    return found


def idle_share(spans: list[tuple[int, int]]) -> float:
    """The share of the time between the first and the last event that no event covers."""
    busy, until = 0, min(begin for begin, _ in spans)
    first = until
    for begin, end in sorted(spans):
        busy += max(0, end - max(begin, until))
        until = max(until, end)
    return 1 - busy / max(until - first, 1)


def idle_of(path: Path) -> tuple[dict[str, float], dict[str, float]]:
    """The idle shares of the devices of a file by name: between their events; in PyTorch's steps, if it has several."""
    steps: Steps = []
    found = _xplane(path) if path.name.endswith(".xplane.pb") else _json(path, steps)
    shares = {name: idle_share(spans) for name, spans in sorted(found.items())}
    if len(steps) < 2:
        return shares, {}
    low, high = min(begin for begin, _ in steps), max(end for _, end in steps)
    # All work of these files was launched in a step: its end counts.
    inner = {name: [(low, low), (high, high), *spans] for name, spans in sorted(found.items())}
    return shares, {name: idle_share(spans) for name, spans in inner.items()}


if __name__ == "__main__":
    print(json.dumps({Path(name).name: idle_of(Path(name)) for name in sys.argv[1:]}, indent=1))
