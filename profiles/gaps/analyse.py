"""From a trace to its idle time: window, gaps, causes, and what the longest gaps were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from pipeprof.pipelines.ops.executed_ops import written_op
from pipeprof.profiles.document.shared import Gap, Gaps
from pipeprof.profiles.gaps.attribution import NO_THREAD, Attribution, Parts
from pipeprof.profiles.gaps.document import DeviceGaps, HostAction, TraceGaps, Verdict
from pipeprof.profiles.gaps.guards import Withheld, guard_device, guard_trace
from pipeprof.profiles.gaps.intervals import clip, complement, covered, length, overlap, union
from pipeprof.profiles.gaps.names import CAUSES, OP, PIPELINE, STAGE, TURN, loader_of
from pipeprof.profiles.gaps.trace import COPY, KERNEL
from pipeprof.profiles.gaps.wording import file_name, notes_of_folder, sentence_of, sentence_of_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeprof.profiles.document.shared import GapCause
    from pipeprof.profiles.gaps.trace import DeviceTrace

    Times = NDArray[np.int64]

LITTLE_IDLE: Final = 0.05
"""Idle share below which there is little to gain from any cause."""
MOST_GAPS: Final = 10
_STRAGGLES: Final = 0.1
"""Share of the window by which a straggler works longer than the median of the other devices."""
_IN_STEPS: Final = 0.5
"""Share of a device's work that must lie in the steps for them to be the window."""
_LEAST_STEPS: Final = 2
"""The host's marks are a window from this number on: the first one includes the start of the profiler."""
_LATE: Final = 0.5
"""Share of the wait that the late stage is at work, against the stage that is longest."""


def analyse(trace: DeviceTrace, file: str, number: int) -> tuple[TraceGaps, list[DeviceGaps]]:
    """Find the idle time of all devices that have worked, and its causes.

    Args:
        file: For people.
        number: Index of the trace in the report.
    """
    return _analyse(trace, (file, number), None)[:2]


@dataclass(frozen=True)
class StepTimes:
    """Seconds of each step, arrays of shape (steps,), the mean of all devices that compute.

    Attributes:
        waits: They idle while the host is in the input call.
    """

    waits: NDArray[np.float64]
    busy: NDArray[np.float64]


def analyse_steps(trace: DeviceTrace, file: str, steps: Times) -> tuple[TraceGaps, list[DeviceGaps], StepTimes]:
    """Find the same in some steps alone, and how much of it is in each.

    Args:
        file: For people.
        steps: Begins and ends, shape (steps, 2), in order: they are the window, and what lies between them is not.
    """
    found, results, devices = _analyse(trace, (file, 0), steps)
    computing = [device for device in devices if device.computes]
    none = [np.zeros(len(steps))]
    waits = [covered(*device.waits, *steps.T) / 1e9 for device in computing]
    busy = [covered(*device.busy, *steps.T) / 1e9 for device in computing]
    return found, results, StepTimes(np.mean(waits or none, axis=0), np.mean(busy or none, axis=0))


def _analyse(
    trace: DeviceTrace, place: tuple[str, int], steps: Times | None
) -> tuple[TraceGaps, list[DeviceGaps], list[_Device]]:
    attribution = Attribution(trace)
    general = guard_trace(trace, attribution)
    devices = [
        _Device(trace, attribution, general, device, steps)
        for device in range(len(trace.devices))
        if (trace.work.device == device).any()
    ]
    file, number = place
    results = [device.result(number) for device in devices]
    count = len(trace.steps) if steps is None else len(steps)
    found = TraceGaps(file=file, format=trace.origin, steps=count, notes=list(trace.damage))
    _sum_up(found, results)
    found.sentence = sentence_of(found, results)
    return found, results, devices


def analyse_folder(name: str, members: Sequence[tuple[TraceGaps, Sequence[DeviceGaps]]]) -> TraceGaps:
    """Find what several traces, each with a clock of its own, say together: those of them that can tell.

    Args:
        name: The folder's, for people.
        members: Each trace with its devices.
    """
    traces = [trace for trace, _ in members]
    found = TraceGaps(
        file=name,
        format=next((trace.format for trace in traces if trace.readable), ""),
        steps=max((trace.steps for trace in traces), default=0),
    )
    devices = [(f"{one.name} of {file_name(trace)}", one) for trace, its in members for one in its if one.computes]
    known = [(name, one) for name, one in devices if one.idle_share is not None]
    if known:
        _add_up(found, known, explained=any(not one.why_no_causes for _, one in known))
    found.sentence = sentence_of_folder(found, members)
    found.notes += notes_of_folder(members)
    return found


