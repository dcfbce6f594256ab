"""Serves a tf.data service: TensorFlow's dispatchers and workers, each as a copy of this process.

TensorFlow is imported once: gRPC and its runtime work in copies that were made before the first op. Each line of
standard input is the JSON of a server: its ``role``, the file ``out`` that its address goes to once it serves, and what
it is given. The answer is a line with its process id. Ends all of them with itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

service = tf.data.experimental.service
_PR_SET_PDEATHSIG = 1


def serve(role: str, out: str, dispatcher: str = "", **given: Any) -> None:
    """Be one server until a signal comes.

    Args:
        given: ``workers``, the addresses that a dispatcher knows; ``address`` and ``memory`` of a worker, the latter in
            bytes of addresses.
    """
    if "memory" in given:
        resource.setrlimit(resource.RLIMIT_AS, (given["memory"],) * 2)
    if role == "dispatcher":
        more = {"worker_addresses": given["workers"]} if "workers" in given else {}
        server = service.DispatchServer(service.DispatcherConfig(port=0, job_gc_check_interval_ms=200, **more))
        said = server.target.partition("://")[2]
    else:
        address = given.get("address")
        more = {"worker_address": address, "port": int(address.rpartition(":")[2])} if address else {}
        server = service.WorkerServer(
            service.WorkerConfig(dispatcher_address=dispatcher, heartbeat_interval_ms=100, **more)
        )
        said = "ready"
    new = Path(f"{out}.new")
    new.write_text(said)
    new.rename(out)
    while server is not None:
        signal.pause()


def main() -> None:
    """Make a copy for each line."""
    # Their ends are nobody's business here.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            try:
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                serve(**json.loads(line))
            finally:
                os._exit(1)
        print(pid, flush=True)


main()
