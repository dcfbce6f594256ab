"""Record `fit` over an input that takes a tenth of a second a batch, and print what is said of its idle time.

``python slow_fit.py``. The threads on which TensorFlow computes stand for a device. Another thread than the loop's
fetches, and the loop's own is in a call all of the time.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from unit.gaps.host_as_device import as_device

from pipeprof.profiles.gaps.analyse import analyse
from pipeprof.profiles.gaps.reading import find_traces, read_trace


def slow(number: np.int64) -> np.float32:
    """What each batch waits for."""
    time.sleep(0.1)
    return np.float32(number)


def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A batch of features and targets."""
    value = tf.ensure_shape(tf.numpy_function(slow, [number], tf.float32), [])
    return tf.fill([4, 8], value), tf.zeros([4, 1])


def main() -> None:
    """Record the second `fit`: the first one compiles."""
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.range(20).map(batch).with_options(options)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(dataset, verbose=0)
    profiler = tf.profiler.experimental
    with tempfile.TemporaryDirectory() as folder:
        with profiler.Profile(folder, profiler.ProfilerOptions(host_tracer_level=2, python_tracer_level=0)):
            model.fit(dataset, verbose=0)
        [file] = find_traces(Path(folder)).files
        found, [device] = analyse(as_device(read_trace(file), r"tf_Compute/.*"), file.name, 0)
    causes = device.gaps.by_cause if device.gaps is not None else {}
    print(json.dumps({"verdict": found.verdict, "stage": device.stage, "by_cause": causes}))


if __name__ == "__main__":
    main()
