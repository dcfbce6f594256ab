"""Charts of the steps: over time, before and after a change, and how their times are spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pipeprof.cli.charts.areas import Band, Bar, Layer, Stack, bars
from pipeprof.cli.charts.histogram import bins_of, draw_histogram
from pipeprof.cli.charts.lanes import Lane, draw_lanes
from pipeprof.cli.charts.svg import Sheet
from pipeprof.cli.html.parts import Figure, Rows
from pipeprof.cli.report.findings import describe_measured
from pipeprof.cli.report.units import seconds
from pipeprof.profiles.wording import CAUSE_WORDS, milliseconds, percent, ratio_text, significant

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Steps

MOST_STRETCHES = 150
"""Of a chart over time: more are less than a pixel each on a telephone."""
_LEAST_BATCHES = 3
"""In a stretch: the counter is read from outside, a few times per second, so that one batch says nothing."""
PHASES = {
    "import": "import",
    "data": "data",
    "build": "build",
    "first_element": "first batch",
    "warmup": "warm-up",
    "measure": "measured",
    "trace": "trace",
}
_IN_STEPS = ("warmup", "measure")
_WORTH = 0.02
"""Share of the time from which idle time that is not the pipeline's has a layer."""


@dataclass(frozen=True)
class Stretches:
    """Means of the steps over time, in milliseconds.

    Attributes:
        edges: Seconds, one more than there are stretches.
        intervals: From one batch to the next one.
        waits: Of that, without work; None where that is not known for each stretch.
        busy: Of that, the device at work.
        own: The seconds are those since the measured window began, not those since the process started.
    """

    edges: list[float]
    intervals: list[float]
    waits: list[float] | None = None
    busy: list[float] | None = None
    own: bool = False


def stretches_of(profile: Profile) -> Stretches | None:
    """Means over time as the loop counted them, else from the samples of the rate; None where there are too few."""
    course = profile.series.steps
    if course is not None and course.seconds:
        return Stretches([0.0, *course.seconds], course.interval_ms, course.wait_ms, course.busy_ms, own=True)
    return _sampled(profile)


def _sampled(profile: Profile) -> Stretches | None:
    """Mean intervals from the samples of the rate while steps ran, for documents of earlier versions."""
    series = profile.series
    marks: list[tuple[float, float]] = []
    count = 0.0
    times, rates = series.seconds, series.batches_per_second
    with_rates = {phase for phase, rate in zip(series.phase, rates, strict=True) if rate and phase in _IN_STEPS}
    for index in range(1, len(times)):
        # Batches of a warm-up that nothing counted are not those of its long first ones.
        if series.phase[index] not in with_rates:
            continue
        if not marks:
            marks.append((times[index - 1], 0.0))
        batches = (rates[index] or 0.0) * (times[index] - times[index - 1])
        count += max(batches, 0.0)
        if batches > 0:
            marks.append((times[index], count))
    if len(marks) < 3:
        return None
    least = max(_LEAST_BATCHES, count / MOST_STRETCHES)
    edges, intervals, last = [marks[0][0]], [], marks[0]
    for second, total in marks[1:]:
        if total - last[1] >= least and second > last[0]:
            edges.append(second)
            intervals.append(1000 * (second - last[0]) / (total - last[1]))
            last = (second, total)
    return Stretches(edges, intervals) if len(intervals) >= 2 else None


def bands_of(profile: Profile, first: float, last: float) -> list[Band]:
    """The phases between two moments, as the samples have them."""
    starts: list[tuple[float, str]] = []
    end = first
    for second, phase in zip(profile.series.seconds, profile.series.phase, strict=True):
        if not first <= second <= last:
            continue
        name = PHASES.get(phase, phase)
        if not starts or starts[-1][1] != name:
            starts.append((end if starts else second, name))
        end = second
    ends = [start for start, _ in starts[1:]] + [end]
    return [Band(start, until, name) for (start, name), until in zip(starts, ends, strict=False)]


