"""The tf.data services of a worker's pipeline: what it must not read from, and what it waits for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Final

from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.protocol.messages import ServiceRead
from pipeprof.profiles.wording import listed

SHARED_JOB: Final = "shared-job"
"""Code of the refusal."""
LOOK_SECONDS: Final = 3.0
"""Between two looks at what the code waits for."""
_MODULE: Final = "data_service_ops"
"""TensorFlow's module whose calls wait for a dispatcher."""
_NAMES: Final = ("address", "service")
"""Local variables in its functions that have the address."""
_MOST_FRAMES: Final = 40


class SharedJobError(UsageError):
    """The pipeline takes elements from what others read as well."""


def what_sharing_does(service: ServiceRead) -> str:
    """Say what a profile would do to other readers of the same job, and how to do it all the same."""
    shares, job = service.shares, service.job_name
    said = f"{listed(shares)} {'is' if len(shares) == 1 else 'are'} set"
    if "num_consumers" in shares:
        does = f"this run would take the turns of a consumer of job {job}, and every other consumer would wait for it"
    elif job is not None:
        does = f"what this run reads from job {job} is lost to every other reader of it, such as the training"
    else:
        does = "this run would fill and move the cache that the trainers share"
    return (
        f"the pipeline reads from the tf.data service at {service.address} together with others ({said}): {does}. "
        "Leave that out for a profile"
    )


class AwaitedService:
    """Tells in a ``with`` block which service the code in it waits for: TensorFlow waits for a dispatcher for ever."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pipeprof-service", daemon=True)

    def __enter__(self) -> AwaitedService:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            address = awaited_service(sys._current_frames().values())
            if address is not None and not self._over.is_set():
                self._send(awaited=address)


def awaited_service(frames: Iterable[FrameType]) -> str | None:
    """Return the address of the service that TensorFlow's Python code waits for in one of the threads.

    Args:
        frames: The innermost frame of each thread.
    """
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
