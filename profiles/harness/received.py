"""Everything the worker has said so far, kept in the order of the phases."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeprof.profiles.document.base import PhaseName
from pipeprof.profiles.document.messages import Message as Warned

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.profiles.protocol.channel import Message


@dataclass
class SeenPhase:
    """A phase as the worker reported it; `seconds` is `None` as long as it did not end."""

    name: PhaseName
    seconds: float | None = None
    peak: int | None = None
    end_rss: int | None = None
    note: str | None = None


@dataclass
class Observed:
    """The worker's messages, folded.

    Attributes:
        phases: Phases begun, in order.
        measured: Statistics of the measured steps, the latest.
        final: Whether they are complete.
        steps: Steps of the current phase.
        graphs: Graphs and model snapshots.
        memory: Readings of the worker's memory, for the ledger.
        readings: The same as they came, of a worker that does not live to tell of all of them.
        memory_look: Its phase, memory and model at the latest look.
        trace: Ops by stage, and the time in Python.
        own_step: The target returned a step, which takes the batches.
        headspace: The replay of batches that lay ready.
        warm: Steps with the source files in memory, after they were measured with the files evicted.
        versions: Of libraries in the worker.
        look: The latest answer to the question what it is doing.
        error: What it raised.
        done: It said goodbye.
        heard: When it last made progress, in seconds of `clock`.
    """

    clock: Callable[[], float] = time.monotonic
    phases: list[SeenPhase] = field(default_factory=list)
    measured: dict[str, Any] | None = None
    final: bool = False
    steps: int = 0
    rate: float | None = None
    beat_seconds: float = 0.0
    graphs: dict[str, Any] | None = None
    memory: dict[str, Any] | None = None
    readings: list[dict[str, Any]] = field(default_factory=list)
    memory_look: dict[str, Any] | None = None
    trace: dict[str, Any] | None = None
    own_step: bool = False
    headspace: dict[str, Any] | None = None
    warm: dict[str, Any] | None = None
    versions: dict[str, str | None] = field(default_factory=dict)
    gpus: list[str] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    look: dict[str, Any] | None = None
    looks: int = 0
    error: dict[str, Any] | None = None
    done: bool = False
    heard: float = 0.0

    def __post_init__(self) -> None:
        """Start the wait for the first sign of life."""
        self.heard = self.clock()

    @property
    def phase(self) -> PhaseName:
        """What the worker is doing, or did last."""
        return self.phases[-1].name if self.phases else "import"

    @property
    def complete(self) -> bool:
        """Whether the measurement proper came to its end."""
        return self.final and self.error is None

    def take(self, message: Message) -> None:  # noqa: PLR0912 - one branch for each kind of message
        """Fold in one message."""
        kind = message.pop("m")
        if kind == "answer":
            self.look, self.looks = message, self.looks + 1
            self._take_measured(message.pop("measured"))
            if message.get("memory") is not None:
                self.memory_look = message
            return
        self.heard = self.clock()
        if kind == "phase":
            self.steps, self.beat_seconds = 0, 0.0
            self.phases.append(SeenPhase(message["name"]))
        elif kind == "phase_end":
            phase = self.phases[-1]
            phase.seconds, phase.peak = message["seconds"], message["peak"]
            phase.end_rss, phase.note = message["end_rss"], message["note"]
        elif kind == "beat":
            self.steps, self.rate, self.beat_seconds = message["steps"], message["rate"], message["seconds"]
        elif kind in ("partial", "measured"):
            self._take_measured(message)
            self.final = kind == "measured"
        elif kind == "memory":
            self.memory = message
        elif kind == "reading":
            self.readings.append(message)
        elif kind == "memory_look":
            self.memory_look = message
        elif kind == "graphs":
            self.graphs = message
        elif kind == "trace":
            self.trace = message
        elif kind == "warm":
            self.warm = message
        elif kind == "headspace":
            self.headspace = message
        elif kind == "step":
            self.own_step = True
        elif kind == "versions":
            self.versions, self.gpus = message["versions"], message["devices"]
        elif kind == "warning":
            self.warnings.append(Warned(code=message["code"], message=message["text"]))
        elif kind == "error":
            self.error = message
        elif kind == "done":
            self.done = True

    def _take_measured(self, measured: dict[str, Any] | None) -> None:
        if measured is not None and not self.final:
            self.measured = {**(self.measured or {}), **measured}
