"""The charts of a run: what its page draws of the steps, the stages, memory and the changes that were measured."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

from pipeprof.cli.report.blocks import Bar, Chart, Interval, Layer
from pipeprof.cli.report.changes import describe_measured
from pipeprof.cli.report.fix import factor_of
from pipeprof.cli.report.memory import group_owners
from pipeprof.cli.report.rows import name_rows, rows_per_line, write_share
from pipeprof.cli.report.units import seconds
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.wording import milliseconds, percent, phase_words, size

_MOST_STRETCHES = 150
"""Of a chart over time: more are less than two pixels each on a telephone."""
_MOST_ROWS = 12
_MOST_STAGES = 3
"""Stages with a layer of memory over time; the others share one."""
_WORTH = 0.02
"""Share of the whole from which a part of a chart over time has a layer or a name."""
_SMALL = 0.01
"""Share of the peak below which an owner has no row."""
_NEAR = 1.6
"""Times the peak up to which a limit is drawn: a line far above would flatten all else."""
_TONES = ("main", "wait", "third")
_TENSORFLOW = "TensorFlow itself"


def steps_over_time(profile: Profile) -> Iterator[Chart]:
    """What the steps took from the first measured one to the last: the step itself, waiting for data, the rest."""
    steps, course = profile.steps, profile.series.steps
    if steps is None or course is None:
        return
    known = course.wait_ms is not None and course.busy_ms is not None and steps.wait_ms is not None
    waits, works = course.wait_ms or repeat(0.0), course.busy_ms or repeat(0.0)
    # A file that was damaged may lack some of either.
    rows = list(zip(course.seconds, course.interval_ms, waits, works, strict=False))
    if len(rows) < 2:
        return
    length = -(-len(rows) // _MOST_STRETCHES)
    parts = [rows[start : start + length] for start in range(0, len(rows), length)]
    edges = [0.0, *(part[-1][0] for part in parts)]
    whole, waits, works = ([_mean([row[at] for row in part]) for part in parts] for at in (1, 2, 3))
    layers = [Layer("batch to batch" if steps.dispatch is None else "step to step", whole)]
    if known:
        # With steps in flight the device may be at work while the loop waits: both together are no longer than a step.
        works = [min(work, max(step - wait, 0.0)) for step, wait, work in zip(whole, waits, works, strict=True)]
        others = [max(step - wait - work, 0.0) for step, wait, work in zip(whole, waits, works, strict=True)]
        layers = [Layer("the step", works, "main", milliseconds(_mean(works)))]
        if sum(others) >= _WORTH * sum(whole):
            layers.append(Layer("other causes", others, "rest", milliseconds(_mean(others))))
        layers.append(Layer("waits for data", waits, "wait", milliseconds(_mean(waits))))
    times = steps.interval_ms
    yield Chart(
        "time",
        "Steps over time",
        f"From one {'batch' if steps.dispatch is None else 'step'} to the next, over {seconds(edges[-1])}: "
        f"{milliseconds(times.mean)} on average, half of them at most {milliseconds(times.p50)}, 95 of 100 at most "
        f"{milliseconds(times.p95)}.",
        edges=edges,
        layers=layers,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def stage_times(profile: Profile) -> Iterator[Chart]:
    """What the stages take of a batch, all their threads together, from the source to the step."""
    names = name_rows(profile.stages)
    timed = [row for row in rows_per_line(profile.stages or ()) if row.stage.active_ms]
    largest = sorted(timed, key=lambda row: -(row.stage.active_ms or 0.0))[:_MOST_ROWS]
    rows = []
    for row in timed:
        if row not in largest:
            continue
        stage, whole = row.stage, row.stage.active_ms or 0.0
        blocked = stage.blocked_ms_per_batch or 0.0
        parts = [("on a core", whole - blocked, "main"), ("waits for files, locks or a pause", blocked, "wait")]
        text = " · ".join(filter(None, (milliseconds(whole), write_share(stage.share))))
        name = f"{names.get(stage.id, stage.op)}{f' ×{row.times}' if row.times > 1 else ''}"
        rows.append(Bar(name, [part for part in parts if part[1] > 0], text))
    if rows:
        rest = len(timed) - len(rows)
        more = f" {rest:,} stages that take less are left out." if rest else ""
        text = f"Time inside each stage per batch, all its threads added up, and its share of the work.{more}"
        yield Chart("bars", "Time per batch", text, rows=rows)


def memory_over_time(profile: Profile) -> Iterator[Chart]:
    """Resident memory over the run: TensorFlow, the stages that hold most, and the rest."""
    memory, series = profile.memory, profile.series
    # A file that was damaged may lack some of either.
    samples = list(zip(series.seconds, series.rss_bytes, series.phase, strict=False))
    if len(samples) < 3 or samples[-1][0] <= samples[0][0] or not profile.shows_memory:
        return
    length = -(-(len(samples) - 1) // _MOST_STRETCHES)
    starts = range(0, len(samples) - 1, length)
    edges = [*(samples[start][0] for start in starts), samples[-1][0]]
    # The highest sample of each stretch, so that no peak is lost.
    resident = [float(max(rss for _, rss, _ in samples[start : start + length + 1])) for start in starts]
    peak, base = float(memory.peak_bytes or max(resident)), float(memory.baseline_bytes or 0)
    layers = [Layer(_TENSORFLOW, [min(base, value) for value in resident], "soft", size(base))] if base else []
    left = [max(value - base, 0.0) for value in resident]
    names = name_rows(profile.stages)
    for tone, (stage, held) in zip(_TONES, _held(profile, edges[1:], peak), strict=False):
        values = [min(value, rest) for value, rest in zip(held, left, strict=True)]
        left = [rest - value for rest, value in zip(left, values, strict=True)]
        layers.append(Layer(names.get(stage, stage), values, tone, f"at most {size(max(values))}"))
    layers.append(Layer("the rest" if layers else "resident memory", left, "rest"))
    limit = profile.host.memory_limit_bytes
    traced = max((rss for _, rss, phase in samples if phase == "trace"), default=0)
    apart = " The trace at the end is pipeprof's own; its memory is not part of the peak." if traced > peak else ""
    yield Chart(
        "time",
        "Memory over time",
        f"Resident memory over {seconds(edges[-1] - edges[0])}, {size(peak)} at its peak.{apart}",
        unit="bytes",
        edges=edges,
        layers=layers,
        marks=list(_phases(samples)),
        levels=[(float(limit), f"limit {size(limit)}")] if limit and limit <= _NEAR * peak else [],
    )


def _held(profile: Profile, moments: Sequence[float], peak: float) -> list[tuple[str, list[float]]]:
    """The stages whose buffers were a visible part of the peak, and what they held at some moments."""
    looks = profile.memory.series
    if looks is None:
        return []
    held = {}
    for stage, values in looks.stages.items():
        known = [(second, value) for second, value in zip(looks.seconds, values, strict=False) if value is not None]
        at = [bisect_right(known, moment, key=lambda pair: pair[0]) for moment in moments]
        held[stage] = [float(known[index - 1][1]) if index else 0.0 for index in at]
    visible = [(stage, values) for stage, values in held.items() if max(values) >= _WORTH * peak]
    return sorted(visible, key=lambda pair: -max(pair[1]))[:_MOST_STAGES]


def _phases(samples: Sequence[tuple[float, int, str]]) -> Iterator[tuple[float, str]]:
    """When the phases began that took a visible part of the time."""
    begun = [sample for number, sample in enumerate(samples) if not number or samples[number - 1][2] != sample[2]]
    ends = [second for second, _, _ in begun[1:]] + [samples[-1][0]]
    for (second, _, phase), end in zip(begun, ends, strict=True):
        if end - second >= _WORTH * (samples[-1][0] - samples[0][0]):
            yield second, phase_words(phase)


def memory_by_owner(profile: Profile) -> Iterator[Chart]:
    """Who owned the peak."""
    memory = profile.memory
    if memory.peak_bytes is None or not memory.ledger or not profile.shows_memory:
        return
    owners = [(name, nbytes, "main") for name, nbytes in group_owners(profile) if nbytes > 0]
    runtime = sum(entry.bytes for entry in memory.ledger if entry.owner == "runtime")
    whole = runtime + sum(nbytes for _, nbytes, _ in owners)
    shown = [owner for owner in owners if owner[1] >= _SMALL * whole]
    rest = whole - runtime - sum(nbytes for _, nbytes, _ in shown)
    shown = [(_TENSORFLOW, runtime, "soft"), *shown, ("others", rest, "rest")]
    rows = [Bar(name, [("", nbytes, tone)], size(nbytes)) for name, nbytes, tone in shown if nbytes]
    yield Chart("bars", "Memory by owner", f"At the peak: {size(whole)}.", rows=rows)


def changes(profile: Profile) -> Iterator[Chart]:
    """The changes that were measured, each with its rounds."""
    # An upper bound was measured of the stage, not of the change.
    known = [one for one in profile.findings or () if one.status != "ceiling"]
    found = [_measured(one.title, one.measured or {}) for one in known]
    over = "the pipeline as it is"
    if profile.fix is not None and profile.fix.steps:
        found = [_measured("All changes together", profile.fix.measured or {})]
        found += [_measured(step.title, factor_of(step)) for step in profile.fix.steps]
        over = "the best pipeline before it (of all together, over those of the pipeline as it is)"
    rows = [row for row in found if row is not None]
    if rows:
        yield Chart(
            "intervals",
            "Changes that were measured",
            f"Steps per second with a change, over those of {over}. Each small dot is a round, the line is the "
            f"interval at 98 %, and the band is what is too little to count: {percent(FLOOR)}.",
            rows=rows[:_MOST_ROWS],
            floor=(1 / (1 + FLOOR), 1 + FLOOR),
            ends=("slower", "faster"),
        )


def _measured(title: str, effect: Mapping[str, Any]) -> Interval | None:
    """What was measured of a change; None where nothing was."""
    if not effect.get("speedup"):
        return None
    text = describe_measured({**effect, "peak_rss_delta_bytes": None})
    return Interval(title, effect["speedup"], effect.get("low"), effect.get("high"), text, effect.get("pairs") or ())
