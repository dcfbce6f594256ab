"""Print the device of a pipeline's batches.

Run it: python examples/loading_in_batches/devices.py. Without a GPU, a second CPU device stands in for it.
"""

import tensorflow as tf

if not tf.config.list_physical_devices("GPU"):
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
STEP = "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:1"


def device(dataset):
    """Return the device of the first element, for a loop whose step runs on the other device."""
    with tf.device(STEP):
        return next(iter(dataset)).device.rpartition("device:")[2]


if __name__ == "__main__":
    batches = tf.data.Dataset.range(320).batch(32)
    moved = batches.apply(tf.data.experimental.prefetch_to_device(f"/{STEP}"))
    print(f"the step runs on               {STEP}")
    print(f"batch().prefetch(2) gives      {device(batches.prefetch(2))}")
    print(f"prefetch_to_device('/{STEP}')   {device(moved)}")