def _sum_up(found: TraceGaps, devices: list[DeviceGaps]) -> None:
    """Fill in what the devices that compute say together."""
    known = [(one.name, one) for one in devices if one.computes and one.idle_share is not None]
    if known and len(known) == sum(one.computes for one in devices):
        _add_up(found, known, explained=not any(one.why_no_causes for _, one in known))


def _add_up(found: TraceGaps, known: Sequence[tuple[str, DeviceGaps]], *, explained: bool) -> None:
    """Fill in what devices, each with its name, say together."""
    total = sum(one.window_seconds for _, one in known)
    found.idle_share = sum((one.idle_share or 0.0) * one.window_seconds for _, one in known) / total if total else 0.0
    for _, one in known:
        for cause, seconds in (one.gaps.by_cause if one.gaps is not None else {}).items():
            found.by_cause[cause] = found.by_cause.get(cause, 0.0) + seconds
    found.verdict = verdict_of(found.idle_share, found.by_cause, explained=explained)
    if len(known) > 1:
        busy = [1.0 - (one.idle_share or 0.0) for _, one in known]
        most = int(np.argmax(busy))
        others = float(np.median(busy[:most] + busy[most + 1 :]))
        found.straggler = known[most][0] if busy[most] - others >= _STRAGGLES else None


def verdict_of(idle_share: float, by_cause: dict[GapCause, float], *, explained: bool) -> Verdict:
    """Return the verdict on idle time.

    Args:
        explained: Whether causes can be given at all.
    """
    if idle_share < LITTLE_IDLE:
        return "busy"
    if not explained or not by_cause:
        return "cannot say"
    cause = max(by_cause, key=lambda key: by_cause[key])
    if 2 * by_cause[cause] < sum(by_cause.values()):
        return "mixed"
    return "input" if cause == "pipeline" else cast("Verdict", cause)