def over_time(profile: Profile) -> Iterator[Figure]:
    """Step times over time: what the device did in them, and what it waited for."""
    found, steps = stretches_of(profile), profile.steps
    if found is None or steps is None:
        return
    busy = steps.busy_ms.mean if steps.busy_ms is not None and steps.wait_ms is not None else None
    name = "batch to batch" if steps.dispatch is None else "step to step"
    caption = "Means of stretches of steps."
    if busy is None:
        layers = [Layer(name, found.intervals, "c-main")]
        legend = [("c-main", name, f"{milliseconds(steps.interval_ms.mean)} on average")]
    elif found.waits is not None and found.busy is not None:
        parts = zip(found.intervals, found.waits, found.busy, strict=True)
        # With steps in flight the device may still be at work while the loop waits.
        at_work = [min(work, max(interval - wait, 0.0)) for interval, wait, work in parts]
        layers = [Layer("device busy", at_work, "c-main"), Layer("waits for data", found.waits, "c-wait")]
        rest = [
            max(interval - wait - work, 0.0)
            for interval, wait, work in zip(found.intervals, found.waits, at_work, strict=True)
        ]
        if sum(rest) >= _WORTH * sum(found.intervals):
            layers.append(Layer("idle, other causes", rest, "c-rest"))
        legend = [("c-wait", "waits for data", milliseconds(steps.known_wait_ms))]
        legend.append(("c-main", "device busy", milliseconds(busy)))
        legend = [*([("c-rest", "idle, other causes", "")] if layers[2:] else []), *legend]
    else:
        at_work = [min(busy, interval) for interval in found.intervals]
        waiting = [interval - work for interval, work in zip(found.intervals, at_work, strict=True)]
        layers = [Layer("device busy", at_work, "c-main"), Layer("waits", waiting, "c-wait")]
        legend = [("c-wait", "waits", milliseconds(steps.known_wait_ms)), ("c-main", "device busy", milliseconds(busy))]
        caption += f" Busy is the mean of all steps, {milliseconds(busy)}; the rest waits."
    bands = () if found.own else bands_of(profile, found.edges[0], found.edges[-1])
    stack = Stack(found.edges, layers, "ms", milliseconds, bands, height=150)
    quantiles = steps.interval_ms
    length = seconds(found.edges[-1] - found.edges[0])
    shown = (
        f"Intervals between steps over {length}: mean {milliseconds(quantiles.mean)}, "
        f"median {milliseconds(quantiles.p50)}, 95 of 100 at most {milliseconds(quantiles.p95)}."
    )
    rows = [
        (f"{start:.2f}", *(significant(layer.values[index]) for layer in layers))
        for index, start in enumerate(found.edges[:-1])
    ]
    table = Rows(("from, s", *(f"{layer.name}, ms" for layer in layers)), rows)
    yield Figure("steps-over-time", "Step time over time", stack.draw, shown, caption, legend, table, half=True)


def before_and_after(
    profile: Profile, title: str, measured: dict[str, Any] | None, status: str = "kept"
) -> Iterator[Figure]:
    """The mean step as it is and with a change that was measured.

    Args:
        title: Of the change.
        status: Of its finding: with `ceiling` it is an upper bound.
    """
    steps, speedup = profile.steps, (measured or {}).get("speedup")
    if steps is None or not speedup or not steps.interval_ms.mean > 0 or measured is None:
        return
    whole = steps.interval_ms.mean
    busy = steps.busy_ms.mean if steps.busy_ms is not None else 0.0
    low, high = measured.get("low"), measured.get("high")
    after = whole / speedup
    rows = [
        Bar("as it is", _parts(whole, busy), milliseconds(whole)),
        Bar(
            title,
            _parts(after, busy),
            f"{milliseconds(after)} · {ratio_text(speedup)}",
            whole / high if low and high else None,
            whole / low if low and high else None,
        ),
    ]
    has_step = busy > 0
    legend = [("c-main", "device busy", ""), ("c-wait", "waits", "")] if has_step else []
    heading = "Step time before and after" if status != "ceiling" else "Step time as it is, and with the stage for free"
    yield Figure(
        "before-and-after",
        heading,
        partial(_draw_bars, rows=rows),
        f"As it is {milliseconds(whole)} per step; with {title} {milliseconds(after)}: {describe_measured(measured)}.",
        f"Both were measured side by side, {describe_measured({**measured, 'peak_rss_delta_bytes': None})}; the second "
        "bar is this run's mean step divided by that.",
        legend,
        half=True,
    )


