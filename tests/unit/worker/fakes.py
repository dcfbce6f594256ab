"""Stand-ins for what a run touches: clocks, channel, worker and sampler; and messages and parts of a profile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.memory import Series
from pipeprof.profiles.document.profile import Host, Target, Tool
from pipeprof.profiles.document.shared import Phase, PhaseName
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.harness.process import RunFacts
from pipeprof.profiles.harness.received import Observed
from pipeprof.profiles.host.sampler import MemorySample
from pipeprof.profiles.protocol.channel import Changes, Command, HarnessEnd
from pipeprof.profiles.protocol.messages import (
    Answer,
    BatchSize,
    DeviceRead,
    Graphs,
    LoopCost,
    Measured,
    MemoryReport,
    Raised,
    Replayed,
    Trace,
    Warned,
)
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.worker.steps.loop import Chunk
from pipeprof.profiles.worker.steps.statistics import StepReading, StepStatistics
from pipeprof.profiles.xplane.xplane import NO_STEP, Events

MS = 1_000_000
MIB = 1 << 20
GIB = 1 << 30


class Event(NamedTuple):
    """One event of a trace, as `Events` has them in columns."""

    thread: int
    name: str
    start_ps: int
    duration_ps: int
    step: int | None = None


def traced(rows: Iterable[Event]) -> Events:
    rows = list(rows)
    names = list(dict.fromkeys(row.name for row in rows))
    columns = {
        "name": [names.index(row.name) for row in rows],
        "thread": [row.thread for row in rows],
        "start_ps": [row.start_ps for row in rows],
        "duration_ps": [row.duration_ps for row in rows],
        "step": [NO_STEP if row.step is None else row.step for row in rows],
    }
    return Events(names, **{name: np.array(column, np.int64) for name, column in columns.items()})


def rows_of(events: Events) -> list[Event]:
    columns = (events.thread, events.name, events.start_ps, events.duration_ps, events.step)
    return [
        Event(thread, events.names[name], start, duration, None if step == NO_STEP else step)
        for thread, name, start, duration, step in zip(*(column.tolist() for column in columns), strict=True)
    ]


class FakeTime:
    """Stands in for the module `time`, and is the clock of a simulated device: it only moves when told."""

    def __init__(self, ns: int = 1_000_000 * MS, late: int = 0) -> None:
        self.ns, self.late = ns, late
        self.cpu_share = 0.5

    def now(self) -> int:
        return self.ns

    def sleep_until(self, deadline: int) -> int:
        if deadline > self.ns:
            self.ns = deadline + self.late
        return self.ns

    def thread_time_ns(self) -> int:
        return round(self.ns * self.cpu_share)

    def process_time_ns(self) -> int:
        return self.thread_time_ns()

    def perf_counter_ns(self) -> int:
        return self.ns

    def perf_counter(self) -> float:
        return self.ns / 1e9

    def pass_ms(self, ms: float) -> None:
        self.ns += round(ms * MS)


class FakeSeconds:
    """A monotonic clock in seconds that only moves when told."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeDataset:
    """Epochs of numbered batches: each takes `ms`, and finding out that there are no more takes `end_ms`."""

    def __init__(self, time: FakeTime, sizes: list[int], ms: float = 1.0, end_ms: float = 0.0) -> None:
        self._time, self._sizes, self._ms, self._end_ms = time, sizes, ms, end_ms
        self.epochs = self.given = 0

    def __iter__(self) -> Iterator[int]:
        size = self._sizes[min(self.epochs, len(self._sizes) - 1)]
        self.epochs += 1
        return self._epoch(size)

    def _epoch(self, size: int) -> Iterator[int]:
        for _ in range(size):
            self._time.pass_ms(self._ms)
            self.given += 1
            yield self.given
        self._time.pass_ms(self._end_ms)


