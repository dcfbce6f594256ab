"""From a trace to its idle time: window, gaps, causes, and what the longest gaps were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from pipeprof.pipelines.meaning.executed_ops import written_op
from pipeprof.profiles.document.shared import Gap, Gaps
from pipeprof.profiles.gaps.attribution import NO_THREAD, Attribution, Parts
from pipeprof.profiles.gaps.document import DeviceGaps, HostAction, TraceGaps, Verdict
from pipeprof.profiles.gaps.guards import Withheld, guard_device, guard_trace
from pipeprof.profiles.gaps.intervals import clip, complement, covered, length, overlap, union
from pipeprof.profiles.gaps.names import CAUSES, OP, PIPELINE, STAGE, TURN, loader_of
from pipeprof.profiles.gaps.sentences import reason, sentence_of
from pipeprof.profiles.gaps.trace import COPY, KERNEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeprof.profiles.document.shared import GapCause
    from pipeprof.profiles.gaps.trace import DeviceTrace

    Times = NDArray[np.int64]

LITTLE_IDLE: Final = 0.05
"""Idle share below which there is little to gain from any cause."""
MOST_GAPS: Final = 10
_IN_STEPS: Final = 0.5
"""Share of a device's work that must lie in the steps for them to be the window."""
_LEAST_STEPS: Final = 2
"""The host's marks are a window from this number on: the first one includes the start of the profiler."""
_LATE: Final = 0.5
"""Share of the wait that the late stage is at work, against the stage that is longest."""


def analyse(trace: DeviceTrace, file: str, number: int) -> tuple[TraceGaps, list[DeviceGaps]]:
    """Find the idle time of all devices that worked, and its causes; `number` is the trace's index in the report."""
    return _analyse(trace, file, number, None)[:2]


@dataclass(frozen=True)
class StepTimes:
    """Seconds of each step, arrays of shape (steps,), the mean of all devices that compute.

    Attributes:
        waits: They idle while the host is in the input call.
    """

    waits: NDArray[np.float64]
    busy: NDArray[np.float64]


def analyse_steps(trace: DeviceTrace, steps: Times) -> tuple[TraceGaps, list[DeviceGaps], StepTimes]:
    """Find the same in some steps alone, and how much of it is in each.

    Args:
        steps: Begins and ends, shape (steps, 2), in order: they are the window, and what lies between them is not.
    """
    found, results, devices = _analyse(trace, "", 0, steps)
    computing = [device for device in devices if device.computes]
    none = [np.zeros(len(steps))]
    waits = [covered(*device.waits, *steps.T) / 1e9 for device in computing]
    busy = [covered(*device.busy, *steps.T) / 1e9 for device in computing]
    return found, results, StepTimes(np.mean(waits or none, axis=0), np.mean(busy or none, axis=0))


def _analyse(
    trace: DeviceTrace, file: str, number: int, steps: Times | None
) -> tuple[TraceGaps, list[DeviceGaps], list[_Device]]:
    attribution = Attribution(trace)
    general = guard_trace(trace, attribution)
    devices = [_Device(trace, attribution, general, int(device), steps) for device in np.unique(trace.work.device)]
    results = [device.result(number) for device in devices]
    found = TraceGaps(
        file=file,
        format=trace.origin,
        steps=len(trace.steps if steps is None else steps),
        notes=[note.text for note in trace.damage],
    )
    computing = [one for one in results if one.computes]
    if computing and all(one.idle_share is not None for one in computing):
        _add_up(found, computing)
    found.sentence = sentence_of(found, results)
    return found, results, devices


def _add_up(found: TraceGaps, devices: Sequence[DeviceGaps]) -> None:
    """Fill in what devices say together; causes where all of them have some."""
    idle, copies = [one.idle_share or 0.0 for one in devices], [one.copy_only_share or 0.0 for one in devices]
    seconds = [one.window_seconds for one in devices]
    found.idle_share, found.copy_only_share = (float(np.average(one, weights=seconds)) for one in (idle, copies))
    found.stage = next((one.stage for one in devices if one.stage is not None), None)
    explained = not any(one.why_no_causes for one in devices)
    for one in devices if explained else ():
        for cause, spent in (one.gaps.by_cause if one.gaps is not None else {}).items():
            found.by_cause[cause] = found.by_cause.get(cause, 0.0) + spent
    found.verdict = verdict_of(found.idle_share, found.by_cause)


