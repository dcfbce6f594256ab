"""Sampler of thread states (computing, waiting for a core, blocked) from a second process.

States cannot be sampled from inside the process: the sampler would need the GIL, and every Python thread would be seen
waiting for it. So a small second process reads ``/proc/PID/task/*/stat``: state ``R`` is a thread that computes or
waits for a core; everything else is blocked. ``/proc/loadavg`` has the number of runnable threads of the whole machine
at that moment: where they are more than there are cores, each computes a part of the time. This share is then corrected
by the CPU time that the process used. (What the kernel sums up as waiting, in ``schedstat``, is mostly the time until a
thread wakes up on an idle core, which is before its work and not in it.) The clock is that of ``time.monotonic_ns``
here, which all processes of a machine share.

The trace has numbers of its own for threads, which are matched with the system's by likelihood: a thread computes more
often while the trace shows work of it.

Python functions and the GIL are sampled from inside: a thread wakes every three milliseconds, acquires the GIL, and
reads the frames of all threads (``sys._current_frames``). Each sample stands for the time since the last one. The GIL
counts as *taken* where the thread waited for it for longer than `TAKEN_NS` after waking, less the time that it waited
for a core (``schedstat``): a function that computes in Python, or in an extension that holds the GIL, is sampled with
the GIL taken; one that sleeps, reads a file or computes with the GIL released is not. During sampling the switch
interval is 0.15 ms instead of 5 ms: shorter functions would end unsampled.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import threading
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.target.user_files import is_generated, is_users
from pipeprof.profiles.protocol.messages import TracedFunction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

EVERY_SECONDS: Final = 0.002
LONGEST_SECONDS: Final = 30.0
FEWEST_RUNNING: Final = 50
"""Fewest samples of a runnable thread for the comparison with the process's CPU time."""
_LOOK: Final = """
import os, sys, time
from array import array
pid, every, longest = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
folder, states, found = "/proc/%d/task" % pid, {}, array("q")
now, begun, looks, cores = time.monotonic_ns, time.monotonic(), 0, os.cpu_count() or 1
load = os.open("/proc/loadavg", os.O_RDONLY)
os.set_blocking(0, False)
def ended():
    try:
        return os.read(0, 1) == b""
    except BlockingIOError:
        return False
def search():
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    for name in names:
        if name not in states:
            try:
                states[name] = os.open("%s/%s/stat" % (folder, name), os.O_RDONLY)
            except OSError:
                pass
    return True
search()
sys.stdout.write("ready\\n")
sys.stdout.flush()
while not ended() and time.monotonic() - begun < longest:
    looks += 1
    if looks % 20 == 0 and not search():
        break
    first = before = now()
    # Without this process, which runs while it asks.
    wanting = int(os.pread(load, 100, 0).split()[3].split(b"/")[0]) - 1
    core = 1000 * cores // max(cores, wanting)
    for name, file in list(states.items()):
        try:
            text = os.pread(file, 512, 0)
            running = text[text.rindex(b")") + 2:][:1] == b"R"
        except (OSError, ValueError):
            os.close(states.pop(name))
            running = None
        after = now()
        # Where this process lost its core in between, the time of the sample is unknown.
        if running is not None and after - before < 200000:
            found.extend((int(name), (before + after) // 2, core if running else 0))
        before = after
    # Not more than a twentieth of a core, however many threads there are.
    time.sleep(max(every, 20e-9 * (before - first)))
sys.stdout.buffer.write(found.tobytes())
sys.stdout.flush()
"""
IDLE_RATE: Final = 0.05
"""Assumed rate of computing while the trace shows no work of a thread."""
SURE: Final = 4.0
"""Likelihood ratio in nats from which two traced threads cannot be confused."""
ALIKE: Final = 0.2
"""Difference of running shares up to which threads may be confused."""
Timeline = tuple[Any, Any, Any]
"""Sorted starts, their ends and the numbers (from 1) of the work in them; arrays of shape (spans,)."""
States = tuple[Any, Any]
"""Times and whether the thread was running; arrays of shape (looks,)."""


@dataclass(frozen=True)
class ThreadReading:
    """A thread's state at a time of ``time.monotonic_ns``.

    Attributes:
        core: 0 if it was blocked; else its share of a core, 1 where every runnable thread had one.
    """

    thread: int
    at_ns: int
    core: float


