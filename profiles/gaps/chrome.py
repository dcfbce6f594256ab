"""Reader of traces as JSON: one event at a time, never the whole file.

PyTorch's profiler (Kineto) writes a category with each event. TensorFlow and JAX write none: their JSON has what a
viewer shows of an XPlane file, whose planes and lines are its processes and threads.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from array import array
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import numpy as np

from pipeprof.profiles.gaps.intervals import distinct
from pipeprof.profiles.gaps.names import PYTHON_THREAD, STEP
from pipeprof.profiles.gaps.sentences import Reason, reason
from pipeprof.profiles.gaps.trace import (
    COPY,
    KERNEL,
    LATEST_NS,
    NO_CORRELATION,
    SET,
    DeviceTrace,
    TraceBuilder,
    TraceError,
)
from pipeprof.profiles.gaps.xplane import DEVICE, HOST, PYTHON_LINE, STEPS, kind_of_work, work_lines

_CHUNK = 1 << 20
MOST_SCANNED = 10_000_000
"""Events of any kind that are read, which takes three minutes, or one if they are empty."""
MOST_BYTES = 1 << 32
"""Of the text, not compressed; 300 kB of gzip can be that long."""
_MOST_EVENT = 1 << 24
"""Characters; what does not end within them is no event."""
_KEPT = 1000
"""Characters that the end of an event and the beginning of the next one may take."""
_SPACE = re.compile(r"[ \t\r\n]*")
_OF_WORK = re.compile(r'"(concurrent_)?kernel"|"(gpu_)?mem(cpy|set)"', re.IGNORECASE)
"""Categories of the device's events, in the text of one that cannot be read."""
_NEXT_EVENT = re.compile(r"\}\s*,\s*(?=\{\s*\")")
_WORK = {
    "kernel": KERNEL,
    "gpu_memcpy": COPY,
    "gpu_memset": SET,
    "memcpy": COPY,
    "memset": SET,
    "concurrent_kernel": KERNEL,
}
_HOST = frozenset(
    {"cpu_op", "operator", "user_annotation", "python_function", "cuda_runtime", "cuda_driver", "runtime", "driver",
     "hip_runtime", "hip_driver", "xpu_runtime", "privateuse1_runtime"}
)  # fmt: skip
_OPS = frozenset({"cpu_op", "operator"})
_ANNOTATIONS = _OPS | {"user_annotation"}
"""Categories in which versions of PyTorch write the marks of steps."""
_MOST_SHOWN = 1_000_000
"""Events that a viewer of XPlane files shows; it leaves out the others."""
_MOST_REMOVED = 0.2
_LEAST_REMOVED = 10
"""Share of the numbers of operations that may be missing, and how many: PyTorch counts them one by one, annotations
too, and 2 % of them are in no event."""
_BLOCK = 512
"""Numbers that a thread gets at a time since PyTorch 1.12; of its last ones it may not use all."""
_OLD_ANNOTATION = re.compile(r"ProfilerStep#\d+|Optimizer\.\w+#.*")
"""Old versions write annotations as operators."""


class Bytes(Protocol):
    """What bytes are read from."""

    def read1(self, size: int = -1, /) -> bytes:
        """Return some bytes, none at the end; unlike `read` all that there are before a damage."""


def read_chrome(file: Bytes) -> DeviceTrace:
    """Read a trace from its bytes, not compressed.

    Raises:
        TraceError: It is no trace.
    """
    builder = TraceBuilder("PyTorch")
    _Reader(builder).read(_Scanner(file))
    return builder.trace()