def verdict_of(idle_share: float, by_cause: dict[GapCause, float]) -> Verdict:
    """Return the verdict on idle time; without causes, none can be given."""
    if idle_share < LITTLE_IDLE:
        return "busy"
    if not by_cause:
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
        self._why_no_idle = [*own.work, *general.idle]
        self._has_bound = not own.work
        self._why_no_causes = list(general.causes)
        work = trace.work
        mine = np.flatnonzero(work.device == device)
        self._begin, self._end, self._kind = work.begin[mine], work.end[mine], work.kind[mine]
        self._launch = attribution.launches_of(work.correlation[mine])
        self.computes = bool((self._kind == KERNEL).any())
        self.busy = union(self._begin, self._end)
        self.waits = union(self._begin[:0], self._end[:0])
        self._only = only if only is not None and len(only) and self.computes else None

    def result(self, number: int) -> DeviceGaps:
        """Return what is known of the device."""
        begins, ends, steps = self._window()
        low, high = int(begins[0]), int(ends[-1])
        window = max(length(begins, ends), 1)
        # What lies between the steps of the window is no gap.
        outside = complement(begins, ends, low, high)
        computes = self._kind != COPY
        taken = _both(self.busy, outside)
        computed = _both((self._begin[computes], self._end[computes]), outside)
        idle, no_kernel = (high - low - length(*clip(*part, low, high)) for part in (taken, computed))
        span = max(int(self._end.max()) - int(self._begin.min()), 1)
        share = idle / window
        why_no_idle = list(dict.fromkeys(self._why_no_idle))
        why_no_causes = list(dict.fromkeys(self._why_no_causes + why_no_idle))
        found = DeviceGaps(
            trace=number,
            name=self._trace.devices[self._device],
            computes=self.computes,
            window="steps" if steps else "events",
            window_seconds=window / 1e9,
            steps=steps,
            events=len(self._begin),
            why_no_idle=[why.text for why in why_no_idle],
            why_no_causes=[why.text for why in why_no_causes],
            reasons=[why.code for why in why_no_causes],
        )
        if why_no_idle:
            found.idle_at_most = share if self._has_bound else None
            return found
        found.idle_share = share
        found.span_idle_share = (span - length(*self.busy)) / span
        found.copy_only_share = (no_kernel - idle) / window
        self._divide(found, taken, low, high)
        by_cause = found.gaps.by_cause if found.gaps is not None else {}
        if self.computes:
            found.verdict = verdict_of(share, by_cause)
        return found

    def _window(self) -> tuple[Times, Times, int | None]:
        if self._only is not None and len(steps := self._complete(self._only, longest=False)):
            return *union(*steps.T), len(steps)
        low, high, count = self._marked_window()
        return np.array([low]), np.array([high]), count

    def _marked_window(self) -> tuple[int, int, int | None]:
        """Return the window by the steps that the device, or else the host, has marked; without any, all events."""
        everything = int(self._begin.min()), int(self._end.max()), None
        steps = self._trace.own_steps.get(self._device, self._trace.steps[:0])
        own = len(steps) > 0
        if not self.computes or (not own and len(self._trace.steps) < _LEAST_STEPS):
            return everything
        if not own:
            steps = self._complete(self._trace.steps)
        low, high = int(steps[:, 0].min()), int(steps[:, 1].max())
        if not own:
            # What the steps have launched and the device does after them is a part of them.
            launched = self._launch >= 0
            asked = self._trace.host.begin[self._launch[launched]]
            high = int(np.max(self._end[launched][(asked >= low) & (asked < high)], initial=high))
        if length(*clip(*self.busy, low, high)) < _IN_STEPS * length(*self.busy):
            return everything
        return low, high, len(steps)

    def _complete(self, steps: Times, *, longest: bool = True) -> Times:
        """Return the steps that have work of the device; where some have none, those next to them are left out, too.

        Args:
            longest: Of several runs of such steps the longest one alone.
        """
        launches = self._trace.host.begin[self._launch[self._launch >= 0]]
        times = np.sort(np.concatenate((self._begin, launches)))
        empty = np.searchsorted(times, steps[:, 1]) == np.searchsorted(times, steps[:, 0])
        if not empty.any():
            return steps
        why = reason("steps-empty", int((~empty).sum()), len(steps))
        self._why_no_causes.append(why)
        whole = ~(empty | np.append(empty[1:], False) | np.append(False, empty[:-1]))
        if not whole.any():
            self._why_no_idle.append(why)
            return steps
        if not longest:
            found: Times = steps[whole]
            return found
        runs = np.flatnonzero(np.diff(np.concatenate(([False], whole, [False])).astype(np.int8))).reshape(-1, 2)
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
            waits = parts.cause == PIPELINE
            self.waits = union(parts.begin[waits], parts.end[waits])
            found.stage = self._late_stage(*self.waits)
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
        at = np.minimum(np.searchsorted(begins, end), len(begins) - 1)
        return np.where(begins[at] == end, self._launch[order][at], -1)

    def _action(self, parts: Parts | None, gap: int, spans: tuple[Times, Times], low: int) -> HostAction:
        """Describe one gap: its largest cause, if `parts` tell, and the host's event that took most of that time."""
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
                stage = self._late_stage(*union(parts.begin[mine], parts.end[mine]))
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

    def _late_stage(self, begin: Times, end: Times) -> str | None:
        """Return the stage, or the loader, that was at work while the device waited for input."""
        host = self._trace.host
        if not len(begin):
            return None
        spent = {
            name: overlap(*union(host.begin[host.kind == number], host.end[host.kind == number]), begin, end)
            for number, name in enumerate(host.names)
            if name.startswith(STAGE)
        }
        if most := max(spent.values(), default=0):
            late = [name for name, time in spent.items() if time >= _LATE * most]
            deepest = max(late, key=lambda name: (name.count("::"), spent[name]))
            return written_op(deepest.rpartition("::")[2].partition("[")[0].partition("#")[0])
        loaders = {loader for name in host.names if (loader := loader_of(name)) is not None}
        return min(loaders, key=len) if len(loaders) == 1 else "DataLoader" if loaders else None


def _both(some: tuple[Times, Times], others: tuple[Times, Times]) -> tuple[Times, Times]:
    return union(np.concatenate((some[0], others[0])), np.concatenate((some[1], others[1])))
