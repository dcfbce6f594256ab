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
from typing import TypeAlias

from pipeprof.pipelines.target.import_path import child_command
from pipeprof.profiles.harness.process import StartedProcess, start_process
from pipeprof.profiles.host.run_family import MARK, LedProcess, RunFamily

COPY_SECONDS = 10.0
"""For a copy, after which the server is given up."""
_SERVER = "pipeprof.profiles.worker.copies.fork_server"
_Variables: TypeAlias = "tuple[tuple[str, str], ...]"
_LINUX = sys.platform.startswith("linux")


class CopiedProcess(LedProcess):
    """A worker that was copied."""


class ForkServer:
    """A process that imports TensorFlow and then copies itself.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._family = RunFamily()
        self._is_ready = False
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = self._family.start(
                    child_command(_SERVER, str(theirs.fileno())),
                    (subprocess.DEVNULL,) * 3,
                    (theirs.fileno(),),
                    variables,
                )
            if not self._process.guard.adopts:
                raise OSError(errno.ENOSYS, "a copy would have no parent that ends with this process")
        except BaseException:
            self._connection.close()
            self._family.__exit__()
            raise

    def wait_until_ready(self, is_readable: Callable[[int], bool]) -> bool:
        """Wait until it has imported TensorFlow; return whether it can make copies.

        Args:
            is_readable: Waits until there is something to read from a descriptor; returns whether there is.
        """
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


class EarlyServer:
    """The server for trials that follow a measurement, which imports TensorFlow while the measured worker does.

    On two cores that takes 6 s off the time to the first proven change. Where it is not ready when the worker's import
    is over, it is stopped until the trials, so that nothing that is measured waits for a core.
    """

    def __init__(self) -> None:
        self._server: ForkServer | None = None

    def begin(self) -> None:
        """Start it; where that fails, the trials start their own."""
        if _LINUX and self._server is None:
            with contextlib.suppress(OSError):
                self._server = ForkServer({})

    def pause(self) -> None:
        """Stop it."""
        if self._server is not None:
            self._server.signal(signal.SIGSTOP)

    def take(self) -> ForkServer | None:
        """Let it go on, and leave its end to the caller; None where there is none."""
        server, self._server = self._server, None
        if server is not None:
            server.signal(signal.SIGCONT)
        return server

    def close(self) -> None:
        """End it, unless it was taken."""
        if self._server is not None:
            self._server.retire()
            self._server.close()


class ForkServers:
    """Starts workers as copies of a server: one for the environment as it is, and one for another one.

    Args:
        is_readable: Waits until there is something to read from a descriptor; returns whether there is.
        begun: One for the environment as it is.
    """

    def __init__(self, is_readable: Callable[[int], bool], begun: ForkServer | None = None) -> None:
        self._is_readable = is_readable
        self._servers: dict[_Variables, ForkServer | None] = {(): begun} if begun is not None else {}
        self._retired: list[ForkServer] = []

    def start(self, pipes: Sequence[int], family: RunFamily, variables: Mapping[str, str]) -> StartedProcess:
        """Start a worker, as `start_process` does."""
        environment = tuple(sorted(variables.items()))
        server = self._server(environment) if _LINUX else None
        if server is not None:
            copy = server.copy(pipes, family)
            if copy is not None:
                return copy
            # Its answer may still come, and would be taken for that to the next order.
            self._give_up(environment)
        return start_process(pipes, family, variables)

    def close(self) -> None:
        """End all servers and workers."""
        for environment in tuple(self._servers):
            self._give_up(environment)
        while self._retired:
            self._retired.pop().close()

    def _server(self, environment: _Variables) -> ForkServer | None:
        """The server for an environment; None where there is none that can copy."""
        if environment not in self._servers:
            for other in [known for known in self._servers if known and environment]:
                self._give_up(other)
                del self._servers[other]
            try:
                self._servers[environment] = ForkServer(dict(environment))
            except OSError:
                self._servers[environment] = None
        server = self._servers[environment]
        if server is not None and not server.wait_until_ready(self._is_readable):
            self._give_up(environment)
        return self._servers[environment]

    def _give_up(self, environment: _Variables) -> None:
        """End a server; workers of this environment start in the usual way from now on."""
        server, self._servers[environment] = self._servers[environment], None
        if server is not None:
            server.retire()
            self._retired.append(server)
