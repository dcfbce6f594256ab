"""TensorFlow's own dispatcher of a tf.data service: ``python dispatcher.py --port 5000``."""

import argparse

import tensorflow as tf

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--port", type=int, default=5000)
parser.add_argument("--work-dir", help="keep jobs here, so that a dispatcher that is started again goes on with them")
given = parser.parse_args()

service = tf.data.experimental.service
config = service.DispatcherConfig(
    port=given.port, work_dir=given.work_dir, fault_tolerant_mode=given.work_dir is not None
)
server = service.DispatchServer(config)
print(f"listens at port {given.port}", flush=True)
server.join()
