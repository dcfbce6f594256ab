"""Charts of memory: over time by owner, at the peak, and the buffers that TensorFlow tunes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pipeprof.cli.charts.areas import Bar, Layer, Level, Stack, bars
from pipeprof.cli.charts.lanes import MOST_POINTS, Lane, draw_lanes
from pipeprof.cli.charts.scales import largest, thinned
from pipeprof.cli.html.parts import Figure, Rows
from pipeprof.cli.html.steps import MOST_STRETCHES, bands_of
from pipeprof.cli.report.ledger import group_owners
from pipeprof.cli.report.memory import APART, trace_is_above_peak
from pipeprof.cli.report.names import name_rows
from pipeprof.cli.report.units import seconds
from pipeprof.profiles.wording import size, size_in_unit_of

if TYPE_CHECKING:
    from pipeprof.cli.charts.svg import Sheet
    from pipeprof.profiles.document.memory import MemorySeries
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

_MIB = 1024.0**2
_MOST_STAGES = 4
"""Stages with a layer of their own; the others share one."""
_SMALL = 0.01
"""Share of the peak below which a stage has no layer."""
_NEAR = 1.6
"""Times the peak up to which a limit is drawn."""
_CUT_FROM = 0.6
"""Share of the peak that TensorFlow itself has, from which the axis does not begin with 0."""
_MOST_LANES = 12
_MOST_CHOICES = 4
"""Of TensorFlow's, that stand below the chart; the table has all."""
_CLASSES = ("c-1", "c-2", "c-3", "c-4")


def memory_over_time(profile: Profile) -> Iterator[Figure]:
    """Resident memory over time: TensorFlow itself, the stages that hold something, and the rest."""
    times, resident = profile.series.seconds, profile.series.rss_bytes
    memory = profile.memory
    base = memory.baseline_bytes or 0
    first = next((index for index, value in enumerate(resident) if value >= base * 0.98), 0)
    # A file that was damaged may lack some of either.
    points = list(zip(times, resident, strict=False))[first:]
    if len(points) < 3 or points[-1][0] <= points[0][0]:
        return
    traced = (at for at, phase in enumerate(profile.series.phase[first:]) if phase == "trace")
    edges, rss, counted = _resampled(points, next(traced, len(points)))
    names = name_rows(profile.stages)
    looks = memory.series
    peak = max([*rss, float(memory.peak_bytes or 0)])
    held = (
        {stage: [_at(looks.seconds, values, edge) for edge in edges[:-1]] for stage, values in looks.stages.items()}
        if looks is not None
        else {}
    )
    large = sorted(held, key=lambda stage: -max(held[stage], default=0.0))
    own = [stage for stage in large if max(held[stage], default=0.0) >= _SMALL * peak][:_MOST_STAGES]
    layers = [Layer("TensorFlow itself", [min(base, value) / _MIB for value in rss], "c-base")] if base else []
    left = [max(value - base, 0.0) for value in rss]
    for stage, class_ in zip(own, _CLASSES, strict=False):
        values = [min(value, rest) for value, rest in zip(held[stage], left, strict=True)]
        left = [rest - value for rest, value in zip(left, values, strict=True)]
        layers.append(Layer(names.get(stage, stage), [value / _MIB for value in values], class_))
    rest_name = "rest of pipeline" if base else "resident memory"
    layers.append(Layer(rest_name, [value / _MIB for value in left], "c-rest"))
    limit = profile.host.memory_limit_bytes
    levels = [Level(limit / _MIB, f"limit {size(limit)}")] if limit and limit <= _NEAR * peak else []
    low = 50 * int(0.97 * base / _MIB / 50) if base >= _CUT_FROM * peak else 0
    caption = [f"Peak {size(memory.peak_bytes)}." if memory.peak_bytes else ""]
    caption += [f"The axis begins at {low:,} MiB." if low else ""]
    caption += [f"The limit of {size(limit)} is far above." if limit and not levels else ""]
    caption += [f"{APART[0].upper()}{APART[1:]}." if trace_is_above_peak(profile) else ""]
    stack = Stack(
        edges, layers, "MiB", lambda value: size(value * _MIB), bands_of(profile, edges[0], edges[-1]), levels, low
    )
    # As the peak: without the trace.
    at_peak = max(range(counted), key=rss.__getitem__)
    before = ", before the trace" if counted < len(rss) else ""
    legend = [
        (layer.class_, layer.name, f"at most {size(max(layer.values[:counted]) * _MIB)}")
        for layer in reversed(layers)
        if max(layer.values, default=0.0) > 0
    ]
    yield Figure(
        "memory-over-time",
        "Memory over time",
        stack.draw,
        f"Resident memory over {seconds(edges[-1] - edges[0])}; highest{before}"
        f", {size(rss[at_peak])}, after {seconds(edges[at_peak])}.",
        " ".join(filter(None, caption)),
        legend,
        Rows(
            ("from, s", *(f"{layer.name}, MiB" for layer in layers)),
            [
                (f"{edge:.2f}", *(f"{layer.values[index]:,.0f}" for layer in layers))
                for index, edge in enumerate(edges[:-1])
            ],
        ),
    )


