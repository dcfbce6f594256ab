"""Chrome's trace format, which Perfetto opens: phases, steps, gaps, stages, memory and buffers as tracks over time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipeprof.cli.formats.registry import Format, Output

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

_RUN, _STAGES = 1, 2
"""Numbers of the processes under which a viewer shows the tracks."""
_PHASES, _GAPS, _STEPS = 1, 2, 3
"""Numbers of their threads."""
_LEAST_US = 0.001
"""A slice without a length is drawn as none."""
_NOTHING: dict[str, Any] = {}
Event = dict[str, Any]


def trace_events(profile: Profile) -> list[Event]:
    """The events of a profile, times in microseconds since the worker started."""
    starts = _starts(profile)
    return [
        *_names(profile),
        *_phases(profile, starts),
        *_steps(profile, starts.get("measure", 0.0)),
        *_gaps(profile, starts.get("measure", 0.0)),
        *_stages(profile, starts.get("measure", 0.0)),
        *_counters(profile),
    ]


def _starts(profile: Profile) -> dict[str, float]:
    """When each phase began, in seconds; from the samples, where there are any."""
    found: dict[str, float] = {}
    at = 0.0
    for phase in profile.phases:
        found[phase.name] = at
        at += phase.seconds or 0.0
    series = profile.series
    if series is not None:
        seen: dict[str, float] = {}
        for seconds, name in zip(series.seconds, series.phase, strict=False):
            seen.setdefault(name, seconds)
        found |= seen
    return found


def _names(profile: Profile) -> Iterator[Event]:
    for process, name in ((_RUN, f"pipeprof {profile.target.text}"), (_STAGES, "time per batch, by stage")):
        yield _event("M", "process_name", process, args={"name": name})
    for thread, name in ((_PHASES, "phases"), (_GAPS, "longest gaps"), (_STEPS, "steps")):
        yield _event("M", "thread_name", _RUN, thread, args={"name": name})
    for thread, stage in enumerate(profile.stages or (), 1):
        yield _event("M", "thread_name", _STAGES, thread, args={"name": stage.name or stage.op})


def _phases(profile: Profile, starts: dict[str, float]) -> Iterator[Event]:
    ended = [phase for phase in profile.phases if phase.seconds is not None]
    spans = [(starts[phase.name], phase.seconds or 0.0, phase.name, _NOTHING) for phase in ended]
    yield from _in_a_row((_RUN, _PHASES), spans)


def _steps(profile: Profile, start: float) -> Iterator[Event]:
    """A slice for each stretch of steps, and their means as counters, which a viewer draws as curves."""
    course = profile.series.steps if profile.series is not None else None
    if course is None:
        return
    means = {
        "step interval, ms": course.interval_ms,
        "wait for data, ms": course.wait_ms,
        "device busy, ms": course.busy_ms,
    }
    known = {name: values for name, values in means.items() if values is not None}
    begins = [start + at for at in (0.0, *course.seconds[:-1])]
    spans = []
    for index, (begin, end) in enumerate(zip(begins, course.seconds, strict=True)):
        length, facts = start + end - begin, {name: values[index] for name, values in known.items()}
        steps = round(1e3 * length / course.interval_ms[index]) if course.interval_ms[index] else 0
        spans.append((begin, length, "steps", {"steps": steps, **facts}))
    yield from _in_a_row((_RUN, _STEPS), spans)
    for name, values in known.items():
        yield from _counter(name, begins, values)


def _gaps(profile: Profile, start: float) -> Iterator[Event]:
    # The table of ops comes with these words, which is no part of the help.
    from pipeprof.profiles.wording import CAUSE_WORDS

    gaps = profile.device.gaps if profile.device is not None else None
    # Those of a trace are not of the measured steps.
    longest = gaps.longest if gaps is not None and gaps.seconds is None else []
    spans = [(start + gap.start_s, gap.ms / 1e3, CAUSE_WORDS.get(gap.cause, gap.cause), _NOTHING) for gap in longest]
    yield from _in_a_row((_RUN, _GAPS), spans)


def _in_a_row(track: tuple[int, int], spans: Iterable[tuple[float, float, str, dict[str, Any]]]) -> Iterator[Event]:
    """Slices of one track, given as start, seconds, name and facts; slices that overlap would be dropped by viewers."""
    ordered = sorted(spans, key=lambda span: span[:3])
    ends = [*(start for start, *_ in ordered[1:]), math.inf]
    for (start, seconds, name, facts), following in zip(ordered, ends, strict=False):
        yield _slice(name, track, (start, min(seconds, following - start)), facts)


def _stages(profile: Profile, start: float) -> Iterator[Event]:
    """One slice for each stage, as long as its time per batch: not when it ran, but how much of it there is."""
    for thread, stage in enumerate(profile.stages or (), 1):
        if stage.time_ms_per_batch:
            place = f"{stage.location.file}:{stage.location.line}" if stage.location is not None else ""
            facts = {"op": stage.op, "place": place, "share": stage.share, "executed": stage.executed or ""}
            yield _slice("mean of a batch", (_STAGES, thread), (start, stage.time_ms_per_batch / 1e3), facts)


def _counters(profile: Profile) -> Iterator[Event]:
    series, memory = profile.series, profile.memory.series
    if series is not None:
        yield from _counter("resident memory, bytes", series.seconds, series.rss_bytes)
        yield from _counter("CPU, cores", series.seconds, series.cpu_cores)
        yield from _counter("batches per second", series.seconds, series.batches_per_second)
    if memory is not None:
        names = {stage.id: stage.name or stage.op for stage in profile.stages or ()}
        yield from _counter("tensors in TensorFlow's pool, bytes", memory.seconds, memory.live_bytes)
        for stage, held in memory.stages.items():
            yield from _counter(f"buffer of {names.get(stage, stage)} ({stage}), bytes", memory.seconds, held)


def _counter(name: str, seconds: Sequence[float], values: Sequence[float | None]) -> Iterator[Event]:
    for at, value in zip(seconds, values, strict=False):
        if value is not None:
            yield _event("C", name, _RUN, ts=_us(at), args={"value": value})


def _slice(name: str, track: tuple[int, int], span: tuple[float, float], args: dict[str, Any]) -> Event:
    """A slice of a process and thread, from its start on for as long as it took, in seconds."""
    return _event("X", name, *track, ts=_us(span[0]), dur=max(_us(span[1]), _LEAST_US), args=args)


def _event(kind: str, name: str, process: int, thread: int = 0, **more: Any) -> Event:
    return {"ph": kind, "name": name, "cat": "pipeprof", "pid": process, "tid": thread, **({"ts": 0.0} | more)}


def _us(seconds: float) -> float:
    return round(1e6 * max(seconds, 0.0), 3)


def _render(output: Output) -> str:
    profile = output.profile
    about = {"tool": f"pipeprof {profile.tool.version}", "target": profile.target.text}
    if profile.verdict is not None:
        about["verdict"] = profile.verdict.sentence
    events = trace_events(profile)
    # Each event on a line of its own: what other tools append, or a person looks for, is found.
    lines = ",\n".join(map(json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode, events))
    head = json.dumps({"displayTimeUnit": "ms", "otherData": about}, ensure_ascii=False)[1:-1]
    return f'{{{head}, "traceEvents": [\n{lines}\n]}}\n'


FORMAT = Format("trace", (".trace.json", ".trace.json.gz"), frozenset({"run", "show"}), _render, order=80, exact=True)
