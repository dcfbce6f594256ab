"""Reader of XPlane files, as TensorFlow and JAX write them.

A line ``Stream #…`` of a GPU has its work; a TPU's is in ``XLA Modules``, as its ops wait inside of a module. Where a
GPU has such a line, too, it is one that a viewer has derived, and covers the time between kernels. Launches are tied by
``correlation_id``; on a TPU by the numbers of a producer (``_p``) and a consumer (``_c``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.pipelines.wire import DamagedError
from pipeprof.profiles.gaps.names import PYTHON_THREAD
from pipeprof.profiles.gaps.sentences import reason
from pipeprof.profiles.gaps.trace import COPY, KERNEL, NO_CORRELATION, SET, DeviceTrace, TraceBuilder
from pipeprof.profiles.xplane.planes import LineReader, Plane, Space, read_planes
from pipeprof.profiles.xplane.wire import look_up

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from pipeprof.pipelines.wire import Field

    Integers = NDArray[np.int64]

_MOST_SAID = 5
"""Sentences of the profiler's own."""
DEVICE: Final = re.compile(r"/device:(GPU|TPU):(\d+)(?: .*)?")
HOST: Final = re.compile(r"/host:(?:CPU.*|python-tracer|CUPTI|ROCTRACER|TPU-runtime)")
"""Recorders other than TensorFlow's own have planes for themselves until a profiler puts them into that of the host."""
_OF_HOST = "/host:CPU"
_STREAM = re.compile(r"Stream #.*")
_MODULES, _OPS, STEPS = "XLA Modules", "XLA Ops", "Steps"
PYTHON_LINE: Final = re.compile(r"(python[\d.]*|main)(/-?\d+)?")
_COPIES = re.compile(r"Memcpy\w*|Copy(Host|Device)To(Host|Device)|\[CUDA memcpy .*\]")
_SETS = re.compile(r"Memset\w*|\[CUDA memset\]|__amd_rocclr_fillBuffer\w*(\.kd)?")
_LOST = re.compile(r"\b(lost|dropped|overflow\w*|not collected|incomplete)\b", re.IGNORECASE)
"""Of the profiler's warnings those after which events are missing."""
_COPY_LINE = re.compile(r"Stream #\d+\(Memcpy\w*\)")


def read_xplane(data: bytes) -> DeviceTrace:
    """Read a serialised trace from any buffer of bytes, also a mapped file or a `bytearray`."""
    builder, space = TraceBuilder("XPlane"), Space()
    reader = _Reader(data, builder)
    planes = 0
    for plane in read_planes(data, space):
        planes += plane.name == _OF_HOST and bool(plane.lines)
        try:
            reader.plane(plane)
        except (DamagedError, ValueError, OverflowError, IndexError):
            builder.partial_work |= DEVICE.fullmatch(plane.name) is not None
            builder.partial_host |= HOST.fullmatch(plane.name) is not None
            builder.damage.append(reason("plane-damaged", plane.name[:80]))
            break
    builder.hosts = max(1, planes, len(set(space.hosts)))
    if space.damaged is not None:
        number, name, at = space.damaged
        builder.damage.append(reason("plane-cut", number, f', "{name}",' if name else "", at, len(data)))
    builder.lost += [reason("profiler-says", text) for text in space.errors[:_MOST_SAID]]
    for text in space.warnings[:_MOST_SAID]:
        (builder.lost if _LOST.search(text) else builder.damage).append(reason("profiler-says", text))
    return builder.trace()


def work_lines(names: Collection[str]) -> frozenset[str]:
    """Return which of a device's lines have its work.

    Example:
        >>> sorted(work_lines({"Steps", "XLA Modules", "Stream #13(Compute)"})), sorted(work_lines({"XLA Ops"}))
        (['Stream #13(Compute)'], ['XLA Ops'])
    """
    streams = frozenset(name for name in names if _STREAM.fullmatch(name))
    return streams or frozenset([_MODULES if _MODULES in names else _OPS])