class _Device:
    """The analysis of one device.

    Attributes:
        busy: Begins and ends of the times in which it works.
        waits: The same of those in which it idles and the host is in the input call, after `result`.

    Args:
        only: Steps that are the window, instead of those that the trace has.
    """

    def __init__(
        self, trace: DeviceTrace, attribution: Attribution, general: Withheld, device: int, only: Times | None
    ) -> None:
        self._trace, self._attribution, self._device = trace, attribution, device
        own = guard_device(trace, device)
        self._why_no_idle = general.idle + own.idle
        self._why_no_bound = own.work
        self._why_no_causes = list(general.causes)
        work = trace.work
        self._mine = np.flatnonzero(work.device == device)
        self._begin, self._end = work.begin[self._mine], work.end[self._mine]
        self._kind = work.kind[self._mine]
        self._launch = attribution.launches_of(work.correlation[self._mine])
        self.computes = bool((self._kind == KERNEL).any())
        self.busy = union(self._begin, self._end)
        none = np.zeros(0, np.int64)
        self.waits = (none, none)
        self._only = only if only is not None and len(only) and self.computes else None

    def result(self, number: int) -> DeviceGaps:
        """Return what is known of the device."""
        low, high, steps, outside = self._window()
        busy = self.busy
        copying = self._kind == COPY
        computing = union(self._begin[~copying], self._end[~copying])
        window = max(high - low - length(*outside), 1)
        # What lies between the steps of the window is no gap.
        taken, computed = (_both(part, outside) for part in (busy, computing))
        idle, no_kernel = (high - low - length(*clip(*part, low, high)) for part in (taken, computed))
        first, last = int(self._begin.min()), int(self._end.max())
        span = max(last - first, 1)
        share = idle / window
        found = DeviceGaps(
            trace=number,
            name=self._trace.devices[self._device],
            computes=self.computes,
            window="steps" if steps else "events",
            window_seconds=window / 1e9,
            steps=steps,
            events=len(self._mine),
            why_no_idle=list(dict.fromkeys(self._why_no_bound + self._why_no_idle)),
        )
        found.why_no_causes = list(dict.fromkeys(self._why_no_causes + found.why_no_idle))
        if found.why_no_idle:
            found.idle_at_most = None if self._why_no_bound else share
            return found
        found.idle_share = share
        found.span_idle_share = (span - length(*busy)) / span
        found.copy_only_share = (no_kernel - idle) / window
        self._divide(found, taken, low, high)
        by_cause = found.gaps.by_cause if found.gaps is not None else {}
        if self.computes:
            found.verdict = verdict_of(share, by_cause, explained=not found.why_no_causes)
        return found

    def _window(self) -> tuple[int, int, int | None, tuple[Times, Times]]:
        """Return begin and end of the window, its whole steps, and what in between is no part of it."""
        none = np.zeros(0, np.int64)
        if self._only is not None and len(steps := self._complete(self._only, longest=False)):
            begin, end = union(*steps.T)
            return int(begin[0]), int(end[-1]), len(steps), (end[:-1], begin[1:])
        return *self._marked_window(), (none, none)

    def _marked_window(self) -> tuple[int, int, int | None]:
        first, last = int(self._begin.min()), int(self._end.max())
        own = self._trace.own_steps.get(self._device)
        steps = own if own is not None and len(own) else self._trace.steps
        marked = own is not None and len(own) > 0
        if len(steps) < (1 if marked else _LEAST_STEPS) or not self.computes:
            return first, last, None
        if not marked:
            steps = self._complete(steps)
            if not len(steps):
                return first, last, None
        low, high = int(steps[:, 0].min()), int(steps[:, 1].max())
        if not marked:
            launched = self._launch >= 0
            asked = np.where(launched, self._trace.host.begin[np.maximum(self._launch, 0)], low - 1)
            inside = (asked >= low) & (asked < high)
            # What the steps have launched and the device does after them is a part of them.
            high = max(high, int(self._end[inside].max())) if inside.any() else high
        if length(*clip(*self.busy, low, high)) < _IN_STEPS * length(*self.busy):
            return first, last, None
        return low, high, len(steps)

    def _complete(self, steps: Times, *, longest: bool = True) -> Times:
        """Return the steps that have work of the device; where some have none, those next to them are left out, too.

        Args:
            longest: Of several runs of such steps the longest one alone.
        """
        begin = self._begin
        launched = self._launch[self._launch >= 0]
        times = np.sort(np.concatenate((begin, self._trace.host.begin[launched]))) if len(launched) else np.sort(begin)
        count = np.searchsorted(times, steps[:, 1]) - np.searchsorted(times, steps[:, 0])
        empty = count == 0
        if not empty.any():
            return steps
        sentence = (
            f"the device has events in {int((~empty).sum())} of {len(steps)} steps of the host: events of the others "
            "are missing, or these steps compute nothing"
        )
        self._why_no_causes.append(sentence)
        beside = np.concatenate((empty[1:], [False])) | np.concatenate(([False], empty[:-1]))
        whole = ~empty & ~beside
        if not whole.any():
            self._why_no_idle.append(sentence)
            return steps
        if not longest:
            found: Times = steps[whole]
            return found
        bounds = np.flatnonzero(np.diff(np.concatenate(([False], whole, [False])).astype(np.int8)))
        runs = bounds.reshape(-1, 2)
        low, high = runs[np.argmax(runs[:, 1] - runs[:, 0])]
        return steps[low:high]

    def _divide(self, found: DeviceGaps, busy: tuple[Times, Times], low: int, high: int) -> None:
        begin, end = complement(*busy, low, high)
        lengths = end - begin
        by_cause: dict[GapCause, float] = {}
        parts = None
        if not found.why_no_causes:
            launch = self._next_launches(end)
            parts = self._attribution.divide(begin, end, launch)
            spent = np.bincount(parts.cause, (parts.end - parts.begin).astype(float), len(CAUSES)) / 1e9
            by_cause = {CAUSES[one]: float(spent[one]) for one in np.argsort(-spent, kind="stable") if spent[one] > 0}
            idle = int(lengths.sum())
            found.without_launch_share = int(lengths[launch < 0].sum()) / idle if idle else None
            if "pipeline" in by_cause:
                waits = parts.cause == PIPELINE
                self.waits = union(parts.begin[waits], parts.end[waits])
                found.stage = self._late_stage(parts)
        longest = np.argsort(-lengths, kind="stable")[:MOST_GAPS]
        found.actions = [self._action(parts, int(one), (begin, end), low) for one in longest]
        found.gaps = Gaps(
            count=len(begin),
            by_cause=by_cause,
            longest=[action.gap for action in found.actions],
            seconds=found.window_seconds,
        )

    def _next_launches(self, end: Times) -> Times:
        """Return what launched the work that begins where a gap ends; -1 without a launch or work."""
        order = np.lexsort((self._launch < 0, self._begin))
        begins = self._begin[order]
        if not len(begins):
            return np.full(len(end), -1)
        at = np.minimum(np.searchsorted(begins, end), len(begins) - 1)
        return np.where(begins[at] == end, self._launch[order][at], -1)

    def _action(self, parts: Parts | None, gap: int, spans: tuple[Times, Times], low: int) -> HostAction:
        """Describe one gap: its largest cause, and the event of the host that took most of that time.

        Args:
            parts: None where causes cannot be given.
        """
        start, stop = int(spans[0][gap]), int(spans[1][gap])
        cause: GapCause = "unknown"
        action = thread = stage = None
        if parts is not None:
            mine = np.flatnonzero(parts.gap == gap)
            spent = np.bincount(parts.cause[mine], (parts.end - parts.begin)[mine].astype(float), len(CAUSES))
            code = int(np.argmax(spent))
            cause = CAUSES[code]
            mine = mine[parts.cause[mine] == code]
            action, thread = self._event(parts, mine, code)
            if code == PIPELINE:
                stage = self._late_stage(Parts(*(getattr(parts, name)[mine] for name in _COLUMNS)))
        one = Gap(start_s=(start - low) / 1e9, ms=(stop - start) / 1e6, cause=cause, stage=stage)
        return HostAction(gap=one, action=action, thread=thread)

    def _event(self, parts: Parts, mine: Times, cause: int) -> tuple[str | None, str | None]:
        """Return the name of the event of a cause that covers most of some parts, the innermost of equals."""
        host = self._trace.host
        low, high = int(parts.begin[mine].min()), int(parts.end[mine].max())
        number = int(parts.thread[mine][np.argmax((parts.end - parts.begin)[mine])])
        which = self._attribution.events_of(number) if number != NO_THREAD else np.arange(len(host.begin))
        of_cause = host.causes[host.kind[which]]
        of_cause = np.where(of_cause == TURN, OP, of_cause)
        which = which[(of_cause == cause) & (host.begin[which] < high) & (host.end[which] > low)]
        if not len(which):
            return None, None
        inside = np.minimum(host.end[which], high) - np.maximum(host.begin[which], low)
        best = which[np.lexsort((host.end[which] - host.begin[which], -inside))[0]]
        return host.names[int(host.kind[best])] or None, self._trace.threads[int(host.thread[best])].name

    def _late_stage(self, parts: Parts) -> str | None:
        """Return the stage, or the loader, that was at work while the device waited for input."""
        host = self._trace.host
        which = parts.cause == PIPELINE
        begin, end = union(parts.begin[which], parts.end[which])
        if not len(begin):
            return None
        names = {number: name for number, name in enumerate(host.names) if name.startswith(STAGE)}
        spent = {
            name: overlap(*union(host.begin[host.kind == number], host.end[host.kind == number]), begin, end)
            for number, name in names.items()
        }
        if spent and max(spent.values()):
            most = max(spent.values())
            late = [name for name, time in spent.items() if time >= _LATE * most]
            deepest = max(late, key=lambda name: (name.count("::"), spent[name]))
            return written_op(deepest.rpartition("::")[2].partition("[")[0].partition("#")[0])
        loaders = {loader for name in host.names if (loader := loader_of(name)) is not None}
        return min(loaders, key=len) if len(loaders) == 1 else "DataLoader" if loaders else None


def _both(some: tuple[Times, Times], others: tuple[Times, Times]) -> tuple[Times, Times]:
    """Return the union of two sets."""
    return union(np.concatenate((some[0], others[0])), np.concatenate((some[1], others[1])))


_COLUMNS = ("gap", "begin", "end", "cause", "thread")
