"""The measured steps, as parts of a message."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeprof.profiles.document.vocabulary import GapCause


@dataclass(frozen=True)
class DurationSummary:
    """Mean and quantiles of durations, in milliseconds."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True)
class StepCounts:
    """The `steps` part of a profile, as far as the loop knows it; fields as there."""

    count: int
    seconds: float
    interval_ms: DurationSummary
    wait_ms: DurationSummary
    fetch_ms: DurationSummary
    busy_ms: DurationSummary | None
    wait_share: float
    restart_share: float | None
    floor_ms: DurationSummary | None
    epochs: int
    epoch_steps: float | None


@dataclass(frozen=True)
class LongGap:
    """A stretch without device work, `start_s` seconds after the measurement began."""

    start_s: float
    ms: float
    cause: GapCause


@dataclass(frozen=True)
class IdleGaps:
    """The `gaps` of the device; `by_cause` in seconds, `histogram` as pairs of upper bound in ms and number."""

    count: int
    by_cause: dict[GapCause, float]
    longest: list[LongGap]
    histogram: list[tuple[float, int]]


@dataclass(frozen=True)
class StepHistograms:
    """Pairs of upper bound in milliseconds and number of steps."""

    interval: list[tuple[float, int]]
    fetch: list[tuple[float, int]]


@dataclass(frozen=True)
class BatchSize:
    """Mean size of a batch.

    Attributes:
        bytes: None where strings are part of it.
        length: Of its first dimension.
    """

    element: str | None
    bytes: float | None
    length: float | None


@dataclass(frozen=True)
class LoopCost:
    """Values known only after the measurement.

    Attributes:
        deletions: Seconds that deleting each ended iterator took.
    """

    overhead_ns: int
    overhead_cpu_ns: int | None = None
    cpu_ns: int | None = None
    sizes: BatchSize | None = None
    deletions: list[float] = field(default_factory=list)
