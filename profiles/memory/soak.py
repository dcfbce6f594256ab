"""The soak of a profile: from the worker's readings to what the report says, in one or two sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pipeprof.profiles.document.memory import MemoryGrowth, Soak, SoakEnd
from pipeprof.profiles.memory.growth import IN_USE, LEAK_BYTES, Slope, SoakJudgement, judge, theil_sen
from pipeprof.profiles.wording import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.memory.growth import SoakLog, SoakPoint

GARBAGE = 0.5
"""Share of a growth that Python's garbage collector has to free in the end, so that it is no growth."""

SLOW = 7 * 86_400.0
"""Seconds for which memory has to last, so that a growth matters to no training: that of a history of numbers."""
FARTHEST = 366 * 86_400.0
"""Seconds beyond which no end is reported."""
ADVICE: dict[str | None, str] = {
    "stages": "Bound what the pipeline holds: a smaller shuffle, or a cache of data that has an end.",
    "python": "Keep numbers instead of arrays, limit how many are kept, or write them to a file; Python's tracemalloc "
    "names the lines that made them.",
    "rest": "Keep no iterator, dataset, tf.function or tensor of an epoch that is over (float(loss), not loss); memray "
    "names what allocates the memory of a library.",
    None: "Let the soak finish: its last part looks for what grows.",
}
"""What to do, by what grows."""
OWNERS: dict[str | None, str] = {
    "stages": "the pipeline's stages hold what stays",
    "python": "Python's heap grows",
    "rest": "it is neither in Python's heap nor in the pipeline's buffers, but TensorFlow's or another library's",
    None: "the run ended before what grows was looked for",
}
_GREW = {
    "filling": ", held by the pipeline's stages, caches and buffers that fill: soak longer to see a plateau.",
    "garbage": ", and Python's garbage collector freed it in the end: objects that refer to each other stay until it "
    "runs. gc.collect() after an epoch frees them.",
    "unclear": " within a few epochs, which is no evidence of a leak: soak longer.",
}
"""What became of a growth that is no leak for certain, by state."""
_DAY, _HOUR, _MINUTE = 86_400.0, 3600.0, 60.0


def soak_of(
    log: SoakLog, freed: int | None, limit: int | None, used: int | None = None
) -> tuple[Soak, MemoryGrowth | None]:
    """Judge a soak, also one under way.

    Args:
        freed: Bytes that Python's garbage collector freed in the end; None where unknown.
        used: Memory with child processes' now; that of the last point if None.
    """
    judged = judge(log.points)
    if judged.state == "growth" and freed is not None and freed >= GARBAGE * judged.grown:
        judged = replace(judged, state="garbage")
    slope = judged.slope
    now = used or (judged.tail[-1].rss if judged.tail else 0)
    # What is kept is in use; when memory ends is up to what is resident.
    pace = judged.pace or slope
    ends = end_of(now, pace, limit) if pace is not None and judged.tail else None
    if judged.state == "growth" and limit is not None and now < limit and (ends is None or ends.seconds > SLOW):
        judged = replace(judged, state="slow")
    grows, each = judged.state == "growth" and slope is not None, judged.bytes_per_epoch
    rate = slope if judged.state in ("growth", "slow", "filling", "unclear", "garbage") else None
    if grows and slope is not None and pace is not None:
        rate = pace
        each = each * pace.value / slope.value if each is not None else None
    last = log.points[-1] if log.points else None
    soak = Soak(
        seconds=last.t if last is not None else 0.0,
        state=judged.state,
        since_epoch=judged.since_epoch if judged.state == "plateau" else None,
        since_seconds=judged.since if judged.state == "plateau" else None,
        bytes_per_second=rate.value if rate is not None else None,
        low=rate.low if rate is not None else None,
        high=rate.high if rate is not None else None,
        bytes_per_epoch=each if rate is not None else None,
        owner=owner_of(judged, log.python) if grows or judged.state == "filling" else None,
        ends=ends if grows or judged.state in ("slow", "filling") else None,
        sampler_cores=log.cores,
        series=log.series(),
    )
    soak = soak.model_copy(update={"sentence": soak_text(soak)})
    if rate is None or not grows:
        return soak, None
    return soak, _growth(judged, rate, judged.grown if judged.tail[-1].in_use is not None else None, each)


def owner_of(judged: SoakJudgement, python: Sequence[SoakPoint]) -> Literal["stages", "python", "rest"] | None:
    """Return what takes most of a growth: the pipeline's stages, Python's heap or the rest; None where unknown.

    Growth is compared by steps: while Python's allocations are traced a step takes longer.

    Args:
        python: What Python had allocated, while that was traced.
    """
    if judged.state == "filling":
        return "stages"
    found = judge(python, warm=True)
    if found.slope is None:
        return None
    per_second = judged.grown / _lasted(judged.tail)
    buffered = [(point.t, float(point.buffered)) for point in judged.tail if point.buffered is not None]
    held = theil_sen(*zip(*buffered, strict=True)).value / per_second if buffered else 0.0
    made = found.slope.value * _seconds_per_step(found.tail) / (per_second * _seconds_per_step(judged.tail))
    if held >= max(made, 1 - held - made):
        return "stages"
    return "python" if made >= 1 - held - made else "rest"


def _lasted(tail: Sequence[SoakPoint]) -> float:
    return tail[-1].t - tail[0].t


