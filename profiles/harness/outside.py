"""The measured window as it is seen from outside of the worker: other processes, GPUs, the disk, and who watches."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeprof.profiles.document.measured import Disk
from pipeprof.profiles.host.nvml import GpuWatch
from pipeprof.profiles.host.processes import bytes_read
from pipeprof.profiles.host.procfs import uncounted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.document.shared import Contention, GpuUse
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.document.subject import Host, Target, Tool
    from pipeprof.profiles.host.contention import ContentionProbe
    from pipeprof.profiles.protocol.options import Options

COUNTED_FROM = 1e6
"""Bytes per second from the disk above which a process is known to read from it."""


@dataclass
class RunFacts:
    """The harness's own facts about a run, in addition to the worker's messages; filled in as the run goes on."""

    target: Target
    tool: Tool
    host: Host
    versions: dict[str, str | None]
    options: Options
    started: str
    stages: Mapping[str, Stage]
    written: list[Stage] | None = None
    disk: Disk | None = None
    contention: Contention | None = None
    sampler_cores: float | None = None
    warnings: list[Message] = field(default_factory=list)
    output: str | None = None
    gpus: list[GpuUse] = field(default_factory=list)
    commit: str | None = None

    @property
    def ops(self) -> dict[str, str] | None:
        """What a spec calls the source or stage at every address; None for a function."""
        spec = self.target.kind == "spec"
        return {address: stage.op for address, stage in self.stages.items()} if spec else None


class Outside:
    """What is read at the begin and at the end of the window.

    Args:
        own_cpu: CPU seconds that watching the worker took so far.
    """

    def __init__(
        self, facts: RunFacts, pid: int, probe: ContentionProbe, own_cpu: Callable[[], float] = time.process_time
    ) -> None:
        self._facts, self._pid, self._probe, self._own_cpu = facts, pid, probe, own_cpu
        self._gpus = GpuWatch() if facts.host.gpus else None
        self._began: float | None = None
        self._watched_since: tuple[float, float] | None = None
        self._read: int | None = None
        self._uncounted: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether the window has begun and not ended."""
        return self._began is not None and self._facts.sampler_cores is None

    def begin(self) -> None:
        """Begin the window."""
        self._probe.start()
        if self._gpus is not None:
            self._gpus.start()
        self.begin_watching()
        self._began = time.monotonic()
        self._read = bytes_read(self._pid)
        self._uncounted = uncounted(self._pid)

    def begin_watching(self) -> None:
        """Count what watching takes from here on: a soak may be over before a window of steps is complete."""
        self._watched_since = self._watched_since or (time.monotonic(), self._own_cpu())

    def end(self) -> None:
        """End the window; what takes long is read once, after it."""
        watched, now = self._own_cpu(), time.monotonic()
        self._facts.contention = self._probe.stop()
        self._facts.gpus = self._gpus.stop() if self._gpus is not None else []
        began, cpu = self._watched_since or (now, watched)
        self._facts.sampler_cores = (watched - cpu) / (now - began) if now > began else 0.0
        self._facts.disk = self._disk(time.monotonic() - (self._began or now))

    def _disk(self, seconds: float) -> Disk:
        cold = self._facts.disk.cold if self._facts.disk else None
        now = bytes_read(self._pid)
        if now is None or self._read is None:
            return Disk(source="unknown: the system does not count them for this process", cold=cold)
        counted = now - self._read
        kinds = self._uncounted | uncounted(self._pid)
        if kinds and counted < COUNTED_FROM * seconds:
            return Disk(source=f"{' and '.join(sorted(kinds))} does not count them", cold=cold)
        return Disk(bytes=counted, source="proc-io", cold=cold)
