"""``pipeprof worker``: a worker of a tf.data service that a run can look into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Text, option

if TYPE_CHECKING:
    from pipeprof.profiles.service.ask import ServiceState

EPILOG = epilog(
    "pipeprof worker --dispatcher dispatcher:5000 --address worker-0:5001 --port 5001 --trace-port 5002",
    codes=(0, 1, 2, 5),
)
WAIT_SECONDS = 60.0
"""For a dispatcher that does not listen yet."""
LOOK_SECONDS = 1.0


def worker(
    *,
    dispatcher: Annotated[Text, option("", "HOST:PORT", "The dispatcher to register at.")] = None,
    address: Annotated[
        Text,
        option("", "HOST:PORT", "Where readers find this worker.  [default: localhost and its port: this host alone]"),
    ] = None,
    port: Annotated[Text, option("", "N", "Port of the worker.  [default: a free one]")] = None,
    trace_port: Annotated[Text, option("", "N", "Port of its profiler server.  [default: a free one]")] = None,
    wait: Annotated[
        Text, option("", "SECONDS", "How long to wait for a dispatcher that does not listen yet.  [default: 60]")
    ] = None,
) -> None:
    """Be a worker of a tf.data service until a signal comes.

    It is TensorFlow's own worker with TensorFlow's profiler server, for `run --trace-workers`. Neither of them has
    authentication; at the start it says what it opens.
    """
    import os
    import sys

    from pipeprof.cli import options
    from pipeprof.pipelines.errors import PipelineFailedError, UsageError
    from pipeprof.pipelines.target.import_path import child_command
    from pipeprof.profiles.service.ask import plain_address

    if dispatcher is None:
        raise UsageError("worker needs the dispatcher's address: --dispatcher HOST:PORT")
    places = {}
    for flag, given in (("--dispatcher", dispatcher), ("--address", address)):
        places[flag] = plain_address(given) if given is not None else ""
        if places[flag] is None:
            raise UsageError(f"{flag}: got {given!r}, expected host:port or grpc://host:port")
    ports = [options.port("--port", port), options.port("--trace-port", trace_port)]
    if ports[0] and ports[0] == ports[1]:
        raise UsageError(f"--trace-port: {ports[1]} is the port of the worker as well: give another one")
    seconds = options.duration("--wait", wait)
    found = places["--dispatcher"] or ""
    state = _wait_for(found, WAIT_SECONDS if seconds is None else seconds)
    if not state.listens:
        raise PipelineFailedError(f"nothing listens at {found}, where the dispatcher should be")
    if state.asked and state.workers is None:
        raise PipelineFailedError(
            f"what listens at {found} does not answer as the dispatcher of a tf.data service does"
        )
    command = child_command(
        "pipeprof.profiles.worker.serving.serve", found, places["--address"] or "", *map(str, ports)
    )
    sys.stdout.flush()
    # The process becomes the server: nothing stands between it and a signal or a scheduler.
    os.execve(command[0], command, os.environ)  # noqa: S606 - no shell is involved


def _wait_for(dispatcher: str, seconds: float) -> ServiceState:
    """Ask a dispatcher once it listens."""
    import time

    from pipeprof.cli import streams
    from pipeprof.profiles.service.ask import ask, listens

    end = time.monotonic() + seconds
    if not listens(dispatcher) and seconds > 0:
        streams.say(f"pipeprof worker: nothing listens at {dispatcher} yet: waits up to {seconds:g} s")
    while not listens(dispatcher) and time.monotonic() < end:
        time.sleep(min(LOOK_SECONDS, max(0.0, end - time.monotonic())))
    return ask(dispatcher)