def _seconds_per_step(tail: Sequence[SoakPoint]) -> float:
    """Return 1 where there are no steps: then growth is compared by time."""
    return _lasted(tail) / ((tail[-1].steps - tail[0].steps) or _lasted(tail))


def end_of(used: int, slope: Slope, limit: int | None) -> SoakEnd | None:
    """Return when memory reaches the limit at this rate; None where that is not known, or far."""
    if limit is None or used >= limit or slope.low <= 0 or (limit - used) / slope.value > FARTHEST:
        return None
    room = limit - used
    return SoakEnd(
        seconds=room / slope.value, low=room / slope.high, high=min(room / slope.low, 10 * FARTHEST), limit_bytes=limit
    )


def _growth(judged: SoakJudgement, rate: Slope, in_use: int | None, each: float | None = None) -> MemoryGrowth:
    tail = judged.tail
    steps = tail[-1].steps - tail[0].steps
    scale = (tail[-1].t - tail[0].t) / steps * 1e3 / 1e6 if steps else 0.0
    return MemoryGrowth(
        mb_per_1000_steps=rate.value * scale,
        low=max(-1e12, rate.low * scale),
        high=min(1e12, rate.high * scale),
        windows=len(tail),
        leak=True,
        bytes=judged.grown,
        steps=steps,
        in_use_bytes=in_use,
        mb_per_epoch=each / 1e6 if each is not None else None,
    )


def suspected(points: Sequence[SoakPoint], in_use: int | None, *, warm: bool = False) -> MemoryGrowth | None:
    """Judge resident memory over the measured steps of a run without a soak; None if it does not clearly grow.

    Args:
        points: Memory at some of the measured steps; their `t` is the number of the step, so that time between two
            epochs does not count.
        in_use: Bytes by which memory in use grew over these steps. The rest of a growth is freed memory that an
            allocator keeps. None where that is not known.
        warm: All buffers were full before the first of them.
    """
    judged = judge(points, warm=warm)
    several = len({point.epoch for point in judged.tail}) > 2
    certain = judged.state == "growth" or (judged.state == "unclear" and several)
    if judged.slope is None or not certain or judged.grown < LEAK_BYTES:
        return None
    if in_use is None or in_use < IN_USE * (points[-1].rss - points[0].rss):
        return None
    steps, tail = points[-1].steps - points[0].steps, judged.tail[-1].steps - judged.tail[0].steps
    return _growth(judged, judged.slope, round(in_use * tail / steps), judged.bytes_per_epoch)


def soak_text(soak: Soak) -> str:
    """State plateau or growth, what grows and when memory ends."""
    if soak.state == "growth":
        words = soak_words(soak)
        ends = f" {_end_text(soak.ends)}" if soak.ends is not None else ""
        return f"{words[0].upper()}{words[1:]}.{ends}"
    if soak.state == "plateau":
        return f"Memory in use: plateau{_since(soak)}."
    return _no_answer(soak)


def _no_answer(soak: Soak) -> str:
    """State a growth that is no leak, or not yet."""
    amount = f" by {_rate(soak)}" if soak.bytes_per_second else ""
    if soak.state == "slow":
        lasts = f" Memory lasts for {duration_text(soak.ends.seconds)}." if soak.ends is not None else ""
        return f"Memory in use grows{amount}, which is too slow to matter.{lasts}"
    if soak.state in _GREW:
        ends = f" {_end_text(soak.ends)}" if soak.ends is not None else ""
        return f"Memory in use grew{amount}{_GREW[soak.state]}{ends}"
    return f"The soak of {duration_text(soak.seconds)} was too short to tell plateau from growth: soak longer."


def soak_words(soak: Soak) -> str:
    """State a growth and what grows, without its end."""
    low, high = size(max(0.0, soak.low or 0.0) * _HOUR), size(max(0.0, soak.high or 0.0) * _HOUR)
    return f"memory grows by {_rate(soak)} ({low} to {high} in an hour): {OWNERS[soak.owner]}"


def _since(soak: Soak) -> str:
    if soak.since_epoch is not None:
        return f" after epoch {max(1, soak.since_epoch)}"
    return f" after {duration_text(soak.since_seconds)}" if soak.since_seconds else ", from the end of the warm-up on"


def _rate(soak: Soak) -> str:
    if soak.bytes_per_epoch is not None:
        return f"{size(max(0.0, soak.bytes_per_epoch))} in each epoch"
    return f"{size(max(0.0, soak.bytes_per_second or 0.0) * _HOUR)} in an hour"


def _end_text(ends: SoakEnd) -> str:
    low, high = duration_text(ends.low), duration_text(ends.high)
    about = duration_text(ends.seconds)
    return f"Memory runs out in about {about} at this rate ({low} to {high}; limit {size(ends.limit_bytes)})."


def duration_text(seconds: float) -> str:
    """Write a duration in two units.

    Example:
        >>> duration_text(12_030), duration_text(75), duration_text(9), duration_text(200_000)
        ('3 h 20 min', '1 min 15 s', '9 s', '2 d 8 h')
    """
    for unit, name, part, small in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1.0, "s")):
        if seconds >= unit:
            parts = round(seconds / part)
            whole, rest = divmod(parts, round(unit / part))
            return f"{whole:,} {name} {rest} {small}" if rest else f"{whole:,} {name}"
    return f"{seconds:.0f} s"