def _resampled(points: Sequence[tuple[float, int]], traced: int) -> tuple[list[float], list[float], int]:
    """Edges of at most so many stretches, and the highest sample in each, so that no peak is lost.

    Args:
        traced: First sample of the trace, before which a stretch ends.

    Returns:
        The edges, the samples, and how many stretches there are before the trace; all where there is none before it.
    """
    size_of = -(-len(points) // MOST_STRETCHES)
    last = len(points) - 1
    starts = [*range(0, min(traced, last), size_of), *range(min(traced, last), last, size_of)]
    ends = [*starts[1:], len(points)]
    highest = [float(max(value for _, value in points[start:end])) for start, end in zip(starts, ends, strict=True)]
    counted = sum(start < traced for start in starts) or len(starts)
    return [*(points[start][0] for start in starts), points[last][0]], highest, counted


def _at(times: Sequence[float], values: Sequence[int | None], moment: float) -> float:
    """The latest known value at a moment; 0 before the first one."""
    index = bisect_right(times, moment) - 1
    while index >= 0 and values[index] is None:
        index -= 1
    return float(values[index] or 0) if index >= 0 else 0.0


def memory_at_peak(profile: Profile) -> Iterator[Figure]:
    """Who owned the peak."""
    memory = profile.memory
    groups = [(name, nbytes) for name, nbytes in group_owners(profile) if nbytes > 0]
    if not groups or memory.peak_bytes is None or not profile.shows_memory:
        return
    shown, rest = groups[:7], groups[7:]
    if rest:
        shown.append(("other", sum(nbytes for _, nbytes in rest)))
    rows = [Bar(name, [("", float(nbytes), "c-rest")], size(nbytes)) for name, nbytes in shown]
    when = "" if memory.ledger_at is None else f" after {seconds(memory.ledger_at.seconds)}, the last reading"
    write = size_in_unit_of(memory.peak_bytes)
    base = f", TensorFlow itself {write(memory.baseline_bytes)}" if memory.baseline_bytes else ""
    yield Figure(
        "memory-owners",
        "Who owns your pipeline's memory",
        partial(_draw, rows=rows),
        "; ".join(f"{name} {size(nbytes)}" for name, nbytes in shown) + ".",
        f"At the peak{when}: {write(memory.peak_bytes)}{base}.",
        table=Rows(("owner", "bytes"), [(name, size(nbytes)) for name, nbytes in shown]),
    )


def _draw(sheet: Sheet, rows: Sequence[Bar]) -> str:
    return bars(sheet, rows=rows, write=size)


def tuned(profile: Profile) -> Iterator[Figure]:
    """What stages held over time, and what TensorFlow chose for those that it tunes."""
    names = name_rows(profile.stages)
    stages = [stage for stage in profile.stages or () if stage.buffer_fill or stage.tunable]
    ends = [stage.buffer_fill[-1][0] for stage in stages if stage.buffer_fill]
    # What was read after the measured time is not of it.
    end = profile.steps.seconds if profile.steps else max(ends, default=0.0)
    lanes = [_lane(stage, names, end) for stage in stages if _filled(stage, end)][:_MOST_LANES]
    if not lanes:
        return
    chosen = [f"{names[stage.id]} {_choice(stage)}" for stage in stages if stage.tunable and _choice(stage)]
    more = f"; and {len(chosen) - _MOST_CHOICES:,} more" if chosen[_MOST_CHOICES:] else ""
    choices = f"TensorFlow chose, at the end: {'; '.join(chosen[:_MOST_CHOICES])}{more}." if chosen else ""
    none = "TensorFlow tunes no stage of this pipeline."
    caption = f"Elements in the buffers of stages during the measured time. {choices or none}"
    yield Figure(
        "buffers",
        "Buffers over time, and what AUTOTUNE chose",
        partial(draw_lanes, lanes=lanes, start=0.0, end=end),
        "; ".join(f"{lane.name}: {lane.note}" for lane in lanes) + ".",
        caption,
        table=Rows(
            ("stage", "most held", "calls", "tuned by TensorFlow"), [_row(stage, names, end) for stage in stages]
        ),
    )


def tuned_over_time(profile: Profile) -> Iterator[Figure]:
    """What AUTOTUNE had in force from the first batch on, for each stage that it tunes."""
    looks, names = profile.memory.series, name_rows(profile.stages)
    stages = [stage for stage in profile.stages or () if looks is not None and any(looks.tuned.get(stage.id, ()))]
    if looks is None or not stages:
        return
    lanes = [_tuned_lane(stage, names, looks) for stage in stages][:_MOST_LANES]
    series = profile.series
    begins = next((at for at, phase in zip(series.seconds, series.phase, strict=True) if phase == "measure"), None)
    since = f" The measured time begins at {begins:.1f} s." if begins is not None else ""
    yield Figure(
        "autotune-over-time",
        "What AUTOTUNE chose over time",
        partial(draw_lanes, lanes=lanes, start=looks.seconds[0], end=looks.seconds[-1]),
        "; ".join(f"{lane.name}: {lane.note}" for lane in lanes) + ".",
        f"Calls at a time, or elements of a buffer, as TensorFlow had them in force.{since}",
        table=Rows(
            ("at, s", *(lane.name for lane in lanes)),
            [
                (f"{at:.2f}", *(_number(looks.tuned[stage.id][index]) for stage in stages[:_MOST_LANES]))
                for index, at in enumerate(looks.seconds)
            ],
        ),
        half=True,
    )


def _tuned_lane(stage: Stage, names: dict[str, str], looks: MemorySeries) -> Lane:
    points = [(at, one) for at, one in zip(looks.seconds, looks.tuned[stage.id], strict=True) if one is not None]
    what = "calls at a time" if stage.buffer_size is None else "elements in its buffer"
    first, last = points[0][1], points[-1][1]
    most = largest(value for _, value in points)
    went = [first, last] if most == max(first, last) else [first, most, last]
    note = " → ".join(_number(value) for value in dict.fromkeys(went))
    return Lane(names[stage.id], f"{note} {what}", points=points, top=f"{_number(most)} {what}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _filled(stage: Stage, end: float) -> list[tuple[float, float]]:
    """What its buffer held, up to a moment."""
    return [(at, value) for at, value in stage.buffer_fill or () if at <= end]


def _lane(stage: Stage, names: dict[str, str], end: float) -> Lane:
    points = _filled(stage, end)
    most = largest(value for _, value in points)
    note = f"at most {most:,.0f} elements" + (f" · {_choice(stage)}" if stage.tunable and _choice(stage) else "")
    # Once for both widths.
    return Lane(names[stage.id], note, points=thinned(points, MOST_POINTS), top=f"{most:,.0f} elements")


def _choice(stage: Stage) -> str:
    """What TensorFlow chose, at the end."""
    parts = [f"{stage.parallelism:.3g} calls at a time"] if stage.parallelism is not None else []
    parts += [f"a buffer of {stage.buffer_size:,.0f}"] if stage.buffer_size is not None else []
    return " and ".join(parts)


def _row(stage: Stage, names: dict[str, str], end: float) -> tuple[str, ...]:
    points = _filled(stage, end)
    most = f"{largest(value for _, value in points):,.0f}" if points else ""
    calls = f"{stage.parallelism:.3g}" if stage.parallelism is not None else ""
    return names[stage.id], most, calls, _choice(stage) if stage.tunable else "no"
