"""Processes held to shares of the cores: a process that has used more than its share is stopped until it is due.

Nothing else does that without rights of an administrator: a quota of a cgroup needs a delegated one, and affinity gives
whole cores. The holder is a process of its own in the group of those that it holds, so that whoever stops the group
between two turns stops it as well. It reads their CPU clocks every few milliseconds; a share that is not used is not
saved for later.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.data.processes import die_with_parent
from pipeprof.pipelines.target.import_path import child_command

LOOK_SECONDS: Final = 0.004
"""Between two looks at the clocks."""
_SAVED_LOOKS: Final = 6
"""Looks whose share may be used later: what is due while a process waits for another one, or for a core that another
one has, is not lost at once."""
_STOPPED_SECONDS: Final = 0.05
"""Between two looks, from which on the holder itself was stopped in between."""
_CLOCK_BITS: Final = 3
_CLOCK_OF_PROCESS: Final = 2
"""Kind of a clock that counts the CPU time of all threads, as ``MAKE_PROCESS_CPUCLOCK`` of Linux has it."""


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process so far.

    Raises:
        OSError: There is no such process.
    """
    return time.clock_gettime((~pid << _CLOCK_BITS) | _CLOCK_OF_PROCESS)


@dataclass
class Held:
    """A process that is held to a share.

    Attributes:
        due: CPU seconds that it may still use; below 0, it is stopped.
    """

    share: float
    used: float
    due: float = 0.0
    stopped: bool = False

    def look(self, seconds: float, used: float) -> bool:
        """Count what has passed; return whether it is to run now.

        Args:
            seconds: Since the last look.
            used: CPU seconds of the process so far.
        """
        if seconds > _STOPPED_SECONDS:
            seconds = LOOK_SECONDS
        most = _SAVED_LOOKS * LOOK_SECONDS * self.share
        self.due = min(most, self.due + self.share * seconds - (used - self.used))
        self.used = used
        return self.due >= 0


def start_holder(shares: Mapping[int, float]) -> subprocess.Popen[bytes] | None:
    """Hold processes to shares of the cores, by their ids; None where there are none to hold."""
    if not shares:
        return None
    command = child_command(__name__, json.dumps([*shares.items()]), str(os.getpid()))
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _hold(shares: Mapping[int, float]) -> None:
    held = {pid: Held(share, cpu_seconds(pid)) for pid, share in shares.items()}
    before = time.monotonic()
    while held:
        time.sleep(LOOK_SECONDS)
        now = time.monotonic()
        for pid, one in tuple(held.items()):
            try:
                runs = one.look(now - before, cpu_seconds(pid))
                # Again at each look: whoever gives the group its turn lets all of it go on.
                if not runs or one.stopped:
                    os.kill(pid, signal.SIGCONT if runs else signal.SIGSTOP)
                one.stopped = not runs
            except OSError:
                del held[pid]
        before = now


def main(argv: Sequence[str] | None = None) -> int:
    """Hold processes until they or the parent end."""
    shares, parent = argv or sys.argv[1:]
    die_with_parent(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        _hold({int(pid): float(share) for pid, share in json.loads(shares)})
    return 0
