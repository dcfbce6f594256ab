"""TensorFlow's dispatcher or worker of a tf.data service: ``serve.py ROLE FILE [DISPATCHER] [OPTION=VALUE …]``.

Writes its address into FILE once it serves, and waits until it is killed. ``workers=A,B``: workers of a dispatcher.
"""

import signal
import sys
from pathlib import Path

import tensorflow as tf

service = tf.data.experimental.service
role, out, *rest = sys.argv[1:]
options = dict(one.split("=", 1) for one in rest if "=" in one)
places = [one for one in rest if "=" not in one]
if "memory" in options:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (int(options["memory"]),) * 2)
if role == "dispatcher":
    more = {"worker_addresses": options["workers"].split(",")} if "workers" in options else {}
    port = int(options.get("port", 0))
    server = service.DispatchServer(service.DispatcherConfig(port=port, job_gc_check_interval_ms=200, **more))
    said = server.target.partition("://")[2]
else:
    address = options.get("address")
    more = {"worker_address": address, "port": int(address.rpartition(":")[2])} if address else {}
    config = service.WorkerConfig(dispatcher_address=places[0], heartbeat_interval_ms=100, **more)
    server = service.WorkerServer(config)
    said = "ready"
new = Path(f"{out}.new")
new.write_text(said)
new.rename(out)
signal.pause()