class _Scanner:
    """The events of a file as Python objects; numbers with a fraction stay texts, which loses nothing.

    Attributes:
        malformed: How many events could not be read.
        malformed_work: How many of them may be those of a device.
        ended: Why the file ends before its end; None where it does not.
    """

    def __init__(self, file: Bytes) -> None:
        self._file = file
        self._decoder = json.JSONDecoder(parse_float=str, parse_constant=str, strict=False)
        self._text = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._buffer, self._at, self._over = "", 0, False
        self._bytes = 0
        self.malformed = self.malformed_work = 0
        self.ended: Reason | None = None

    def _more(self) -> bool:
        """Read on; whether there was more."""
        if self._over:
            return False
        try:
            data = self._file.read1(_CHUNK)
        except (EOFError, zlib.error, OSError) as error:
            data = b""
            self.ended = reason("file-damaged", error)
        self._bytes += len(data)
        if self._bytes > MOST_BYTES:
            data = b""
            self.ended = reason("too-long", MOST_BYTES)
        self._over = not data
        self._buffer = self._buffer[self._at :] + self._text.decode(data, final=self._over)
        self._at = 0
        return not self._over

    def _peek(self) -> str:
        while True:
            match = _SPACE.match(self._buffer, self._at)
            self._at = match.end() if match is not None else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def _value(self) -> Any:
        """Read one value.

        Raises:
            ValueError: It is malformed, or the file ends in it.
        """
        self._peek()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._buffer, self._at)
            except (ValueError, RecursionError):
                if len(self._buffer) - self._at > _MOST_EVENT or not self._more():
                    raise ValueError from None
                continue
            if end == len(self._buffer) and self._more():
                # A number may go on.
                continue
            self._at = end
            return found

    def events(self) -> Iterator[Any]:
        """Yield all events.

        Raises:
            TraceError: There is no list of events.
        """
        begin = self._peek()
        if begin == "[":
            yield from self._list()
            return
        if begin != "{":
            raise TraceError("this is neither a trace in JSON nor another format that can be read")
        self._at += 1
        while True:
            mark = self._peek()
            if mark == ",":
                self._at += 1
                continue
            if mark != '"':
                break
            try:
                key = self._value()
                if self._peek() != ":":
                    break
                self._at += 1
                if key == "traceEvents" and self._peek() == "[":
                    yield from self._list()
                    return
                self._value()
            except ValueError:
                break
        raise TraceError('this is JSON without a list of "traceEvents"')

    def _list(self) -> Iterator[Any]:
        self._at += 1
        marks = 0
        while True:
            marks += 1
            # An event and the comma behind it.
            if marks > 2 * MOST_SCANNED:
                self.ended = reason("too-many", MOST_SCANNED)
                return
            mark = self._peek()
            if mark == "]":
                return
            if mark == ",":
                self._at += 1
                continue
            if not mark:
                self.ended = self.ended or reason("truncated")
                return
            try:
                found = self._value()
            except ValueError:
                if not self._skip():
                    return
                continue
            yield found

    def _skip(self) -> bool:
        """Go to what looks like the next event; whether there is one."""
        of_work = False
        while True:
            match = _NEXT_EVENT.search(self._buffer, self._at + 1)
            end = match.end() if match is not None else len(self._buffer)
            of_work = of_work or _OF_WORK.search(self._buffer, self._at, end) is not None
            if match is not None:
                self._at = end
                self.malformed += 1
                self.malformed_work += of_work
                return True
            # What is passed is not kept: no event may begin for as long as the file is.
            self._at = max(self._at, len(self._buffer) - _KEPT)
            if not self._more():
                self.ended = self.ended or reason("truncated")
                return False


