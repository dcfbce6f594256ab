"""Commands and workers that are copies of a process that has imported TensorFlow, which takes seconds for each.

For tests of what commands say and what workers do. How a worker is started, what it weighs, and how it ends if nobody
ends it is for tests that start it as a command does. On macOS all tests do, where TensorFlow cannot be copied.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from pipeprof.profiles.harness import process
from pipeprof.profiles.host.run_family import RunFamily

LINUX = sys.platform == "linux"
TESTS = str(Path(__file__).parents[1])
_PR_SET_CHILD_SUBREAPER = 36


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


def fork_workers() -> None:
    """From now on, a worker is a copy of this process, which must have used nothing of TensorFlow."""
    if not LINUX:
        return
    import tensorflow  # noqa: F401

    from pipeprof.profiles.worker import sample  # noqa: F401
    from pipeprof.profiles.worker.turns import turn_run  # noqa: F401

    process._start = _fork  # type: ignore[assignment]


def _fork(pipes: Sequence[int], family: RunFamily, variables: Mapping[str, str]) -> Copy:
    to_worker, _, _, from_worker, _, prints, _, stacks = pipes
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Copy(pid)
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
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
        from pipeprof.profiles.worker.main import main

        main([str(to_worker), str(from_worker), str(stacks)])
    finally:
        os._exit(1)


def _use_streams(out: int, errors: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for at, descriptor in enumerate((nothing, out, errors)):
        os.dup2(descriptor, at)


class Commands:
    """A process that runs command lines, each in a copy of itself."""

    def __init__(self) -> None:
        code = "from integration.forked import serve; serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": TESTS},
        )

    def run(self, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a command line in a folder; nobody that it started is left."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as place:
            said = [Path(place, name) for name in ("out", "errors")]
            self._process.stdin.write(json.dumps([list(arguments), str(folder), *map(str, said)]) + "\n")
            self._process.stdin.flush()
            code, left = json.loads(self._process.stdout.readline())
            texts = [path.read_text(encoding="utf-8") for path in said]
        assert left == []
        return subprocess.CompletedProcess(list(arguments), code, *texts)

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def serve() -> None:
    """Run the command lines that come on standard input."""
    fork_workers()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for line in sys.stdin:
        arguments, folder, out, errors = json.loads(line)
        pid = os.fork()
        if not pid:
            _command(arguments, folder, *(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600) for path in (out, errors)))
        _, status = os.waitpid(pid, 0)
        alive = [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
        print(json.dumps([os.waitstatus_to_exitcode(status), [one.pid for one in alive]]), flush=True)


def _command(arguments: list[str], folder: str, out: int, errors: int) -> None:
    from pipeprof.cli.main import main

    code: object = 1
    try:
        os.chdir(folder)
        _use_streams(out, errors)
        sys.argv = ["pipeprof", *arguments]
        main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)
