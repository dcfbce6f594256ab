"""The tf.data services of a worker's pipeline: what it must not read, what it waits for, pipeprof's own.

A service of pipeprof's own is a dispatcher and workers, copies of a process that has imported TensorFlow. They are made
before that process runs its first op: gRPC and TensorFlow's runtime work in copies that were made until then. Each ends
with the process that it is a copy of, whatever ends that, and belongs to the same run: it is sampled with it and counts
as its own. TensorFlow's servers listen on all addresses of the machine, at ports that the kernel chooses; they have no
option for less, and no authentication.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.errors import PipelineFailedError, UsageError
from pipeprof.pipelines.host_files import die_with_parent
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.messages import SERVICE_FAILED, Raised, ServiceRead
from pipeprof.profiles.wording import listed
from pipeprof.profiles.worker.ended import end_at_once

SHARED_JOB: Final = "shared-job"
"""Code of the refusal."""
LOOK_SECONDS: Final = 1.0
"""Between two looks at a build."""
PATIENCE: Final = 3
"""Looks from which a build that waits for a service is told."""
SEND_BYTES: Final = 32_000_000
"""Growth of memory from which the harness gets a message."""
_MODULE: Final = "data_service_ops"
"""TensorFlow's module whose calls wait for a dispatcher."""
_NAMES: Final = ("address", "service")
"""Local variables in its functions that have the address."""
_MOST_FRAMES: Final = 40


class SharedJobError(UsageError):
    """The pipeline takes elements from what others read as well."""


def services_read(read: Iterable[tuple[Any, Any]], own: LocalService | None) -> list[ServiceRead]:
    """Describe the services that a pipeline reads from, by what each was named and where; `own` is this run's."""
    return [
        ServiceRead(
            facts.address,
            list(facts.shares),
            [ErrorFrame(**place) for place in registered.python] if registered is not None else [],
            len(own.workers) if own is not None and facts.address == own.address else None,
        )
        for facts, registered in read
    ]


def refuse_shared_job(services: Iterable[ServiceRead]) -> None:
    """Raise an error that says what a profile would do to other readers of the same job, if there are any."""
    shared = next((service for service in services if service.shares and service.workers is None), None)
    if shared is None:
        return
    said = f"{listed(shared.shares)} {'is' if len(shared.shares) == 1 else 'are'} set"
    raise SharedJobError(
        f"the pipeline reads from the tf.data service at {shared.address} together with others ({said}): every other "
        "reader, such as the training, would lack what this run reads, or wait for it. Leave that out for a profile"
    )


class Services:
    """The services of a run: its own one, if it has that, and those that its pipeline reads from.

    Attributes:
        are_read: Whether the pipeline reads from any.
    """

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._own: LocalService | None = None
        self.are_read = False

    @property
    def workers(self) -> tuple[int, ...]:
        """The processes of its own one's workers."""
        return self._own.workers if self._own is not None else ()

    def start(self, tf: Any, workers: int) -> str:
        """Start an own one, whose end ends the run; return its address."""
        self._own = service = start_local_service(tf, workers)

        def watch() -> None:
            # What is measured from then on is another number of workers.
            self._send(error=Raised(code=SERVICE_FAILED, message=wait_for_end(service)))
            end_at_once()

        threading.Thread(target=watch, name="pipeprof-service", daemon=True).start()
        return service.address

    def meet(self, read: Sequence[tuple[Any, Any]]) -> None:
        """Tell those that the pipeline reads from, before it reads anything.

        Raises:
            SharedJobError: Others read the same job.
        """
        self.are_read = bool(read)
        if read:
            services = services_read(read, self._own)
            self._send(services=services)
            refuse_shared_job(services)


class BuildWatch:
    """Tells in a ``with`` block that memory has grown, and which service the code waits for.

    A build that reads much takes its time; TensorFlow waits for a dispatcher for ever.
    """

    def __init__(self, send: Callable[..., None], resident: Callable[[], int | None] = procfs.own_rss_bytes) -> None:
        self._send, self._resident = send, resident
        self._sent, self._looks = resident() or 0, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pipeprof-build", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once."""
        now = self._resident() or 0
        if now >= self._sent + SEND_BYTES:
            self._sent = now
            self._send(grows=True)
        self._looks += 1
        address = awaited_service(sys._current_frames().values()) if self._looks >= PATIENCE else None
        if address is not None:
            self._send(awaited=address)


