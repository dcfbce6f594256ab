"""The processes of a run, and their end.

The worker leads a process group. What its code starts may leave that group for a session of its own, and what it leaves
behind may have no parent of ours any more. So every process of a run inherits a mark in its environment. Who ends the
run ends the group and then all that carry the mark, also stopped ones.

Where the run's own process is killed, a second process does it: the guard, which does nothing but wait for the end of a
pipe. The kernel ends the worker even before that, if it can be asked to.

Temporary folders of a run have its mark in their names. Who ends the run removes those that its processes left.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from pipeprof.pipelines.data.processes import end_group
from pipeprof.pipelines.data.temporary import settled_temporary_folder
from pipeprof.pipelines.target.import_path import child_command
from pipeprof.profiles.host.proc_texts import PROC
from pipeprof.profiles.host.procfs import descendants, processes

MARK = "PIPEPROF_RUN"
FOLDER = "pipeprof-run-"
"""Beginning of the names of temporary folders; the mark follows."""
MOST_ROUNDS = 50
"""Looks for processes that the last look did not see: one that forks faster than it is killed ends them."""


class RunFamily:
    """The processes of one run.

    Attributes:
        environment: Of its first process, with the mark.
    """

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        # A run inside a run belongs to both.
        marks = f"{os.environ.get(MARK, '')} {self._mark}".strip()
        self.environment = {**os.environ, MARK: marks}
        self._guard: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):
            self._guard = subprocess.Popen(
                child_command(__name__, self._mark),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def lead(self, pid: int) -> None:
        """Tell the guard which process leads the group, for systems that do not show an environment."""
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(OSError):
                self._guard.stdin.write(b"%d\n" % pid)
                self._guard.stdin.flush()

    def end(self, leader: int) -> None:
        """Kill all of them."""
        end_family(self._mark, leader)

    def __enter__(self) -> RunFamily:
        return self

    def __exit__(self, *_error: object) -> None:
        """End the guard: nothing is left that it must end."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None


def end_family(mark: str, leader: int | None, proc: Path = PROC) -> None:
    """Kill the group that `leader` leads, its descendants and all that carry the mark, until no more are found.

    Then remove the temporary folders that they left.
    """
    try:
        _kill_family(mark, leader, proc)
    finally:
        for folder in settled_temporary_folder().glob(f"{folder_prefix(mark)}*"):
            shutil.rmtree(folder, ignore_errors=True)


def folder_prefix(mark: str | None = None) -> str:
    """Beginning of the names of a run's temporary folders; without a mark: of the run that this process belongs to."""
    marks = os.environ.get(MARK, "").split()
    return f"{FOLDER}{mark or (marks[-1] if marks else os.getpid())}-"


def _kill_family(mark: str, leader: int | None, proc: Path) -> None:
    found = set(descendants(leader, proc)) if leader is not None else set()
    if leader is not None:
        end_group(leader)
    seen: set[int] = set()
    for _ in range(MOST_ROUNDS):
        found |= marked(mark, proc)
        if not found - seen:
            return
        for pid in found - seen:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        seen |= found
        found = set()


def marked(mark: str, proc: Path = PROC) -> set[int]:
    """Processes with the mark in the environment that they were started with; not this one."""
    found = set()
    for pid in processes(proc):
        if pid == os.getpid():
            continue
        try:
            parts = (proc / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        name = f"{MARK}=".encode()
        if any(part.startswith(name) and mark.encode() in part.split(b"=", 1)[1].split() for part in parts):
            found.add(pid)
    return found


def main() -> int:
    """The guard: with the run's mark as its argument and its leader on standard input, until that ends."""
    leader: int | None = None
    for line in sys.stdin:
        leader = int(line)
    end_family(sys.argv[1], leader)
    return 0
