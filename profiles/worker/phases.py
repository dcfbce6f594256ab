"""Phases of a sample in the worker, each with its peak memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.document.shared import Phase
from pipeprof.profiles.host import procfs
from pipeprof.profiles.host.procfs import PROC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeprof.profiles.document.shared import PhaseName
    from pipeprof.profiles.protocol.channel import WorkerEnd


class OpenPhase:
    """A phase in progress; its body may set a note."""

    note: str | None = None


class Phases:
    """Reporter of each phase's start, duration and peak RSS.

    The kernel's high-water mark is reset at the start of a phase. Where that is forbidden, as in some containers, the
    mark is still exact for a phase in which it rose; otherwise the parent's samples are used.
    """

    def __init__(self, channel: WorkerEnd, proc: Path = PROC) -> None:
        self._channel = channel
        self._proc = proc
        self._warned = False

    @contextmanager
    def enter(self, name: PhaseName) -> Iterator[OpenPhase]:
        """Run the body as the phase `name`."""
        reset = procfs.reset_peak("self", self._proc)
        before = procfs.peak_rss_bytes("self", self._proc)
        if not reset and before is not None and not self._warned:
            self._warned = True
            text = "The kernel's memory high-water mark cannot be reset here: peaks by phase are the largest samples."
            self._channel.warn("no-clear-refs", text)
        began = time.perf_counter()
        self._channel.send(phases=[Phase(name=name)])
        phase = OpenPhase()
        yield phase
        peak = procfs.peak_rss_bytes("self", self._proc)
        exact = peak is not None and (reset or (before is not None and peak > before))
        ended = Phase(
            name=name,
            seconds=time.perf_counter() - began,
            peak_rss_bytes=peak if exact else None,
            end_rss_bytes=procfs.rss_bytes("self", self._proc),
            note=phase.note,
        )
        self._channel.send(phases=[ended])
