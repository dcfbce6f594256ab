"""A history as series, one for each target and step, with the places where the pace changed: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Literal

from pydantic import Field

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.experiment.decision import SPEED_FLOOR, Comparison, Verdict
from pipeprof.profiles.experiment.statistics import ERROR, estimate, total
from pipeprof.profiles.history.entry import HostClass, KeptGate
from pipeprof.profiles.judge.baseline import REFERENCE_STEP
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME, Words
from pipeprof.profiles.judge.verdicts.result import Identity
from pipeprof.profiles.judge.verdicts.tabulate import compare_columns, values_of_pairs

LEAST = 3
"""Gates on each side of a change of the level: fewer say nothing about how much gates differ by themselves."""
_STEP = BY_NAME["step_ms"]


class GatePoint(Model):
    """One gate of a series."""

    started: str
    """UTC, ISO 8601."""
    commit: str | None = None
    """Of B, or what its work tree has changes of."""
    dirty: bool = False
    """B had changes that were not committed."""
    host: int
    """The class of its host, by its place in `hosts`."""
    pairs: int
    """That counted."""
    step_ms: float | None = None
    """Step interval of B: the median."""
    peak_bytes: float | None = None
    """Peak memory of B: the median."""
    level: float | None = None
    """Step interval of B over that of the reference workload, in the same pairs."""
    change: float | None = None
    """Step interval of B over that of A."""
    low: float | None = None
    """Lower end of its interval at 98 %."""
    high: float | None = None
    """Upper end."""
    words: Words = "cannot tell"
    """What B is, compared with A."""
    verdict: Verdict
    """Of the gate."""
    same: bool = False
    """Both sides were one pipeline: nothing was measured."""


class ChangePoint(Model):
    """A gate from which on the pace is another one."""

    gate: int
    """The first one of the new pace: its place in `gates`."""
    how: Literal["pairs", "levels"]
    """Whether the pairs of that gate show it, or the levels of the gates before and after it."""
    change: float
    """The step interval over what it was."""
    low: float
    """Lower end of its interval."""
    high: float
    """Upper end."""


class GateSeries(Model):
    """The gates of one target with one step, in their order."""

    target: Identity
    step: str | None = None
    """With its dispatch."""
    hosts: list[HostClass]
    """Classes of hosts."""
    gates: list[GatePoint]
    changes: list[ChangePoint]


class HistoryReport(Model):
    """What ``show --history`` prints."""

    place: str
    """The file, or the ref of git notes."""
    series: list[GateSeries]
    """That of the latest gate first."""
    damaged: list[str] = Field(default_factory=list)
    """Lines that were skipped, and why."""


def series_of(entries: Sequence[KeptGate]) -> list[GateSeries]:
    """All series of a history, that of the latest gate first."""
    groups: dict[tuple[str, str | None], list[KeptGate]] = {}
    for entry in entries:
        groups.setdefault(entry.key, []).append(entry)
    ordered = sorted(groups.values(), key=lambda group: group[-1].started, reverse=True)
    return [_series(group) for group in ordered]


def _series(entries: Sequence[KeptGate]) -> GateSeries:
    hosts: list[HostClass] = []
    for entry in entries:
        if entry.host not in hosts:
            hosts.append(entry.host)
    points = [_point(entry, hosts.index(entry.host)) for entry in entries]
    found = GateSeries(target=entries[-1].target, step=entries[-1].step, hosts=hosts, gates=points, changes=[])
    found.changes = sorted(_changes(points), key=lambda one: one.gate)
    return found


def _point(entry: KeptGate, host: int) -> GatePoint:
    own = [pair.b["step_ms"] for pair in entry.pairs if pair.b.get("step_ms")]
    memory = [pair.b["peak_bytes"] for pair in entry.pairs if pair.b.get("peak_bytes")]
    point = GatePoint(
        started=entry.started,
        commit=entry.b.commit,
        dirty=entry.b.dirty,
        host=host,
        pairs=len(entry.pairs),
        step_ms=median(own) if own else None,
        peak_bytes=median(memory) if memory else None,
        verdict=entry.verdict,
        same=entry.same,
    )
    ratios = [
        pair.b["step_ms"] / pair.reference[REFERENCE_STEP]
        for pair in entry.pairs
        if pair.reference and pair.reference.get(REFERENCE_STEP) and pair.b.get("step_ms")
    ]
    point.level = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None
    columns = values_of_pairs(_STEP, entry.pairs, "b") if entry.pairs else None
    if columns is not None:
        compared = compare_columns(_STEP, columns)
        point.change = _STEP.as_change(compared.change.mean)
        point.low, point.high = _STEP.ends(compared.change)
        point.words = _STEP.words_of(compared, SPEED_FLOOR)
    return point


def _changes(points: Sequence[GatePoint]) -> Iterator[ChangePoint]:
    """What the pairs of single gates show, and what only the levels of many show."""
    shown: set[int] = set()
    for number, point in enumerate(points):
        if point.words in {"slower", "faster"} and point.change and point.low is not None and point.high is not None:
            shown.add(number)
            yield ChangePoint(gate=number, how="pairs", change=point.change, low=point.low, high=point.high)
    for host in {point.host for point in points}:
        levels = [
            (number, math.log(point.level))
            for number, point in enumerate(points)
            if point.host == host and point.level is not None
        ]
        tests = max(1, len(levels) - 2 * LEAST + 1)
        for found in _split(levels, ERROR / tests):
            # Gates at the edge of a level may belong to either side of it.
            if not shown & {found.gate - 1, found.gate, found.gate + 1}:
                yield found


def _split(levels: Sequence[tuple[int, float]], error: float) -> Iterator[ChangePoint]:
    """Where levels change for certain: at the clearest place, then in both parts."""
    best: tuple[float, int, ChangePoint] | None = None
    for at in range(LEAST, len(levels) - LEAST + 1):
        before, after = (estimate([level for _, level in part]) for part in (levels[:at], levels[at:]))
        if before is None or after is None:
            continue
        change = total([after, before.mirrored()])
        test = Comparison(change)
        sided = test if change.mean > 0 else test.mirrored()
        if not sided.exceeds(SPEED_FLOOR, error):
            continue
        strength = sided.strength(0.0)
        if best is None or strength > best[0]:
            half = change.half(error)
            ends = math.exp(change.mean - half), math.exp(change.mean + half)
            found = ChangePoint(
                gate=levels[at][0], how="levels", change=math.exp(change.mean), low=ends[0], high=ends[1]
            )
            best = strength, at, found
    if best is not None:
        _, at, found = best
        yield found
        yield from _split(levels[:at], error)
        yield from _split(levels[at:], error)