class _Reader:
    def __init__(self, builder: TraceBuilder) -> None:
        self._builder = builder
        self._origin_ns: int | None = None
        self._strange = self._strange_work = 0
        self._ops = array("q")
        self._processes: dict[str, str] = {}
        self._threads: dict[str, dict[str, str]] = {}
        self._work_lines: dict[str, frozenset[str]] = {}
        self._shown = 0

    def read(self, scanner: _Scanner) -> None:
        seen = 0
        for event in scanner.events():
            seen += 1
            try:
                self._event(event)
            except (TypeError, ValueError, AttributeError, KeyError, OverflowError, InvalidOperation):
                self._strange += 1
                self._strange_work += _is_of_work(event)
        if not seen and scanner.ended is None and not scanner.malformed:
            raise TraceError("the trace is empty: it has no event")
        if bad := scanner.malformed + self._strange:
            self._builder.damage.append(reason("events-unread", bad))
        of_work = scanner.malformed_work + self._strange_work
        self._builder.work.lacking += of_work
        self._builder.host.lacking += bad - of_work
        if scanner.ended is not None:
            self._builder.partial_work = self._builder.partial_host = True
            self._builder.damage.append(scanner.ended)
            return
        if self._shown >= _MOST_SHOWN:
            self._builder.lost.append(reason("viewer-full", self._shown))
        ops = distinct(np.array(self._ops, np.int64))
        blocks = (ops - 1) // _BLOCK
        new = blocks[1:] != blocks[:-1]
        numbered = len(ops) + int((np.diff(ops) - 1)[~new].sum())
        if numbered - len(ops) > max(_LEAST_REMOVED, _MOST_REMOVED * numbered):
            self._builder.lost.append(reason("operations-lost", len(ops), numbered))

    def _event(self, event: Mapping[str, Any]) -> None:
        phase = event.get("ph")
        if phase == "M":
            self._named(event)
        if phase != "X":
            return
        category = str(event.get("cat") or "").lower()
        kind = _WORK.get(category)
        if kind is None and category not in _HOST:
            if not category and (plane := self._processes.get(str(event.get("pid")))) is not None:
                self._shown_event(event, plane)
            return
        begin, end = self._times(event)
        arguments = event.get("args") or {}
        found = arguments.get("correlation", NO_CORRELATION)
        correlation = int(found) if found is not None else NO_CORRELATION
        if kind is not None:
            number = arguments.get("device", event.get("pid"))
            device = self._builder.device(f"GPU {number}")
            stream = arguments.get("stream", event.get("tid"))
            row = stream if isinstance(stream, int) else hash(str(stream)) & 0x7FFFFFFF
            self._builder.work.add_row(device, row, kind, begin, end, correlation)
            return
        name = str(event.get("name", ""))
        if category in _OPS and isinstance(external := arguments.get("External id"), int):
            self._ops.append(external)
        if category in _ANNOTATIONS and STEP.fullmatch(name):
            self._builder.steps.append((begin, end))
            return
        if category in _OPS and _OLD_ANNOTATION.fullmatch(name):
            category = "user_annotation"
        process, thread = str(event.get("pid")), str(event.get("tid"))
        index = self._builder.thread((process, thread), process, f"thread {thread}", main=process == thread)
        self._builder.host.add_row(self._builder.kind(name, category), index, begin, end, correlation)

    def _times(self, event: Mapping[str, Any]) -> tuple[int, int]:
        begin = nanoseconds(event["ts"])
        if self._origin_ns is None and abs(begin) < LATEST_NS:
            self._origin_ns = begin
        begin -= self._origin_ns or 0
        return begin, begin + nanoseconds(event.get("dur", 0))

    def _named(self, event: Mapping[str, Any]) -> None:
        """Note the name of a process that is a plane of an XPlane file, or that of its line; events follow them."""
        process, name = str(event.get("pid")), str((event.get("args") or {}).get("name", ""))
        if event.get("name") == "process_name" and (DEVICE.fullmatch(name) or HOST.fullmatch(name)):
            self._processes[process] = name
            self._builder.origin = "XPlane as JSON"
        elif event.get("name") == "thread_name":
            self._threads.setdefault(process, {})[str(event.get("tid"))] = name
            self._work_lines.clear()

    def _shown_event(self, event: Mapping[str, Any], plane: str) -> None:
        begin, end = self._times(event)
        self._shown += 1
        process, number = str(event.get("pid")), str(event.get("tid"))
        lines = self._threads.get(process, {})
        line, name = lines.get(number, ""), str(event.get("name", ""))
        arguments = event.get("args") or {}
        correlation = int(arguments.get("correlation_id", NO_CORRELATION))
        device = DEVICE.fullmatch(plane)
        if device is not None:
            index = self._builder.device(f"{device[1]} {device[2]}")
            if process not in self._work_lines:
                self._work_lines[process] = work_lines(lines.values())
            if line in self._work_lines[process]:
                stream = hash((process, number)) & 0x7FFFFFFF
                self._builder.work.add_row(index, stream, kind_of_work(name, line), begin, end, correlation)
            elif line == STEPS:
                self._builder.own_steps.setdefault(index, []).append((begin, end))
            return
        python = PYTHON_LINE.fullmatch(line) is not None
        if python and "step_num" in arguments:
            self._builder.steps.append((begin, end))
            return
        thread = self._builder.thread((process, number), plane, line, main=python)
        kind = self._builder.kind(name, PYTHON_THREAD if python else "")
        self._builder.host.add_row(kind, thread, begin, end, correlation)


def _is_of_work(event: object) -> bool:
    return isinstance(event, dict) and str(event.get("cat") or "").lower() in _WORK


def nanoseconds(microseconds: Any) -> int:
    """Return a time of the file, which is in microseconds with up to three decimals that count.

    Example:
        >>> nanoseconds("1414456661601.577"), nanoseconds(3), nanoseconds("1e3")
        (1414456661601577, 3000, 1000000)
    """
    if isinstance(microseconds, int):
        return microseconds * 1000
    whole, dot, fraction = str(microseconds).partition(".")
    if dot and fraction.isdigit() and whole.lstrip("-").isdigit():
        found = int(whole.lstrip("-") or 0) * 1000 + int((fraction + "00")[:3])
        return -found if whole.startswith("-") else found
    return int(Decimal(str(microseconds)) * 1000)