def kind_of_work(name: str, line: str) -> int:
    """Return what a device does in an event on the line of that name."""
    if _COPY_LINE.fullmatch(line) or _COPIES.fullmatch(name):
        return COPY
    return SET if _SETS.fullmatch(name) else KERNEL


class _Reader:
    def __init__(self, data: bytes, builder: TraceBuilder) -> None:
        self._lines, self._builder = LineReader(data), builder

    def plane(self, plane: Plane) -> None:
        device = DEVICE.fullmatch(plane.name)
        if device is not None:
            index = self._builder.device(f"{device[1]} {device[2]}")
            lines = [(line, *self._lines.head(line)) for line in plane.lines]
            names = {name for _, _, name, _ in lines}
            work = work_lines(names)
            for line, _, name, began in lines:
                if name in work:
                    self._device_line(plane, line, index, name, began)
                elif name == STEPS:
                    self._steps_line(plane, line, index, began)
        elif HOST.fullmatch(plane.name):
            for line in plane.lines:
                self._host_line(plane, line)

    def _events(
        self, line: Field, began: int, plane: Plane, wanted: dict[str, int]
    ) -> Iterator[tuple[Integers, Integers, Integers, dict[str, Integers]]]:
        """Yield kinds, begins and ends in nanoseconds, and the wanted stats of events, a part at a time."""
        for kind, begin, end, place in self._lines.events(line, began):
            yield kind, begin // 1000, end // 1000, self._lines.stats(plane, place, wanted)

    def _device_line(self, plane: Plane, line: Field, device: int, name: str, began: int) -> None:
        stream = hash((plane.name, name)) & 0x7FFFFFFF
        wanted = {"correlation_id": NO_CORRELATION, "_c": NO_CORRELATION}
        for kind, begin, end, stats in self._events(line, began, plane, wanted):
            if self._builder.work.is_full:
                self._builder.work.left += 1
                return
            correlation = np.where(stats["correlation_id"] >= 0, stats["correlation_id"], stats["_c"])
            work = look_up(kind, lambda key: kind_of_work(plane.events.get(key, ""), name))
            columns = (np.full_like(kind, device), np.full_like(kind, stream), work, begin, end, correlation)
            # An op may lie within another one, such as a loop.
            kept = _outermost(begin, end) if name == _OPS else slice(None)
            self._builder.work.add(*(column[kept] for column in columns))

    def _steps_line(self, plane: Plane, line: Field, device: int, began: int) -> None:
        for _, begin, end, _ in self._events(line, began, plane, {}):
            self._builder.own_steps.setdefault(device, []).extend(zip(begin.tolist(), end.tolist(), strict=True))

    def _host_line(self, plane: Plane, line: Field) -> None:
        if self._builder.host.is_full:
            self._builder.host.left += 1
            return
        number, name, began = self._lines.head(line)
        python = PYTHON_LINE.fullmatch(name) is not None
        thread = self._builder.thread((plane.name, number), _OF_HOST, name, main=python)
        category = PYTHON_THREAD if python else ""
        wanted = {"correlation_id": NO_CORRELATION, "_p": NO_CORRELATION, "_r": 0, "step_num": -1}
        for kind, begin, end, stats in self._events(line, began, plane, wanted):
            if self._builder.host.is_full:
                self._builder.host.left += 1
                return
            found = look_up(kind, lambda key: self._builder.kind(plane.events.get(key, ""), category))
            step = (stats["_r"] == 1) & (stats["step_num"] >= 0)
            self._builder.steps += zip(begin[step].tolist(), end[step].tolist(), strict=True)
            correlation = np.where(stats["correlation_id"] >= 0, stats["correlation_id"], stats["_p"])
            columns = (found, np.full_like(kind, thread), begin, end, correlation)
            self._builder.host.add(*(column[~step] for column in columns))


def _outermost(begin: Integers, end: Integers) -> Integers:
    order = np.lexsort((-end, begin))
    before = np.concatenate(([np.iinfo(np.int64).min], np.maximum.accumulate(end[order])[:-1]))
    return order[end[order] > before]
