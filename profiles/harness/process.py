"""Worker process as seen by its parent: started in its own process group, ended with all its children.

Also what is seen from outside in its measured window, and the lock for one measuring command at a time: two at once
would disturb each other. The kernel holds it for the process (``flock``), so any end of the process releases it; the
file stays and names the holder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.host_files import check_private, temporary_folder
from pipeprof.pipelines.target.modules import child_command
from pipeprof.profiles.document.memory import Disk
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.host import procfs
from pipeprof.profiles.host.limits import system_fault
from pipeprof.profiles.host.nvml import GpuWatch
from pipeprof.profiles.host.page_cache import in_memory
from pipeprof.profiles.host.procfs import uncounted
from pipeprof.profiles.host.run_family import bytes_read, is_stopped
from pipeprof.profiles.protocol.channel import Changes, Command, HarnessEnd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeprof.profiles.document.profile import Host, Target, Tool
    from pipeprof.profiles.document.shared import Contention, GpuUse
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.host.run_family import LedProcess, RunFamily
    from pipeprof.profiles.host.sampler import ContentionProbe
    from pipeprof.profiles.protocol.options import Options
    from pipeprof.profiles.protocol.turns import TurnRequest


_WORKER = "pipeprof.profiles.worker.main"
OUTPUT_BYTES = 64 * 1024
HEAD_BYTES = 8 * 1024
MOST_CHUNKS = 64
MOST_LINES = 100
MOST_LETTERS = 8_000
_TENSORFLOWS_OWN = re.compile(
    r"^(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWEF] |[IWEF]\d{4} \d\d:\d\d:\d\d|WARNING: All log messages before absl"
    r"|To enable the following instructions|Starting to trace for \d+ ms\. Remaining attempt"
    r"|WARNING:tensorflow:From .*(?:is|are) deprecated|\s*$)"
)
_INSTRUCTIONS = "Instructions for updating:"
"""Of what TensorFlow deprecates: they are in the next line."""

_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_GOES_ON = re.compile(r"^(?:\s|Traceback |\w+(?:Error|Exception)\b|\[\[)")


class WorkerOutput:
    """Bounded beginning and end of the worker's output."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._head = b""
        self._lost = 0

    def add(self, chunk: bytes) -> None:
        """Add a chunk of output."""
        self._head += chunk[: max(0, HEAD_BYTES - len(self._head))]
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size > OUTPUT_BYTES and len(self._chunks) > 1:
            gone = len(self._chunks.popleft())
            self._size -= gone
            self._lost += gone

    def text(self) -> str:
        """Return the text kept."""
        return b"".join(self._chunks)[-OUTPUT_BYTES:].decode("utf-8", "replace")

    def users(self) -> str | None:
        """Return beginning and end without TensorFlow's log lines; `None` if nothing is left."""
        lines = list(_without_log(_lines(self.text())))
        head: list[str] = []
        if self._lost > len(self._head):
            head = list(_without_log(_lines(self._head.decode("utf-8", "replace"))[:-1]))
        whole = "\n".join([*head, *lines])
        if not head and len(lines) <= MOST_LINES and len(whole) <= MOST_LETTERS:
            return whole or None
        first, last = (head or lines)[: MOST_LINES // 4], lines[-MOST_LINES // 2 :]
        start = "\n".join(first)[: MOST_LETTERS // 4]
        end = "\n".join(last)[-MOST_LETTERS // 2 :]
        return f"{start}\n… more was printed …\n{end}"


def _lines(text: str) -> list[str]:
    """Return the lines as a terminal shows them: without colours, of overwritten text only the last."""
    lines = _COLOURS.sub("", text).replace("\r\n", "\n").split("\n")
    seen = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    return seen if seen[-1] else seen[:-1]


def _without_log(lines: Iterable[str]) -> Iterator[str]:
    """Drop TensorFlow's log, also the tracebacks that it copies into it."""
    within = deprecated = False
    for line in lines:
        if deprecated or line == _INSTRUCTIONS:
            deprecated = line == _INSTRUCTIONS
        elif _TENSORFLOWS_OWN.match(line):
            within = within or "INVALID_ARGUMENT" in line or "UNKNOWN" in line or "Error" in line
        elif not (within and _GOES_ON.match(line)):
            within = False
            yield line


def _read_all(descriptor: int, into: WorkerOutput) -> bool:
    """Read the available bytes, at most `MOST_CHUNKS` times 64 KiB; return whether more may come.

    A child of the pipeline may print faster than this can be read; the loop has signals and limits to look at, too.
    """
    for _ in range(MOST_CHUNKS):
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return True
        if not data:
            return False
        into.add(data)
    return True


Starter: TypeAlias = "Callable[[Sequence[int], RunFamily, Mapping[str, str]], LedProcess]"
"""Starts a worker with the ends of four pipes, the family that it leads, and variables of its environment."""


def start_process(pipes: Sequence[int], family: RunFamily, variables: Mapping[str, str]) -> LedProcess:
    """Start a worker as a new process; see `Starter`.

    Raises:
        OSError: That is not possible.
    """
    to_worker, _, _, from_worker, _, prints, _, stacks = pipes
    return family.start(
        child_command(_WORKER, *map(str, (to_worker, from_worker, stacks))),
        (subprocess.DEVNULL, prints, prints),
        (to_worker, from_worker, stacks),
        variables,
    )


class WorkerProcess:
    """Worker process with its pipes."""

    def __init__(self, job: Options, family: RunFamily, start: Starter | None = None) -> None:
        self._family = family
        pipes: list[int] = []
        try:
            for _ in range(4):
                pipes += os.pipe()
            # Allocators and libraries read their variables when they are loaded, long before the job arrives.
            variables = dict(job.turns.environment) if job.turns is not None else {}
            # A script decides about TensorFlow's settings before it imports it: it is no copy of a process that has.
            start = start if start is not None and job.kind != "script" else start_process
            self._process = start(pipes, family, variables)
        except BaseException as error:
            for descriptor in pipes:
                os.close(descriptor)
            if not isinstance(error, OSError) or system_fault(error) is not None:
                raise
            raise PipeprofError(f"the worker could not be started: {error.strerror or error}") from error
        to_worker, self._commands, self.messages, from_worker, self.printed, prints, self.dumped, stacks = pipes
        for descriptor in (to_worker, from_worker, prints, stacks):
            os.close(descriptor)
        self.pid = self._process.pid
        self._command_line = procfs.command_line(self.pid)
        self._end = HarnessEnd(self._commands)
        self.output = WorkerOutput()
        self.stacks = WorkerOutput()
        self._end.send_job(job)
        os.set_blocking(self._commands, False)
        os.set_blocking(self.messages, False)
        os.set_blocking(self.printed, False)
        os.set_blocking(self.dumped, False)

    def send(self, command: Command | TurnRequest) -> bool:
        """Send a command or a turn; returns whether it could be taken."""
        return self._end.send(command)

    def pause(self) -> None:
        """Stop all threads of the worker's process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGCONT)

    def read_messages(self) -> list[Changes] | None:
        """Return the messages received; `None` once the worker has closed its end."""
        found: list[Changes] = []
        while True:
            try:
                data = os.read(self.messages, 1 << 20)
            except BlockingIOError:
                return found
            if not data:
                return found or None
            # Right after its start, a process may have no command line yet.
            self._command_line = self._command_line or procfs.command_line(self.pid)
            found += self._end.feed(data)

    def read_output(self) -> bool:
        """Read output and dumped stacks; return whether more output may come."""
        _read_all(self.dumped, self.stacks)
        return _read_all(self.printed, self.output)

    @property
    def returncode(self) -> int | None:
        """Return the exit status, or minus the signal; `None` while it runs."""
        return self._process.poll()

    @property
    def is_suspended(self) -> bool:
        """Return whether a signal or a debugger has stopped the process."""
        return is_stopped(self.pid)

    @property
    def successor(self) -> str | None:
        """The command line of another program that runs in the worker's process: its code called exec()."""
        now = procfs.command_line(self.pid)
        return now if now is not None and self._command_line is not None and now != self._command_line else None

    def dump_stacks(self) -> None:
        """Make the worker print the stacks of all threads, even while the GIL is held."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR1)

    def end(self) -> int:
        """Kill the worker and all processes that it started, stopped ones included, and wait for the worker."""
        self._family.end(self.pid)
        return self._process.wait()

    def close(self) -> None:
        """Close all pipes."""
        for descriptor in (self._commands, self.messages, self.printed, self.dumped):
            os.close(descriptor)


POLL_SECONDS = 0.25


class LockTimeoutError(PipeprofError):
    """Another pipeprof was measuring for longer than this one could wait."""


def lock_folder(uid: int | None = None) -> Path:
    """Return the folder of the lock file: the user's runtime folder, else a folder of the user's in the temporary one.

    The runtime folder is skipped if it is missing or, after a change of user, another user's.

    Raises:
        OSError: There is no place for it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_absolute() and Path(runtime).is_dir() and os.access(runtime, os.W_OK):
        return Path(runtime) / "pipeprof"
    temporary = temporary_folder()
    if temporary is None:
        raise FileNotFoundError(errno.ENOENT, "no folder for temporary files can be written to")
    return temporary / f"pipeprof-{os.getuid() if uid is None else uid}"


@contextmanager
def measuring_lock(
    note: Callable[[str], object],
    limit: float | None,
    *,
    folder: Path | None = None,
    go_on: Callable[[], object] = lambda: None,
) -> Iterator[str | None]:
    """Hold the lock while the body runs.

    Args:
        note: Receives for whom this process waits.
        limit: Seconds to wait for another one; None for no lock.
        go_on: Called before each pause; what it raises ends the wait.

    Yields:
        Why there is no lock where the folder cannot be written or knows none; the body runs without.

    Raises:
        LockTimeoutError: Another one still had it after ``limit`` seconds.
    """
    with ExitStack() as stack:
        warning = None
        try:
            if limit is not None:
                file = stack.enter_context(_open(lock_folder() if folder is None else folder))
                _wait(file, note, limit, go_on)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            warning = f"no lock against other measuring commands: {place}{error.strerror or error}"
        yield warning


def _open(folder: Path) -> IO[bytes]:
    """Open or create the lock file. Raises ``OSError``, also for a folder that another user could have created."""
    folder.mkdir(mode=0o700, parents=False, exist_ok=True)
    check_private(folder)
    return os.fdopen(os.open(folder / "measure.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b", 0)


def _wait(file: IO[bytes], note: Callable[[str], object], limit: float, go_on: Callable[[], object]) -> None:
    until, noted = time.monotonic() + limit, False
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        go_on()
        pid = os.pread(file.fileno(), 20, 0)
        who = f"another pipeprof (pid {int(pid)})" if pid.isdigit() else "another pipeprof"
        left = until - time.monotonic()
        if left <= 0:
            raise LockTimeoutError(f"{who} is measuring; waited {limit:.0f} s; --max-time waits longer")
        if not noted:
            note(f"waiting up to {limit:g} s for {who} to finish measuring")
        noted = True
        time.sleep(min(POLL_SECONDS, left))
    # On a full disk others only miss the name.
    with suppress(OSError):
        file.truncate(0)
        os.pwrite(file.fileno(), b"%d" % os.getpid(), 0)


COUNTED_FROM = 1e6
"""Bytes per second from the disk above which a process is known to read from it."""


@dataclass
class RunFacts:
    """The harness's own facts about a run, in addition to the worker's messages; filled in as the run goes on."""

    target: Target
    tool: Tool
    host: Host
    versions: dict[str, str | None]
    options: Options
    started: str
    stages: Mapping[str, Stage]
    written: list[Stage] | None = None
    disk: Disk | None = None
    contention: Contention | None = None
    sampler_cores: float | None = None
    warnings: list[Message] = field(default_factory=list)
    output: str | None = None
    gpus: list[GpuUse] = field(default_factory=list)
    commit: str | None = None

    @property
    def ops(self) -> dict[str, str] | None:
        """What a spec calls the source or stage at every address; None for a function."""
        spec = self.target.kind == "spec"
        return {address: stage.op for address, stage in self.stages.items()} if spec else None


READ_TO_THE_END = (
    "measure.cold: the measurement read all source files, and what it read twice came from memory. Measure for fewer"
    " --seconds, less than one pass."
)


class Outside:
    """What is read at the begin and at the end of the window.

    Args:
        own_cpu: CPU seconds that watching the worker took so far.
        evicted: Files that were dropped from memory before.
    """

    def __init__(
        self,
        facts: RunFacts,
        pid: int,
        probe: ContentionProbe,
        own_cpu: Callable[[], float] = time.process_time,
        evicted: Sequence[Path] = (),
    ) -> None:
        self._facts, self._pid, self._probe, self._evicted, self._own_cpu = facts, pid, probe, evicted, own_cpu
        self._gpus = GpuWatch() if facts.host.gpus else None
        self._began: float | None = None
        self._watched_since: tuple[float, float] | None = None
        self._read: int | None = None
        self._uncounted: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether the window has begun and not ended."""
        return self._began is not None and self._facts.sampler_cores is None

    def begin(self) -> None:
        """Begin the window."""
        self._probe.start()
        if self._gpus is not None:
            self._gpus.start()
        self.begin_watching()
        self._began = time.monotonic()
        self._read = bytes_read(self._pid)
        self._uncounted = uncounted(self._pid)

    def begin_watching(self) -> None:
        """Count what watching takes from here on: a soak may be over before a window of steps is complete."""
        self._watched_since = self._watched_since or (time.monotonic(), self._own_cpu())

    def end(self) -> None:
        """End the window; what takes long is read once, after it."""
        watched, now = self._own_cpu(), time.monotonic()
        self._facts.contention = self._probe.stop()
        self._facts.gpus = self._gpus.stop() if self._gpus is not None else []
        began, cpu = self._watched_since or (now, watched)
        self._facts.sampler_cores = (watched - cpu) / (now - began) if now > began else 0.0
        self._facts.disk = self._disk(time.monotonic() - (self._began or now))
        if in_memory(self._evicted):
            self._facts.warnings.append(Message(code="cold", message=READ_TO_THE_END))

    def _disk(self, seconds: float) -> Disk:
        cold = self._facts.disk.cold if self._facts.disk else None
        now = bytes_read(self._pid)
        if now is None or self._read is None:
            return Disk(source="unknown: the system does not count them for this process", cold=cold)
        counted = now - self._read
        kinds = self._uncounted | uncounted(self._pid)
        if kinds and counted < COUNTED_FROM * seconds:
            return Disk(source=f"{' and '.join(sorted(kinds))} does not count them", cold=cold)
        return Disk(bytes=counted, source="proc-io", cold=cold)
