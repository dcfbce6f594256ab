"""Traces made of rows, in each of the formats: what a device did, what threads of the host did, and steps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unit.worker.encoded_trace import chunk, number

US = 1_000
"""Nanoseconds."""
PYTHON = 7
"""The main thread, and its process."""


@dataclass(frozen=True)
class Did:
    """A device's event; times in nanoseconds."""

    begin: int
    end: int
    launch: int | None = None
    device: int = 0
    stream: int = 7
    kind: str = "kernel"

    def stats(self, name: str) -> dict[str, int]:
        return {} if self.launch is None else {name: self.launch}


@dataclass(frozen=True)
class Called:
    """An event of the host; times in nanoseconds."""

    name: str
    begin: int
    end: int
    category: str = "cpu_op"
    launch: int | None = None
    thread: int = PYTHON

    def stats(self, name: str) -> dict[str, int]:
        return {} if self.launch is None else {name: self.launch}


@dataclass
class Made:
    """A trace to be written."""

    work: list[Did] = field(default_factory=list)
    host: list[Called] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)


LAUNCHES = {"json": "cudaLaunchKernel", "xplane": "cuLaunchKernel"}
FORMATS = tuple(LAUNCHES)


def stalled(
    form: str, stall: Called | None, *, steps: int = 20, marks: bool = True, ahead: int = 0, begin_us: int = 10_000
) -> Made:
    """Steps of 1,000 µs: 700 µs of work, then 300 µs in which the host does one thing, and launches in the last 5 µs.

    Args:
        stall: What the host does; its times are not read. None: nothing that a trace shows.
        ahead: Microseconds before the gap in which the launch is made instead.
    """
    made = Made()
    for step in range(steps):
        start = (begin_us + 1_000 * step) * US
        asked = start - (5 * US if not ahead else 300 * US + ahead * US)
        made.host.append(Called(LAUNCHES[form], asked, asked + 4 * US, "cuda_runtime", step))
        made.work.append(Did(start, start + 700 * US, step))
        if stall is not None:
            name, category, thread = stall.name, stall.category, stall.thread
            made.host.append(Called(name, start + 700 * US, start + 995 * US, category, None, thread))
        if marks:
            made.steps.append((start - 5 * US, start + 995 * US))
    return made


def write(made: Made, form: str, folder: Path) -> Path:
    """Write a trace in one of the formats."""
    data = json.dumps(as_json(made)).encode() if form == "json" else as_xplane(made)
    path = folder / {"json": "made.pt.trace.json", "xplane": "made.xplane.pb"}[form]
    path.write_bytes(data)
    return path


def as_json(made: Made) -> dict[str, Any]:
    """The trace as PyTorch writes it."""
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": PYTHON, "tid": 0, "args": {"name": "python"}}
    ]
    categories = {"kernel": "kernel", "copy": "gpu_memcpy", "set": "gpu_memset"}
    for did in made.work:
        arguments = {"device": did.device, "stream": did.stream, **did.stats("correlation")}
        events.append(_event(categories[did.kind], did.kind, did.device, did.stream, (did.begin, did.end), arguments))
    for called in made.host:
        span = (called.begin, called.end)
        events.append(_event(called.category, called.name, PYTHON, called.thread, span, called.stats("correlation")))
    for step, span in enumerate(made.steps):
        events.append(_event("user_annotation", f"ProfilerStep#{step}", PYTHON, PYTHON, span, {}))
    return {"schemaVersion": 1, "deviceProperties": [{"name": "made"}], "traceEvents": events, "traceName": "made"}


def _event(
    category: str, name: str, pid: int, tid: int, span: tuple[int, int], arguments: dict[str, Any]
) -> dict[str, Any]:
    begin, end = span
    return {
        "ph": "X", "cat": category, "name": name, "pid": pid, "tid": tid,
        "ts": begin / US, "dur": (end - begin) / US, "args": arguments,
    }  # fmt: skip


_STATS = ("correlation_id", "_r", "step_num")


def plane(name: str, lines: Iterable[tuple[int, str, Sequence[tuple[str, int, int, dict[str, int]]]]]) -> bytes:
    """A plane; of each line its number, its name, and the name, begin, end and stats of events."""
    kinds: dict[str, int] = {}
    data = chunk(2, name)
    for key, title, events in lines:
        line = [number(1, key), chunk(2, title), number(3, 0)]
        for event, begin, end, stats in events:
            one = number(1, kinds.setdefault(event, len(kinds) + 1))
            one += number(2, begin * 1000) + number(3, (end - begin) * 1000)
            for stat, value in stats.items():
                one += chunk(4, number(1, _STATS.index(stat) + 1) + number(3, value))
            line.append(chunk(4, one))
        data += chunk(3, b"".join(line))
    for event, key in kinds.items():
        data += chunk(4, number(1, key) + chunk(2, number(1, key) + chunk(2, event)))
    for key, stat in enumerate(_STATS, 1):
        data += chunk(5, number(1, key) + chunk(2, number(1, key) + chunk(2, stat)))
    return data


def device_planes(made: Made) -> list[bytes]:
    """The planes of the devices."""
    names = {"kernel": "fusion", "copy": "MemcpyH2D", "set": "Memset"}
    found = []
    for device in sorted({did.device for did in made.work}):
        streams = sorted({did.stream for did in made.work if did.device == device})
        lines = [
            (stream, f"Stream #{stream}(Kernel)", [
                (names[did.kind], did.begin, did.end, did.stats("correlation_id"))
                for did in made.work if (did.device, did.stream) == (device, stream)
            ])
            for stream in streams
        ]  # fmt: skip
        found.append(plane(f"/device:GPU:{device}", lines))
    return found


def host_plane(made: Made) -> bytes:
    """The plane of the host."""
    lines = []
    for thread in sorted({called.thread for called in made.host} | {PYTHON}):
        mine = [one for one in made.host if one.thread == thread]
        events = [(one.name, one.begin, one.end, one.stats("correlation_id")) for one in mine]
        if thread == PYTHON:
            events += [("train", *span, {"_r": 1, "step_num": step}) for step, span in enumerate(made.steps)]
        lines.append((thread, "python" if thread == PYTHON else f"pool/{thread}", events))
    return plane("/host:CPU", lines)


def as_xplane(made: Made) -> bytes:
    """The trace as TensorFlow and JAX write it."""
    return b"".join(chunk(1, one) for one in [*device_planes(made), host_plane(made)])
