"""What is asked of the benchmark: places, faults, and pipelines whose costs are known without a service."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import Cluster, free_port

Json = dict[str, Any]

SPEC = """
version: 1
source: {range: {stop: 100000}}
stages:
  - repeat: {}
  - map: {python: targets.py:MAP, num_parallel_calls: AUTOTUNE}
  - batch: {batch_size: 8}
  - distribute: {processing_mode: parallel_epochs, service: SERVICE, compression: null}
  - prefetch: {buffer_size: 2}
"""


def of(function: str, address: str) -> list[str]:
    """The words that name a function of ``targets.py`` and its service."""
    return [f"targets.py:{function}", "--arg", f"address={address}"]


@dataclass(frozen=True)
class Place:
    """A pipeline and the place that limits it.

    Attributes:
        words: Of the command line, given the service's address.
        limit: What the verdict has to name; None where the run fails.
        stage: Op of the stage that it has to name.
        on_workers: Name or op of the stage with most of the work there; None where it does not matter.
        said: What has to be in the message of a run that fails.
    """

    words: Callable[[str], list[str]]
    limit: str | None
    stage: str | None = None
    on_workers: str | None = None
    workers: int = 1
    local: bool = False
    said: str = ""


PLACES: dict[str, Place] = {
    "place: a map on the workers (spec)": Place(
        lambda _: ["spec.yaml", "--workers", "1", "--worker-cores", "1"], "remote", "distribute", "map", local=True
    ),
    "place: a map on the workers (function)": Place(
        lambda _: [*of("remote", "{service}"), "--workers", "1", "--worker-cores", "1"],
        "remote",
        "distribute",
        "slow",
        local=True,
    ),
    "place: bytes that are sent": Place(
        lambda _: [*of("sent", "{service}"), "--workers", "1", "--worker-cores", "1"],
        "remote",
        "distribute",
        local=True,
    ),
    "place: a map behind the service": Place(
        lambda _: [*of("after", "{service}"), "--workers", "1", "--worker-cores", "1"],
        "serial-stage",
        "map",
        "light",
        local=True,
    ),
    "place: the step": Place(
        lambda _: [*of("cheap", "{service}"), "--workers", "1", "--worker-cores", "1", "--step", "simulate:60ms"],
        "step",
        None,
        "light",
        local=True,
    ),
    "place: no worker": Place(
        lambda address: [*of("remote", address), "--timeout", "3"],
        None,
        workers=0,
        said="No worker is registered at the dispatcher",
    ),
}


@dataclass(frozen=True)
class Fault:
    """A fault and the cause that has to be named.

    Attributes:
        words: Of the command line, given the service's address.
        said: What has to be in what is printed.
        code: The exit code.
        workers: That the service has; None for no service at all.
        during: What happens when the run has reached the phase `at`.
        before: What happens before it; returns an address in place of the service's, or None.
        run: The command is ``run``.
        problem: The code of the error in the profile, where the exit code is 5.
    """

    words: Callable[[str], list[str]]
    said: str
    code: int = 5
    workers: int | None = 1
    during: Callable[[Cluster], None] | None = None
    at: str = "measure"
    before: Callable[[Cluster, Path], str | None] | None = None
    run: bool = True
    problem: str = "service"


def _nothing(_: Cluster, __: Path) -> str:
    return f"localhost:{free_port()}"


def _answers(reply: bytes) -> Callable[[Cluster, Path], str]:
    """Something that listens and is no dispatcher; it ends with this process."""

    def listen(_: Cluster, __: Path) -> str:
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen()
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                kept.append(connection)
                if reply:
                    connection.recv(1024)
                    connection.sendall(reply)
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return f"localhost:{server.getsockname()[1]}"

    return listen


def _kill(*numbers: int) -> Callable[[Cluster], None]:
    def kill(made: Cluster) -> None:
        for number in numbers:
            made.workers[number].kill()
            made.workers[number].wait()

    return kill


def _stop(*numbers: int) -> Callable[[Cluster], None]:
    def stop(made: Cluster) -> None:
        for number in numbers:
            made.workers[number].send_signal(signal.SIGSTOP)

    return stop


def _end_all(made: Cluster) -> None:
    for process in (made.dispatcher, *made.workers):
        assert process is not None
        process.kill()
        process.wait()


def _gone_before(made: Cluster, _: Path) -> None:
    made.workers[0].kill()
    made.workers[0].wait()
    time.sleep(0.5)


def _stopped_before(made: Cluster, _: Path) -> None:
    made.workers[0].send_signal(signal.SIGSTOP)


def _named_workers(made: Cluster, _: Path) -> str:
    """A service whose dispatcher knows its two workers by their addresses."""
    addresses = [f"localhost:{free_port()}" for _ in range(2)]
    made.start("dispatcher", workers=addresses)
    for address in addresses:
        made.start("worker", address=address)
    return made.address


def _small_worker(made: Cluster, _: Path) -> None:
    made.start("worker", memory=7_000_000_000)


def _spec(made: Cluster, folder: Path, address: str | None = None) -> None:
    text = SPEC.replace("MAP", "slow").replace("SERVICE", f'"{address or made.address}"')
    (folder / "spec.yaml").write_text(text)


def _spec_to_nothing(made: Cluster, folder: Path) -> None:
    _spec(made, folder, _nothing(made, folder))


def _spec_http(made: Cluster, folder: Path) -> None:
    _spec(made, folder, "http://localhost:5000")


SOON = ("--timeout", "6", "--seconds", "60")
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
LOST = "is lost, and TensorFlow waits for ever"


def _fault(function: str, said: str, *more: str, **options: Any) -> Fault:
    return Fault(lambda address: [*of(function, address), *more], said, **options)


FAULTS: dict[str, Fault] = {
    "nothing listens": _fault("remote", "Nothing listens at localhost:", workers=None, before=_nothing),
    "nothing listens (spec)": Fault(lambda _: ["spec.yaml"], "Nothing listens at localhost:", workers=None,
                                    before=_spec_to_nothing),
    "an HTTP server at the address": _fault("remote", "does not answer as the dispatcher", "--timeout", "4",
                                            workers=None, before=_answers(HTTP)),
    "something silent at the address": _fault("remote", "does not answer as the dispatcher", "--timeout", "4",
                                              workers=None, before=_answers(b"")),
    "http:// in the address": _fault("http", "which TensorFlow does not speak: use grpc://"),
    "grpc+tls:// in the address": _fault("tls", "which TensorFlow does not speak: use grpc://"),
    "http:// in a spec": Fault(lambda _: ["spec.yaml"], "the dispatcher's host:port", code=2, workers=None,
                               before=_spec_http),
    "no worker": _fault("remote", "No worker is registered at the dispatcher", "--timeout", "3", workers=0),
    "a worker is killed": _fault("epochs", LOST, *SOON, workers=2, during=_kill(1)),
    "a worker is stopped": _fault("epochs", "accepts connections but does not answer", *SOON, workers=2,
                                  during=_stop(1)),
    "all workers are killed": _fault("remote", "2 of 2 workers", *SOON, workers=2, during=_kill(0, 1)),
    "all workers are stopped": _fault("remote", "2 of 2 workers", *SOON, workers=2, during=_stop(0, 1)),
    "dispatcher and worker are killed": _fault("remote", "othing listens at localhost:", *SOON, during=_end_all),
    "they are killed in the warm-up": _fault("remote", "othing listens at localhost:", *SOON, during=_end_all,
                                             at="warmup"),
    "a registered worker was killed before": _fault("remote", "1 of 1 workers", *SOON, before=_gone_before),
    "a registered worker was stopped before": _fault("remote", "does not answer", *SOON, before=_stopped_before),
    "numpy_function before the cut": _fault("numpy_function", "Python runs in"),
    "py_function before the cut": _fault("py_function", "Python runs in"),
    "a generator before the cut": _fault("generator", "Python runs in"),
    "a wrong protocol": _fault("protocol", "do not offer the data_transfer_protocol 'xyz'"),
    "FILE without addresses": _fault("by_files", "worker_addresses"),
    "DATA without addresses": _fault("by_data", "worker_addresses"),
    "fewer files than workers": _fault("one_file", "fewer files than workers", workers=None, before=_named_workers),
    "turns over data with an end": _fault("in_turns", "need a dataset without end", "--share-job"),
    "a dataset that nobody registered": _fault("unknown_id", "does not know this dataset or job", "--timeout", "10"),
    "an element that a worker cannot make": _fault("broken", "Unknown image file format", problem="raised"),
    "a worker without memory": _fault("huge", "no memory left", "--timeout", "10", workers=0, before=_small_worker),
    "a job that others read": _fault("shared", "is lost to every other reader", code=2),
    "a turn that others wait for": _fault("in_turns", "take the turns of a consumer", code=2),
    "a cache that trainers share": _fault("cached", "--share-job", code=2),
    "workers that nothing reads from": Fault(lambda address: [*of("remote", address), "--workers", "1"],
                                             "--arg service={service}", code=2),
    "no profiler server at the address": Fault(
        lambda address: [*of("remote", address), "--trace-workers", f"localhost:{free_port()}"],
        "--trace-workers: nothing listens at", code=2),
    "worker: no dispatcher": Fault(lambda address: ["worker", "--dispatcher", address, "--wait", "0.5"],
                                   "nothing listens at", workers=None, before=_nothing, run=False),
    "worker: an HTTP server at the address": Fault(lambda address: ["worker", "--dispatcher", address],
                                                   "does not answer as the dispatcher", workers=None,
                                                   before=_answers(HTTP), run=False),
    "worker: its port is taken": Fault(
        lambda address: ["worker", "--dispatcher", address, "--port", address.rpartition(":")[2]],
        "a port cannot be used", run=False),
}  # fmt: skip


TRUTH = """
version: 1
source: {range: {stop: 64}}
stages:
  - map: {python: targets.py:picture}
  - cache: {}
  - repeat: {}
  - map: {name: decode, python: targets.py:decode}
  - map: {name: resize, python: targets.py:resize}
  - batch: {batch_size: 8}
"""
TWO_MAPS = """
version: 1
source: {range: {stop: 100000}}
stages:
  - repeat: {}
  - map: {name: slow, python: targets.py:slow}
  - batch: {batch_size: 4}
  - map: {name: again, python: targets.py:AGAIN}
"""
ATTRIBUTED: dict[str, str] = {
    "costs: decode and resize": TRUTH,
    "costs: resize in parallel": TRUTH.replace("targets.py:resize", "targets.py:resize, num_parallel_calls: 2"),
    "costs: two maps": TWO_MAPS.replace("AGAIN", "light_of_batch"),
    "costs: a shuffle": TRUTH.replace(
        "  - batch: {batch_size: 8}", "  - shuffle: {buffer_size: 16}\n  - batch: {batch_size: 8}"
    ),
}
CUT = "  - distribute: {processing_mode: parallel_epochs, service: local, compression: null}\n"