class ThreadStates:
    """Sampler of a process's threads from `start` to `stop`."""

    def __init__(self, pid: int) -> None:
        numbers = (str(pid), str(EVERY_SECONDS), str(LONGEST_SECONDS))
        self._command = [sys.executable, "-I", "-S", "-c", _LOOK, *numbers]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the sampler; return when the first sample is due, or when sampling is impossible."""
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert self._process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
            self._process.stdout.readline()

    def stop(self) -> list[ThreadReading]:
        """Stop the sampler and return the samples in order; none where the system does not provide them."""
        if self._process is None:
            return []
        try:
            data, _ = self._process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return []
        return parse(data)


def share_of_cores(looks: Sequence[ThreadReading], cpu_seconds: float, began_ns: int, ended_ns: int) -> float:
    """Return the factor from the core share that the samples show to the real one, by the process's CPU time.

    The number of runnable threads does not determine which of them gets a core: priorities and groups differ.

    Args:
        cpu_seconds: That the process used between the two times.
    """
    threads: dict[int, list[ThreadReading]] = defaultdict(list)
    for look in looks:
        if began_ns <= look.at_ns <= ended_ns:
            threads[look.thread].append(look)
    if sum(look.core > 0 for seen in threads.values() for look in seen) < FEWEST_RUNNING:
        return 1.0
    seconds = sum(
        sum(look.core for look in seen) / len(seen) * (seen[-1].at_ns - seen[0].at_ns) / 1e9
        for seen in threads.values()
    )
    return cpu_seconds / seconds if seconds > 0 else 1.0


def parse(data: bytes) -> list[ThreadReading]:
    """Parse the output of the sampling process: thread, nanoseconds, thousandths of a core."""
    numbers = array("q")
    if len(data) % (3 * numbers.itemsize):
        return []
    numbers.frombytes(data)
    triples = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    return [ThreadReading(thread, at, core / 1000) for thread, at, core in triples]


def at_work(timeline: Timeline, times: Any) -> Any:
    """Return the number of a traced thread's work at each time, 0 for none; shape (times,)."""
    starts, ends, kinds = timeline
    index = np.searchsorted(starts, times, side="right") - 1
    inside = (index >= 0) & (ends[index] >= times)
    return np.where(inside, kinds[index], 0)


def explained(kinds: Any, running: Any) -> float:
    """Return the log-likelihood ratio, in nats, of the states given the thread's work against no work."""
    total, hits = np.bincount(kinds), np.bincount(kinds, weights=running)
    rates = hits / np.maximum(total, 1)
    rates[0] = IDLE_RATE
    return float(np.sum(_likelihood(hits, total, rates) - _likelihood(hits, total, np.full(len(rates), IDLE_RATE))))


def _likelihood(hits: Any, total: Any, rates: Any) -> Any:
    """Return the log-likelihood; a rate of 0 or 1 is impossible with any sample to the contrary."""
    inner = np.clip(rates, 1e-9, 1 - 1e-9)
    return hits * np.log(inner) + (total - hits) * np.log(1 - inner)


def match(
    timelines: Mapping[int, Timeline],
    states: Mapping[int, States],
    known: Mapping[int, int] | None = None,
    others: Collection[int] = (),
) -> dict[int, int]:
    """Return the system's id of each traced thread that was matched.

    Args:
        states: By the system's ids, on the trace's clock.
        others: The system's ids of threads that cannot be in the trace.
    """
    if all(thread in states for thread in timelines):
        return {thread: thread for thread in timelines}
    found = {traced: thread for traced, thread in (known or {}).items() if traced in timelines and thread in states}
    free = [thread for thread in states if thread not in others and thread not in found.values()]
    score = {
        (traced, thread): explained(at_work(timeline, states[thread][0]), states[thread][1])
        for traced, timeline in timelines.items()
        if traced not in found
        for thread in free
    }
    paired: dict[int, int] = {}
    for traced, thread in sorted(score, key=lambda pair: score[pair], reverse=True):
        if traced not in paired and thread not in paired.values():
            paired[traced] = thread
    unsure = set()
    for (one, mine), (other, theirs) in combinations(paired.items(), 2):
        lost = score[one, mine] + score[other, theirs] - score[one, theirs] - score[other, mine]
        if lost < SURE and abs(states[mine][1].mean() - states[theirs][1].mean()) > ALIKE:
            unsure |= {one, other}
    return {**found, **{traced: thread for traced, thread in paired.items() if traced not in unsure}}


PYTHON_EVERY_SECONDS: Final = 0.003
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
    """Sums over samples of the threads' frames."""

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
            due = time.monotonic_ns() + int(PYTHON_EVERY_SECONDS * 1e9)
            time.sleep(PYTHON_EVERY_SECONDS)
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
