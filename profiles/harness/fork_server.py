"""Workers that are copies of a process that has imported TensorFlow: the import takes seconds, a copy milliseconds.

A comparison starts three processes for each pair. Each is a process of its own: it builds its pipeline, has its own
runtime of TensorFlow, and ends with its session. What copies have in common is what no pipeline decides: where the
libraries lie in memory, and the seed of Python's hashes.

The server forks twice, and what is between ends at once, so that the worker becomes a child of this process, as one
that was started in the usual way. Linux only; where a server ends or cannot copy, workers are started in the usual way.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from pipeprof.pipelines.target.import_path import child_command
from pipeprof.profiles.harness.process import start_process
from pipeprof.profiles.host.run_family import MARK, RunFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pipeprof.profiles.harness.process import StartedProcess

COPY_SECONDS = 10.0
"""For a copy, after which the server is given up."""
_SERVER = "pipeprof.profiles.worker.copies.fork_server"
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform.startswith("linux")


class CopiedProcess:
    """A worker that was copied.

    Attributes:
        pid: The process, which leads its group.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or minus the signal; `None` while it runs."""
        return self._look(os.WNOHANG)

    def wait(self) -> int:
        """Wait for the end; return what `poll` does."""
        status = self._look(0)
        return status if status is not None else -1

    def _look(self, options: int) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, options)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status


class ForkServer:
    """A process that imports TensorFlow and then copies itself.

    Args:
        variables: Of its environment, beyond this process's.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._family = RunFamily()
        self._is_ready = False
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    child_command(_SERVER, str(theirs.fileno()), str(os.getpid())),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    env={**self._family.environment, **variables},
                )
        except BaseException:
            self._connection.close()
            self._family.__exit__()
            raise
        self._family.lead(self._process.pid)

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
        """Make a copy that runs a worker; None where that fails.

        Args:
            pipes: Of the worker, as `start_process` takes them.
            family: That the worker leads.
        """
        to_worker, _, _, from_worker, _, prints, _, stacks = pipes
        try:
            with _adopting():
                self._connection.settimeout(COPY_SECONDS)
                order = [family.environment[MARK].encode()]
                socket.send_fds(self._connection, order, [to_worker, from_worker, stacks, prints])
                pid = int(self._connection.recv(16) or b"0")
        except OSError:
            return None
        return CopiedProcess(pid) if pid else None

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self._family.end(self._process.pid)
        self._process.wait()
        self._family.__exit__()


class ForkServers:
    """Starts workers as copies of a server; of one for the environment as it is, and one more for another one.

    Args:
        is_readable: Waits until there is something to read from a descriptor; returns whether there is.
    """

    def __init__(self, is_readable: Callable[[int], bool]) -> None:
        self._is_readable = is_readable
        self._servers: dict[tuple[tuple[str, str], ...], ForkServer | None] = {}

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
        """End all servers."""
        for environment in tuple(self._servers):
            self._give_up(environment)

    def _server(self, environment: tuple[tuple[str, str], ...]) -> ForkServer | None:
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

    def _give_up(self, environment: tuple[tuple[str, str], ...]) -> None:
        """End a server; workers of this environment start in the usual way from now on."""
        server, self._servers[environment] = self._servers[environment], None
        if server is not None:
            server.close()


@contextlib.contextmanager
def _adopting() -> Iterator[None]:
    """Meanwhile, a process whose parent ends becomes a child of this one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no child subreaper")
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
