"""Steps of a run on its device's own clock: the waits of each, and why the device idled.

The worker has recorded them after the measured steps, with a mark around each request of a batch; nothing is computed
there. The first steps are left out: buffers fill, and the device runs dry, while a recording starts.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.profiles.document.shared import DeviceWindow, Gaps, GpuUse, Quantiles
from pipeprof.profiles.gaps.analyse import MOST_GAPS, analyse_steps
from pipeprof.profiles.gaps.names import PIPELINE
from pipeprof.profiles.gaps.reading import read_trace
from pipeprof.profiles.gaps.sentences import reason
from pipeprof.profiles.gaps.trace import TraceError
from pipeprof.profiles.host.run_family import FOLDER
from pipeprof.profiles.protocol.messages import LEAST_DEVICE_STEPS, REQUEST_MARK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeprof.profiles.gaps.document import DeviceGaps, TraceGaps
    from pipeprof.profiles.gaps.trace import DeviceTrace
    from pipeprof.profiles.protocol.messages import DeviceRead

    Times = NDArray[np.int64]

LEFT_OUT: Final = 0.25
"""Of the steps, its first ones."""


@dataclass(frozen=True)
class DeviceSeen:
    """What the clock of a device showed.

    Attributes:
        window: The waits of the steps; None where they cannot be known.
        gaps: Seconds are the mean of all devices that compute; None where their work is not known, as is `idle_share`.
        unknown: Why the idle time, or its causes, cannot be said; None where they can.
    """

    window: DeviceWindow | None = None
    gaps: Gaps | None = None
    idle_share: float | None = None
    gpus: tuple[GpuUse, ...] = ()
    unknown: str | None = None


def read_device(read: DeviceRead) -> DeviceSeen:
    """Read what a worker has recorded, and remove its file."""
    if read.file is None:
        return DeviceSeen(window_of(read.waits, read.steps, read.came), unknown=reason("of-pytorch").text)
    folder = Path(read.file)
    try:
        files = sorted(folder.rglob("*.xplane.pb"))
        if not files:
            return DeviceSeen(unknown=reason("not-written").text)
        return steps_of(read_trace(files[0]), read.came)
    except TraceError as error:
        return DeviceSeen(unknown=reason("not-a-trace", str(error).removeprefix(f"{files[0]}: ")).text)
    finally:
        # The user's code runs where its name comes from.
        if folder.name.startswith(FOLDER):
            shutil.rmtree(folder, ignore_errors=True)


def steps_of(trace: DeviceTrace, came: Sequence[bool], mark: str = REQUEST_MARK) -> DeviceSeen:
    """Find the waits of the steps that `came` with a batch, in a trace with an event `mark` for each request."""
    begins = _marks(trace, mark)
    numbers = _counted(came, len(begins) - 1)
    if not len(trace.work.begin):
        return DeviceSeen(unknown=reason("no-device").text)
    if not numbers:
        return DeviceSeen(unknown=reason("few-requests", len(begins)).text)
    steps = np.stack((begins[:-1], begins[1:]), axis=1)[numbers]
    causes = trace.host.causes.copy()
    causes[[number for number, name in enumerate(trace.host.names) if name == mark]] = PIPELINE
    trace = replace(trace, host=replace(trace.host, causes=causes))
    found, devices, times = analyse_steps(trace, steps)
    computing = [device for device in devices if device.computes]
    seen = _seen(found, computing)
    if found.idle_share is None or seen.unknown is not None:
        return seen
    length = (steps[:, 1] - steps[:, 0]) / 1e9
    return replace(seen, window=_window(times.waits, length, times.busy))


def _seen(found: TraceGaps, computing: Sequence[DeviceGaps]) -> DeviceSeen:
    explained = bool(computing) and not any(device.why_no_causes for device in computing)
    known = [device.gaps for device in computing if device.gaps is not None]
    gaps = None
    if found.idle_share is not None:
        longest = sorted((gap for one in known for gap in one.longest), key=lambda gap: -gap.ms)
        gaps = Gaps(
            count=sum(one.count for one in known),
            by_cause={cause: spent / len(computing) for cause, spent in found.by_cause.items()},
            longest=longest[:MOST_GAPS] if explained else [],
            seconds=sum(device.window_seconds for device in computing) / len(computing),
        )
    return DeviceSeen(
        gaps=gaps,
        idle_share=found.idle_share,
        gpus=tuple(GpuUse(name=device.name, idle_share=device.idle_share) for device in computing),
        unknown=None if explained else found.sentence,
    )


def _marks(trace: DeviceTrace, mark: str) -> Times:
    host = trace.host
    kinds = [number for number, name in enumerate(host.names) if name == mark]
    return np.sort(host.begin[np.isin(host.kind, kinds)])


def _counted(came: Sequence[bool], steps: int) -> list[int]:
    """Return the numbers of the steps that count; none where they are too few."""
    kept = [number for number in range(int(LEFT_OUT * len(came)), min(steps, len(came))) if came[number]]
    return kept if len(kept) >= (1 - LEFT_OUT) * LEAST_DEVICE_STEPS - 1 else []


def window_of(waits: Sequence[float], steps: Sequence[float], came: Sequence[bool]) -> DeviceWindow | None:
    """Return the numbers of a profile; None with too few steps.

    Args:
        waits: Seconds of each step in which the device had nothing to do while a batch was fetched.
        steps: Seconds of each.
        came: Whether there was a batch, for each request.
    """
    numbers = _counted(came, len(steps))
    return _window(np.array(waits)[numbers], np.array(steps)[numbers]) if numbers else None


def _window(
    waits: NDArray[np.float64], steps: NDArray[np.float64], busy: NDArray[np.float64] | None = None
) -> DeviceWindow:
    total = float(steps.sum())
    return DeviceWindow(
        count=len(steps),
        seconds=total,
        wait_ms=_quantiles(1e3 * waits),
        step_ms=_quantiles(1e3 * (steps - waits)),
        wait_share=min(1.0, float(waits.sum()) / total),
        busy_share=min(1.0, float(busy.sum()) / total) if busy is not None else None,
    )


def _quantiles(ms: NDArray[np.float64]) -> Quantiles:
    p50, p95, p99 = (float(value) for value in np.quantile(ms, (0.5, 0.95, 0.99)))
    return Quantiles(mean=float(ms.mean()), p50=p50, p95=p95, p99=p99, max=float(ms.max()))