class FakeChannel:
    """The worker's end of a channel that keeps what is sent, and when."""

    def __init__(self, time: FakeTime | None = None) -> None:
        self.sent: list[Changes] = []
        self.at_ms: list[float] = []
        self._time = time
        self.stop = self
        self.stopped = False

    def is_set(self) -> bool:
        return self.stopped

    def send(self, **changes: Any) -> None:
        self.sent.append(changes)
        self.at_ms.append(self._time.ns / MS if self._time else 0.0)

    def warn(self, code: str, text: str) -> None:
        self.send(warnings=[Warned(code, text)])

    def of(self, field: str) -> list[Any]:
        return [changes[field] for changes in self.sent if field in changes]

    def warned(self) -> list[Warned]:
        return [warning for warnings in self.of("warnings") for warning in warnings]


class FakeWorker:
    """A worker without a process: real pipes for what it says and prints, and a record of what was asked of it.

    `script` is called with each command as it comes, and may let the worker answer, end or the clock move on.
    """

    def __init__(self) -> None:
        self.messages, self._says = os.pipe()
        self.printed, self._prints = os.pipe()
        for descriptor in (self.messages, self.printed):
            os.set_blocking(descriptor, False)
        self._parent = HarnessEnd(-1)
        self.returncode: int | None = None
        self.killed_as = -9
        self.commands: list[str] = []
        self.takes_commands = True
        self.script: Callable[[str], None] = lambda _word: None
        self.at_end: Callable[[], None] = lambda: None
        self.stack_dumps = 0
        self.is_suspended = False
        self.successor: str | None = None
        self.ended = 0
        self.output = b""

    def __enter__(self) -> FakeWorker:
        return self

    def __exit__(self, *_error: object) -> None:
        for descriptor in (self.messages, self.printed, self._says, self._prints):
            if descriptor >= 0:
                os.close(descriptor)

    def say(self, data: bytes) -> None:
        os.write(self._says, data)

    def print(self, data: bytes) -> None:
        os.write(self._prints, data)

    def hang_up(self) -> None:
        os.close(self._says)
        self._says = -1

    def close_output(self) -> None:
        os.close(self._prints)
        self._prints = -1

    def send(self, command: Command) -> bool:
        self.commands.append(command)
        self.script(command)
        return self.takes_commands

    def read_messages(self) -> list[Changes] | None:
        with suppress(BlockingIOError):
            data = os.read(self.messages, 1 << 16)
            return self._parent.feed(data) if data else None
        return []

    def read_output(self) -> bool:
        with suppress(BlockingIOError):
            data = os.read(self.printed, 1 << 16)
            self.output += data
            return bool(data)
        return True

    def dump_stacks(self) -> None:
        self.stack_dumps += 1

    def end(self) -> int:
        self.ended += 1
        self.at_end()
        if self.returncode is None:
            self.returncode = self.killed_as
        return self.returncode


