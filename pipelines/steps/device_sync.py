"""Device synchronisation at the end of a step: libraries return results before the device has computed them."""

from __future__ import annotations

import sys


def finish(result: object) -> None:
    """Wait until `result`, what a step returned, and all it has put on a device are computed.

    Only libraries that the step has loaded are synchronised, by their public calls: ``jax.block_until_ready`` of the
    result, ``torch.cuda.synchronize`` where CUDA is in use, ``tf.test.experimental.sync_devices`` where TensorFlow has
    a GPU.
    """
    if (jax := sys.modules.get("jax")) is not None:
        jax.block_until_ready(result)
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    if (tf := sys.modules.get("tensorflow")) is not None and tf.config.list_logical_devices("GPU"):
        tf.test.experimental.sync_devices()