def awaited_service(frames: Iterable[FrameType]) -> str | None:
    """Return the address of the service that TensorFlow's Python code waits for, by the innermost frames of threads."""
    for inner in frames:
        frame: FrameType | None = inner
        for _ in range(_MOST_FRAMES):
            if frame is None:
                break
            if frame.f_globals.get("__name__", "").rpartition(".")[2] == _MODULE:
                known = (frame.f_locals.get(name) for name in _NAMES)
                address = next((value for value in known if isinstance(value, str)), None)
                if address is not None:
                    return address.rpartition("://")[2]
            frame = frame.f_back
    return None


START_SECONDS: Final = 20.0
"""For one of the processes to say that it serves."""
POLL_SECONDS: Final = 0.2
"""Between two looks at whether they still run."""
_HEARTBEAT_MS: Final = 100
"""Between two reports of a worker: a job that has just begun reaches it that much later."""


class ServiceNotStartedError(PipelineFailedError):
    """A process of the service did not come up."""


@dataclass(frozen=True)
class LocalService:
    """A service that runs: the dispatcher's host:port, its process, and then the workers'."""

    address: str
    pids: tuple[int, ...]

    @property
    def workers(self) -> tuple[int, ...]:
        """The workers' processes."""
        return self.pids[1:]


def start_local_service(tf: Any, workers: int) -> LocalService:
    """Start a dispatcher and workers, each a process; `tf`, the module, has run nothing yet.

    Raises:
        ServiceNotStartedError: A process did not come up.
    """
    service = tf.data.experimental.service

    def dispatch() -> tuple[Any, str]:
        server = service.DispatchServer(service.DispatcherConfig(port=0))
        return server, server.target.partition("://")[2]

    dispatcher, address = _copy(dispatch, "dispatcher")

    def work() -> tuple[Any, str]:
        config = service.WorkerConfig(dispatcher_address=address, heartbeat_interval_ms=_HEARTBEAT_MS)
        return service.WorkerServer(config), "ready"

    return LocalService(address, (dispatcher, *(_copy(work, "worker")[0] for _ in range(workers))))


def wait_for_end(service: LocalService) -> str:
    """Wait until one of its processes has ended; return which one and how, in words.

    TensorFlow says nothing of that: readers go on with the other workers, or wait for ever.
    """
    while True:
        for number, pid in enumerate(service.pids):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                what = f"worker {number} of {len(service.workers)}" if number else "the dispatcher"
                return f"{what} of the local tf.data service {_end_of(os.waitstatus_to_exitcode(status))}"
        time.sleep(POLL_SECONDS)


def _end_of(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL): from outside, or by the kernel for lack of memory"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"


def _copy(serve: Callable[[], tuple[Any, str]], role: str) -> tuple[int, str]:
    """Make a copy that serves; return its process id and what it says."""
    answer, answers = os.pipe()
    parent = os.getpid()
    with warnings.catch_warnings():
        # The thread that hears commands holds no lock that a copy needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        _serve(serve, answers, parent)
    os.close(answers)
    said = _read(answer, START_SECONDS)
    os.close(answer)
    if "address" not in said:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise ServiceNotStartedError(f"the {role} of the local tf.data service did not start: {said.get('error')}")
    return pid, said["address"]


def _read(descriptor: int, seconds: float) -> dict[str, str]:
    ready, _, _ = select.select([descriptor], [], [], seconds)
    text = os.read(descriptor, 1 << 16) if ready else b""
    found: dict[str, str] = json.loads(text) if text else {"error": "it said nothing" if not ready else "it ended"}
    return found


def _serve(serve: Callable[[], tuple[Any, str]], answers: int, parent: int) -> None:
    """Be a server until the end; never returns."""
    try:
        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _let_go(answers)
        try:
            server, said = serve()
        except Exception as error:
            os.write(answers, json.dumps({"error": f"{type(error).__name__}: {error}"[:1000]}).encode())
            os._exit(1)
        os.write(answers, json.dumps({"address": said}).encode())
        os.close(answers)
        while server is not None:
            threading.Event().wait()
    finally:
        os._exit(1)


def _let_go(kept: int) -> None:
    """Close what this copy has inherited: whoever reads a pipe must see when the other one ends."""
    nothing = os.open(os.devnull, os.O_RDWR)
    sys.stdout.flush()
    sys.stderr.flush()
    for stream in range(3):
        os.dup2(nothing, stream)
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():  # noqa: PTH112, PTH208 - of names
        if int(name) > 2 and int(name) != kept:
            try:
                os.close(int(name))
            except OSError:
                continue
