"""Workers that are copies of a process that has imported TensorFlow: the import takes seconds, a copy milliseconds.

A comparison starts three processes for each pair. Each is a process of its own: it builds its pipeline, has its own
runtime of TensorFlow, and ends with its session. What copies have in common is what no pipeline decides: where the
libraries lie in memory, and the seed of Python's hashes.

The server forks twice, and what is between ends at once, so that the worker becomes a child of the server's guard and
outlives the server. Linux only; where a server ends or cannot copy, workers are started in the usual way.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from pipeprof.pipelines.target.modules import child_command
from pipeprof.profiles.harness.process import start_process
from pipeprof.profiles.host.run_family import MARK, LedProcess, RunFamily

COPY_SECONDS = 10.0
"""For a copy, after which the server is given up."""
_SERVER = "pipeprof.profiles.worker.fork_server"
_LINUX = sys.platform.startswith("linux")


class CopiedProcess(LedProcess):
    """A worker that was copied."""


class ForkServer:
    """A process that imports TensorFlow and then copies itself.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self) -> None:
        self._family = RunFamily()
        self._is_ready = False
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = self._family.start(
                    child_command(_SERVER, str(theirs.fileno())), (subprocess.DEVNULL,) * 3, (theirs.fileno(),), {}
                )
            if not self._process.guard.adopts:
                raise OSError(errno.ENOSYS, "a copy would have no parent that ends with this process")
        except BaseException:
            self._connection.close()
            self._family.__exit__()
            raise

    def wait_until_ready(self, is_readable: Callable[[int], bool]) -> bool:
        """Wait until it has imported TensorFlow; return whether it can make copies."""
        if not self._is_ready and is_readable(self._connection.fileno()):
            with contextlib.suppress(OSError):
                self._is_ready = self._connection.recv(16) == b"ready"
        return self._is_ready

    def copy(self, pipes: Sequence[int], family: RunFamily) -> CopiedProcess | None:
        """Make a copy that runs a worker; None where that fails."""
        to_worker, _, _, from_worker, _, prints, _, stacks = pipes
        try:
            self._connection.settimeout(COPY_SECONDS)
            order = [family.environment[MARK].encode()]
            socket.send_fds(self._connection, order, [to_worker, from_worker, stacks, prints])
            pid = int(self._connection.recv(16) or b"0")
        except OSError:
            return None
        if not pid:
            return None
        self._process.guard.adopt(family.mark, pid)
        return CopiedProcess(pid, self._process.guard)

    def retire(self) -> None:
        """End it, and leave its copies alone."""
        self._connection.close()
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def close(self) -> None:
        """End its copies, once it has retired."""
        self._family.end(self._process.pid)
        self._family.__exit__()


class Copies:
    """Starts workers as copies of a server, which may import TensorFlow while a measured worker does.

    On two cores that takes 6 s off the time to the first proven change. Where it is not ready when the worker's import
    is over, it is stopped until the first copy, so that nothing that is measured waits for a core.
    """

    def __init__(self) -> None:
        self._server: ForkServer | None = None
        self._given_up = not _LINUX

    def begin(self) -> None:
        """Start the server, unless there is one or there was."""
        if self._server is None and not self._given_up:
            try:
                self._server = ForkServer()
            except OSError:
                self._given_up = True

    def pause(self) -> None:
        """Stop it."""
        if self._server is not None:
            self._server.signal(signal.SIGSTOP)

    def start(
        self, is_readable: Callable[[int], bool], pipes: Sequence[int], family: RunFamily, variables: Mapping[str, str]
    ) -> LedProcess:
        """Start a worker, as `start_process` does; one with variables of its own is no copy."""
        if not variables:
            self.begin()
        if self._server is not None and not self._given_up and not variables:
            self._server.signal(signal.SIGCONT)
            copy = self._server.copy(pipes, family) if self._server.wait_until_ready(is_readable) else None
            if copy is not None:
                return copy
            # Its answer may still come, and would be taken for that to the next order.
            self._given_up = True
            self._server.retire()
        return start_process(pipes, family, variables)

    def close(self) -> None:
        """End the server and its workers."""
        server, self._server = self._server, None
        if server is not None:
            if not self._given_up:
                server.retire()
            server.close()
        self._given_up = True