def _draw_bars(sheet: Sheet, rows: Sequence[Bar]) -> str:
    return bars(sheet, rows=rows, write=milliseconds)


def _parts(whole: float, busy: float) -> list[tuple[str, float, str]]:
    if not busy:
        return [("batch to batch", whole, "c-main")]
    work = min(busy, whole)
    return [("device busy", work, "c-main"), ("waits", whole - work, "c-wait")]


def spread(profile: Profile) -> Iterator[Figure]:
    """The histogram of the steps with their quantiles."""
    steps = profile.steps
    bins = bins_of(profile.series.interval_histogram_ms)
    if steps is None or not bins:
        return
    marks, many = _quantiles(steps), f"{steps.count:,} step{'' if steps.count == 1 else 's'}"
    yield Figure(
        "step-times",
        "How step times are spread",
        partial(draw_histogram, bins=bins, marks=marks, write=milliseconds),
        f"{many}: " + ", ".join(f"{name} {milliseconds(value)}" for name, value in marks) + ".",
        f"{many}; times on a logarithmic axis.",
        table=Rows(
            ("from", "to", "steps"), [(milliseconds(one.low), milliseconds(one.high), f"{one.count:,}") for one in bins]
        ),
        half=True,
    )


def _quantiles(steps: Steps) -> list[tuple[str, float]]:
    return [("p50", steps.interval_ms.p50), ("p95", steps.interval_ms.p95)]


def gaps(profile: Profile) -> Iterator[Figure]:
    """The longest gaps over time, a lane for each cause."""
    found = profile.device.gaps if profile.device is not None else None
    if found is None or not found.longest:
        return
    measured = profile.steps.seconds if profile.steps else 0.0
    end = max([found.seconds or measured, *(gap.start_s + gap.ms / 1000 for gap in found.longest)])
    total = sum(found.by_cause.values())
    causes = sorted(((value, cause) for cause, value in found.by_cause.items() if value > 0), reverse=True)
    lanes = []
    for value, cause in causes:
        name = CAUSE_WORDS.get(cause, cause)
        spans = [
            (gap.start_s, gap.ms / 1000, f"{name}: {milliseconds(gap.ms)} at {gap.start_s:.2f} s")
            for gap in found.longest
            if gap.cause == cause
        ]
        note = f"{seconds(value)} in all, {percent(value / total)}" if total else ""
        lanes.append(Lane(name, note, spans))
    if not lanes:
        return
    listed = ", ".join(f"{CAUSE_WORDS.get(cause, cause)} {seconds(value)}" for value, cause in causes)
    longest = sorted(found.longest, key=lambda gap: gap.start_s)
    yield Figure(
        "gaps",
        "When the device had nothing to do",
        partial(draw_lanes, lanes=lanes, start=0.0, end=end),
        f"{found.count:,} gaps by cause: {listed}.",
        f"{found.count:,} gaps; the {len(found.longest)} longest are drawn, from the beginning of the "
        f"{'traced' if found.seconds is not None else 'measured'} time.",
        table=Rows(
            ("at, s", "length", "cause"),
            [(f"{gap.start_s:.2f}", milliseconds(gap.ms), CAUSE_WORDS.get(gap.cause, gap.cause)) for gap in longest],
        ),
        half=True,
    )
