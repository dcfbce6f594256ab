"""How many threads of a process compute or want to, looked at from outside every two milliseconds.

What a thread does cannot be seen from inside the process: whoever looks there first has to take Python's lock, and then
every thread that runs Python is seen waiting for it. So a small process of its own reads ``/proc/PID/task/*/stat``:
state ``R`` is a thread that computes or waits for a core; everything else is blocked. Its clock is that of
``time.monotonic_ns`` here, which all processes of a machine share.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

EVERY_SECONDS: Final = 0.002
LONGEST_SECONDS: Final = 30.0

_LOOK: Final = """
import os, sys, time
pid, every, longest = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
hidden = set(sys.argv[4:])
folder, files, begun, looks, found = "/proc/%d/task" % pid, {}, time.monotonic(), 0, []
os.set_blocking(0, False)
def ended():
    try:
        return os.read(0, 1) == b""
    except BlockingIOError:
        return False
print("ready", flush=True)
while not ended() and time.monotonic() - begun < longest:
    if looks % 20 == 0:
        try:
            names = os.listdir(folder)
        except OSError:
            break
        for name in names:
            if name not in files and name not in hidden:
                try:
                    files[name] = os.open("%s/%s/stat" % (folder, name), os.O_RDONLY)
                except OSError:
                    pass
    looks += 1
    before, running = time.monotonic_ns(), 0
    for name, file in list(files.items()):
        try:
            text = os.pread(file, 512, 0)
            running += text[text.rindex(b")") + 2:][:1] == b"R"
        except (OSError, ValueError):
            os.close(files.pop(name))
    after = time.monotonic_ns()
    # Where this process lost its core in between, nobody knows when it saw what.
    if after - before < 1000000:
        found.append((before + after) // 2)
        found.append(running)
    # Not more than a twentieth of a core, however many threads there are.
    time.sleep(max(every, 20e-9 * (after - before)))
print(" ".join(map(str, found)), flush=True)
"""


@dataclass(frozen=True)
class Look:
    """How many threads computed or wanted a core at a time of ``time.monotonic_ns``."""

    at_ns: int
    running: int


class ThreadStates:
    """Watches a process from `start` to `stop`.

    Args:
        pid: The process.
        hidden: Threads of it that are not to be counted, by their native ids.
    """

    def __init__(self, pid: int, hidden: tuple[int, ...] = ()) -> None:
        self._command = [
            *(sys.executable, "-I", "-S", "-c", _LOOK, str(pid), str(EVERY_SECONDS), str(LONGEST_SECONDS)),
            *map(str, hidden),
        ]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start watching; returns once the first look is about to be taken, or nothing can be had."""
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            assert self._process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
            self._process.stdout.readline()

    def stop(self) -> list[Look]:
        """End watching; the looks in order, none where the system does not tell."""
        if self._process is None:
            return []
        try:
            text, _ = self._process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return []
        return parse(text)


def parse(text: str) -> list[Look]:
    """The looks in what the watching process wrote: pairs of nanoseconds and threads."""
    try:
        numbers = [int(word) for word in text.split()]
    except ValueError:
        return []
    return [Look(at, running) for at, running in zip(numbers[::2], numbers[1::2], strict=False)]
