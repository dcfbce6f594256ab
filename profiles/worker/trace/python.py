"""Sampler of the pipeline's Python functions and of the GIL in the trace window.

A thread wakes every three milliseconds, acquires the GIL, and reads the frames of all threads
(``sys._current_frames``). Each sample stands for the time since the last one. The GIL counts as *taken* where the
thread waited for it for longer than `TAKEN_NS` after waking, less the time that it waited for a core (``schedstat``): a
function that computes in Python, or in an extension that holds the GIL, is sampled with the GIL taken; one that sleeps,
reads a file or computes with the GIL released is not. During sampling the switch interval is 0.15 ms instead of 5 ms:
shorter functions would end unsampled.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Final

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.target.user_files import is_generated, is_users
from pipeprof.profiles.protocol.messages import TracedFunction

EVERY_SECONDS: Final = 0.003
TAKEN_NS: Final = 100_000
SWITCH_SECONDS: Final = 0.00015
_TENSORFLOW: Final = "/tensorflow/python/"
_CALLED_FROM: Final = ("ops/script_ops.py", "__call__")
_PR_SET_TIMERSLACK: Final = 29
_MOST_FRAMES: Final = 200
_MOST_LINES: Final = 16
_COMPREHENSIONS: Final = frozenset({"<dictcomp>", "<genexpr>", "<listcomp>", "<setcomp>"})


@dataclass
class _FunctionSamples:
    ns: int = 0
    taken_ns: int = 0
    lines: Counter[int] = field(default_factory=Counter)


class Looks:
    """Sums over samples of the threads' frames.

    Args:
        foreign: Test for files that are not the user's.
    """

    def __init__(self, foreign: Callable[[str], bool]) -> None:
        self._foreign = foreign
        self._seen: dict[tuple[str, CodeType], _FunctionSamples] = defaultdict(_FunctionSamples)
        self._calls: Counter[str] = Counter()
        self.ns = 0

    def take(self, frames: Mapping[int, FrameType], ns: int, *, taken: bool) -> None:
        """Add a sample that stands for `ns` nanoseconds."""
        self.ns += ns
        for frame in frames.values():
            found = self._function(frame)
            if found is None:
                continue
            token, inner = found
            self._calls[token] += ns
            if inner is None:
                continue
            code, line = _user_location(inner)
            seen = self._seen[token, code]
            seen.ns += ns
            seen.taken_ns += ns if taken else 0
            seen.lines[line] += ns

    def _function(self, frame: FrameType | None) -> tuple[str, FrameType | None] | None:
        """Return TensorFlow's token of the Python function that a thread runs, and the user's innermost frame."""
        inner: FrameType | None = None
        outermost: FrameType | None = None
        for _ in range(_MOST_FRAMES):
            if frame is None:
                return None
            code = frame.f_code
            if code.co_name == _CALLED_FROM[1] and code.co_filename.endswith(_CALLED_FROM[0]):
                token = frame.f_locals.get("token")
                used = inner or outermost
                text = token.decode() if isinstance(token, bytes) else str(token)
                # Without a user's frame, TensorFlow itself converts arrays to tensors.
                mine = used is not None and _TENSORFLOW not in used.f_code.co_filename
                return text, used if mine else None
            outermost = frame
            if inner is None and not self._foreign(code.co_filename):
                inner = frame
            frame = frame.f_back
        return None

    def functions(self) -> list[TracedFunction]:
        """Return each function with its time, longest first."""
        found = [
            TracedFunction(
                token=token,
                function=users_name(getattr(code, "co_qualname", code.co_name)),
                file=code.co_filename,
                line=code.co_firstlineno,
                seconds=seen.ns / 1e9,
                taken_seconds=seen.taken_ns / 1e9,
                call_seconds=self._calls[token] / 1e9,
                lines=[(line, ns / seen.ns) for line, ns in seen.lines.most_common(_MOST_LINES) if seen.ns],
            )
            for (token, code), seen in self._seen.items()
        ]
        return sorted(found, key=lambda function: -function.seconds)


def users_name(name: str) -> str:
    """Return the name of a function without the functions around it, which its line tells, and AutoGraph's prefix.

    Example:
        >>> users_name("make.<locals>.Decoder.__call__"), users_name("outer_factory.<locals>.tf__parse")
        ('Decoder.__call__', 'parse')
    """
    return name.rpartition("<locals>.")[2].removeprefix("tf__")


def _user_location(frame: FrameType) -> tuple[CodeType, int]:
    """Return the code and line of a frame; for code generated by AutoGraph, those of the user's function.

    A comprehension is a part of the function that it stands in.
    """
    line = frame.f_lineno
    while frame.f_code.co_name in _COMPREHENSIONS and frame.f_back is not None:
        if frame.f_back.f_code.co_filename != frame.f_code.co_filename:
            break
        frame = frame.f_back
    at = frame.f_back if is_generated(frame.f_code.co_filename) else None
    while at is not None:
        code = getattr(at.f_locals.get("target_entity"), "__code__", None)
        if isinstance(code, CodeType):
            return code, code.co_firstlineno
        at = at.f_back
    return frame.f_code, line


class PythonSampler:
    """Sampler of the process's Python threads from `start` to `stop`."""

    def __init__(self) -> None:
        self.looks = Looks(is_foreign)
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pipeprof-python", daemon=True)
        self._switch = sys.getswitchinterval()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()
        self._started.wait()
        sys.setswitchinterval(SWITCH_SECONDS)

    def stop(self) -> Looks:
        """Stop the thread and return its samples."""
        sys.setswitchinterval(self._switch)
        self._stopping.set()
        self._thread.join()
        return self.looks

    def _run(self) -> None:
        _set_timer_slack()
        waited = _core_wait_reader(threading.get_native_id())
        self._started.set()
        me = threading.get_ident()
        before = time.monotonic_ns()
        core = waited()
        while not self._stopping.is_set():
            due = time.monotonic_ns() + int(EVERY_SECONDS * 1e9)
            time.sleep(EVERY_SECONDS)
            now = time.monotonic_ns()
            core, core_before = waited(), core
            frames = sys._current_frames()
            frames.pop(me, None)
            self.looks.take(frames, now - before, taken=now - due - (core - core_before) > TAKEN_NS)
            del frames
            before = now


def _set_timer_slack() -> None:
    """Set the timer slack to its minimum: Linux may wake a thread 0.05 ms late, which would look like a taken GIL."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def _core_wait_reader(native_id: int) -> Callable[[], int]:
    """Return a reader of a thread's wait for a core so far, in nanoseconds; it gives 0 where the system has none."""
    try:
        # Opened once: opening or closing a file releases the GIL.
        file = os.open(f"/proc/self/task/{native_id}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return lambda: 0

    def read() -> int:
        try:
            return int(os.pread(file, 100, 0).split()[1])
        except (OSError, ValueError, IndexError):
            return 0

    return read


def is_foreign(file: str) -> bool:
    """Return whether a file is one of Python, an installed package or pipeprof itself."""
    return not is_generated(file) and not is_users(file)
