"""A worker of a tf.data service in a process of its own: ``pipeprof worker``."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeprof.profiles.worker.serving.profiler import free_port, mark_until, start_profiler
from pipeprof.profiles.worker.versions import NoTensorFlowError, import_tensorflow

if TYPE_CHECKING:
    from types import FrameType

_INTERNAL, _FAILED = 1, 5


def main(argv: Sequence[str] | None = None) -> int:
    """Serve ``DISPATCHER ADDRESS PORT TRACE_PORT`` until a signal comes; without an address on this host alone."""
    dispatcher, address, port, trace_port = argv or sys.argv[1:]
    over = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        over.set()

    # TensorFlow waits for a dispatcher outside of Python, where no handler would be called.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        tf = import_tensorflow()
    except NoTensorFlowError as error:
        _say(f"error: {error}")
        return _INTERNAL
    service = tf.data.experimental.service
    try:
        own = free_port(int(port))
        traced = start_profiler(tf, int(trace_port))
        found = address or f"localhost:{own}"
        _say(f"opens port {own} (worker) and port {traced} (profiler) on all addresses of this machine, without")
        _say("authentication: whoever reaches them can run TensorFlow graphs here, and have traces written to files")
        config = service.WorkerConfig(dispatcher_address=dispatcher, worker_address=found, port=own)
        server = service.WorkerServer(config)
    except OSError as error:
        _say(f"error: a port cannot be used: {error}")
        return _FAILED
    except (tf.errors.OpError, RuntimeError) as error:
        _say(f"error: the worker did not start: {str(error).splitlines()[0]}")
        return _FAILED
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    host = found.rpartition(":")[0]
    _say(f"ready: registered as {found} at the dispatcher {dispatcher}; for a run: --trace-workers {host}:{traced}")
    mark_until(over, tf)
    del server
    return 0


def _say(text: str) -> None:
    print(f"pipeprof worker: {text}", file=sys.stderr, flush=True)