def in_a_child(do: Callable[[], object]) -> int:
    """Run something in a forked child; its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            do()
        finally:
            os._exit(77)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def sample(used: int, phase: PhaseName = "measure", t: float = 1.0) -> MemorySample:
    return MemorySample(t=t, used_bytes=used, children=0, phase=phase)


class FakeSampler:
    """What a sampler knows, said outright."""

    def __init__(
        self,
        *,
        peaks: dict[PhaseName, int] | None = None,
        ends: dict[PhaseName, int] | None = None,
        joint: set[PhaseName] | None = None,
        children: bool = False,
        used: int | None = None,
        limit: int | None = None,
        growth: float | None = None,
        to_limit: float | None = None,
    ) -> None:
        self.had_children = children or bool(joint)
        self.last = sample(used) if used is not None else None
        self.limit_bytes = limit
        self.peaks, self.ends = lambda: dict(peaks or {}), lambda: dict(ends or {})
        self.ended_with_children = lambda: joint or set()
        self.elapsed = lambda: 12.34
        self.growth, self.seconds_to_limit = lambda: growth, lambda: to_limit

    def series(self, most: int | None = None) -> Series:
        del most
        return Series(
            seconds=[0.0, 0.05], rss_bytes=[100, 200], batches_per_second=[None, None], phase=["import", "measure"]
        )


def stage_at(
    address: str, op: str, *, name: str | None = None, line: int | None = None, column: int | None = 5
) -> Stage:
    location = Location(file="spec.yaml", line=line, column=column) if line is not None else None
    return Stage(id=address, op=op, name=name, location=location, origin="written")


def model_node(name: str, buffered_bytes: int) -> dict[str, Any]:
    return {"name": name, "buffered_bytes": buffered_bytes, "buffered_elements": 1}


_FIELDS: dict[type, str] = {
    Answer: "answer",
    DeviceRead: "device",
    Graphs: "graphs",
    Measured: "measured",
    Raised: "error",
    MemoryReport: "memory",
    Replayed: "replayed",
    Trace: "trace",
}
DONE: Changes = {"done": True}
GREW: Changes = {"grows": True}


def changes(said: Any) -> Changes:
    """The change of a sample by its value, where the type tells the field."""
    return said if isinstance(said, dict) else {_FIELDS[type(said)]: said}


def warned(code: str, text: str) -> Changes:
    return {"warnings": [Warned(code, text)]}


def observed(*messages: Any, clock: Callable[[], float] | None = None) -> Observed:
    """What the parent knows after these messages."""
    seen = Observed(clock=clock or FakeSeconds())
    for message in messages:
        seen.take(changes(message))
    return seen


def phase(name: PhaseName) -> Changes:
    return {"phases": [Phase(name=name)]}


def phase_end(name: PhaseName, *, peak: int | None = None, end_rss: int | None = None, **more: Any) -> Changes:
    return {"phases": [Phase(name=name, peak_rss_bytes=peak, end_rss_bytes=end_rss, **{"seconds": 1.0, **more})]}


def beat(steps: int, seconds: float = 1.0) -> Changes:
    return {"steps": steps, "phase_seconds": seconds, "rate": steps / seconds}


def error(code: str = "raised", *, message: str = "ValueError: bad", **fields: Any) -> Raised:
    return Raised(code, message, **fields)


def drained(steps: int = 10, ms: float = 2.0, *, restarted: bool = False) -> Measured:
    """Steps without a device, not final."""
    statistics = StepStatistics(device=False)
    times = [round(ms * MS * (n + 1)) for n in range(steps)]
    statistics.fold(Chunk(0, restarted, times).take())
    return statistics.measured()


def followed(
    steps: int = 10, fetch_ms: float = 2.0, busy_ms: float = 8.0, late_ms: float = 0.0, long_ms: float | None = None
) -> Measured:
    """Steps with a device that waits for every batch, not final; one of 20 may take longer."""
    statistics = StepStatistics(device=True, previous=(-round(busy_ms * MS), 0))
    readings, end = [], 0
    for number in range(steps):
        busy = long_ms if long_ms is not None and number % 20 == 10 else busy_ms
        woke = end + round(late_ms * MS)
        got = woke + round(fetch_ms * MS)
        readings.append(StepReading(end, woke, woke, got, got, got + round(busy * MS)))
        end = readings[-1].end
    statistics.fold(readings)
    return statistics.measured()


def measured(steps: Measured, **fields: Any) -> Measured:
    """The final result."""
    loop = {"overhead_ns": 1_000_000, "sizes": BatchSize(400.0, 4.0), **fields}
    return replace(steps, loop=LoopCost(**loop))


def plan(**changes: Any) -> Options:
    values: dict[str, Any] = {
        "target": ParsedTarget("spec", Path("spec.yaml")),
        "command": ["pipeprof", "run", "spec.yaml"],
        "seconds": 10.0,
        "timeout": 120.0,
    }
    return Options(**{**values, **changes})


def facts(**changes: Any) -> RunFacts:
    values: dict[str, Any] = {
        "target": Target(kind="spec", text="spec.yaml"),
        "tool": Tool(version="1.2.3"),
        "host": Host(system="Linux 6.1", machine="x86_64", cores=2.0),
        "versions": {"pipeprof": "1.2.3", "tensorflow": None},
        "options": plan(),
        "started": "2024-01-01T00:00:00+00:00",
        "stages": {},
    }
    return RunFacts(**{**values, **changes})
