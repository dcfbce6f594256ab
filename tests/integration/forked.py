"""Commands and workers that are copies of a process that has imported TensorFlow, which takes seconds for each.

For tests of what commands say and what workers do. How a worker is started, what it weighs, and how it ends if nobody
ends it is for tests that start it as a command does.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import pickle
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import psutil

from pipeprof.profiles.harness import fork_server, process
from pipeprof.profiles.host.run_family import LedProcess, RunFamily

PATIENCE = 300
"""Seconds after which a command is killed."""
SHORT = """
from pipeprof.profiles.worker.steps import headspace, window
from pipeprof.profiles.worker.trace import record as recording

headspace.FLOOR_SECONDS, recording.LOOK_SECONDS, recording.SECONDS = 0.1, 0.03, 0.1
headspace.SECONDS = 0.2
window.WINDOW_SECONDS, window.LIMIT_SECONDS, window.TUNABLE_LIMIT_SECONDS = 0.05, 0.5, 1.0
"""
"""Windows of a worker that measures; what is looked at does not depend on how long they are."""
AS_FOR_USERS = "from pipeprof.cli.main import main; main()"
COMMAND = f"{SHORT}\n{AS_FOR_USERS}"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LONGEST_ORDER = 1 << 17
TESTS = Path(__file__).parents[1]
# As in a process of its own: without the checkout, which `python -m pytest` puts on the path.
_PATH = [entry for entry in sys.path if entry and Path(entry) != TESTS.parent]
# What a command and a worker import is there before the first copy is made: all of pipeprof, and these.
_PRELOADED = ["tensorflow", "numpy.ma", "rich.console", "typer.rich_utils"]
# It ends the process that imports it.
_NOT_PRELOADED = {"pipeprof.__main__"}


class Copy:
    """As much of a `subprocess.Popen` as a worker needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._look(os.WNOHANG)

    def wait(self) -> int | None:
        return self._look(0)

    def _look(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def _fork(pipes: Sequence[int], family: RunFamily, variables: Mapping[str, str]) -> LedProcess:
    to_worker, _, _, from_worker, _, prints, _, stacks = pipes
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Copy(pid)
    try:
        os.setsid()
        _signals_as_usual()
        _use_streams(prints, prints)
        kept = {0, 1, 2, to_worker, from_worker, stacks}
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - of names
            if int(name) not in kept:
                try:
                    os.close(int(name))
                except OSError:
                    continue
        os.environ.clear()
        os.environ.update({**family.environment, **variables})
        # As in a process of its own, where nothing of the command is.
        gc.freeze()
        from pipeprof.profiles.worker.main import main

        main([str(to_worker), str(from_worker), str(stacks)])
    finally:
        os._exit(1)


def _signals_as_usual() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _use_streams(out: int, errors: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for at, descriptor in enumerate((nothing, out, errors)):
        os.dup2(descriptor, at)


@dataclass(frozen=True)
class _Order:
    code: str
    arguments: list[str]
    folder: str
    environment: dict[str, str]
    out: str
    path: list[str]


ADDRESS = "FORKS_OF_TESTS"
"""Variable with the address of the process that copies itself."""


class _Server:
    """The process that copies itself, and connections to it."""

    orders: ClassVar[socket.socket | None] = None
    kept: ClassVar[socket.socket | None] = None
    process: ClassVar[subprocess.Popen[bytes] | None] = None

    @classmethod
    def connection(cls) -> socket.socket:
        """Connect this process with the one of this test run."""
        if cls.orders is None:
            listen()
            cls.orders = _connected(os.environ[ADDRESS])
        return cls.orders


def _connected(address: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.connect(f"\0{address}")
    return made


def listen() -> None:
    """Start the process that copies itself, once for all processes of the tests; it imports nothing until it has to.

    It ends with the process that has called this first.
    """
    if ADDRESS in os.environ:
        return
    with _listening() as listening:
        code = f"from integration import forked; forked.answer_orders({listening.fileno()})"
        _Server.process = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(TESTS)}, pass_fds=[listening.fileno()]
        )


@contextmanager
def _listening() -> Iterator[socket.socket]:
    """A socket that is connected with this process, at an address that the kernel forgets with it."""
    address = f"pipeprof-tests-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(f"\0{address}")
        listening.listen()
        _Server.kept = _connected(address)
        os.environ[ADDRESS] = address
        yield listening


def import_all() -> None:
    """Import what commands and workers do."""
    import pipeprof

    # What is imported stays: a search for garbage in it would find next to nothing, a dozen times.
    gc.disable()
    of_pipeprof = {found.name for found in pkgutil.walk_packages(pipeprof.__path__, "pipeprof.")} - _NOT_PRELOADED
    for name in (*_PRELOADED, *sorted(of_pipeprof)):
        importlib.import_module(name)
    from pipeprof.profiles.document.profile import Profile

    Profile.model_rebuild(force=True)
    gc.collect()
    gc.freeze()
    gc.enable()


def answer_orders(descriptor: int) -> None:
    """Make a copy for each order, until whoever has connected first is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    copies: list[int] = []
    with socket.socket(fileno=descriptor) as listening:
        first, _ = listening.accept()
        connected = [first]
        while True:
            ready, _, _ = select.select([listening, *connected], [], [])
            if listening in ready:
                connected.append(listening.accept()[0])
            for orders in {*ready} & {*connected}:
                order, descriptors, _, _ = socket.recv_fds(orders, _LONGEST_ORDER, 2)
                if not order:
                    if orders is first:
                        return
                    connected.remove(orders)
                    orders.close()
                    continue
                if "tensorflow" not in sys.modules:
                    import_all()
                pid = os.fork()
                if not pid:
                    for one in (listening, *connected):
                        one.close()
                    _keep(pickle.loads(order), *map(Connection, descriptors))
                    os._exit(0)
                for one in descriptors:
                    os.close(one)
                copies = [one for one in (*copies, pid) if os.waitpid(one, os.WNOHANG) == (0, 0)]


class Started:
    """A command that runs, as a copy; a process between tells how it ends, and whom it leaves.

    Attributes:
        pid: Of the command's process.
        stderr: What it says, as it says it.
        returncode: As of a `subprocess.Popen`, once `communicate` has returned.
        left: Processes that were there when it had ended; they have ended as well when `communicate` returns.
    """

    def __init__(self, code: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._out = tempfile.NamedTemporaryFile("r", encoding="utf-8")  # noqa: SIM115 - as long as the command
        order = _Order(code, list(arguments), str(folder), dict(environment), self._out.name, _PATH)
        self.returncode: int | None = None
        self.left: list[int] = []
        heard, reports = os.pipe()
        said, errors = os.pipe()
        socket.send_fds(_Server.connection(), [pickle.dumps(order)], [reports, errors])
        for descriptor in (reports, errors):
            os.close(descriptor)
        self._reports = Connection(heard)
        self.stderr = os.fdopen(said, encoding="utf-8")
        self.pid = self._reports.recv()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self) -> tuple[str, str]:
        """Wait for its end; what it has printed, and what `stderr` still has."""
        killer = threading.Timer(PATIENCE, self.send_signal, [signal.SIGKILL])
        killer.start()
        try:
            errors = self.stderr.read()
            self.returncode, self.left = self._reports.recv()
            # Whom a command leaves that is killed ends soon after.
            assert self.returncode == -signal.SIGKILL or self.left == []
            assert self._reports.recv() == "all have ended"
        finally:
            killer.cancel()
        with self._reports, self._out, self.stderr:
            return self._out.read(), errors


def _keep(order: _Order, reports: Connection, errors: Connection) -> None:
    """Run a command in a copy of this process, which takes over whom it leaves, and ends with the tests."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    pid = os.fork()
    if not pid:
        _run(order, errors.fileno())
    errors.close()
    reports.send(pid)
    _, status = os.waitpid(pid, 0)
    alive = [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
    reports.send((os.waitstatus_to_exitcode(status), [one.pid for one in alive]))
    try:
        while True:
            os.wait()
    except ChildProcessError:
        reports.send("all have ended")


def _run(order: _Order, errors: int) -> None:
    code: object = 1
    try:
        _signals_as_usual()
        os.chdir(order.folder)
        _use_streams(os.open(order.out, os.O_WRONLY), errors)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.environ.clear()
        os.environ.update(order.environment)
        sys.path[:] = order.path
        sys.argv = ["pipeprof", *order.arguments]
        sys.modules["__main__"] = ModuleType("__main__")
        # A worker looks through all Python objects that its garbage collector knows, at the end: through those of
        # TensorFlow for longer than it does all the rest.
        gc.freeze()
        process.start_process = _fork  # type: ignore[assignment]
        fork_server.Copies.start = lambda _copies, _is_readable, *given: _fork(*given)  # type: ignore[assignment]
        fork_server.Copies.begin = lambda _copies: None  # type: ignore[method-assign]
        exec(order.code, vars(sys.modules["__main__"]))
        code = 0
    except SystemExit as end:
        code = end.code
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def start(arguments: Sequence[str], folder: Path, code: str = COMMAND, **environment: str) -> Started:
    """Start a command line in a folder, with variables beyond those of the tests."""
    return Started(code, arguments, folder, {**os.environ, **environment})


def run(
    arguments: Sequence[str], folder: Path, code: str = COMMAND, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command line in a folder, as `start` does; nobody that it started is left."""
    started = start(arguments, folder, code, **environment)
    out, errors = started.communicate()
    assert started.returncode is not None
    return subprocess.CompletedProcess(list(arguments), started.returncode, out, errors)
