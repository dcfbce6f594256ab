"""Batches of tensors for steps that take other arrays, or compute on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeprof.pipelines.errors import UsageError


def to_numpy(batch: Any) -> Any:
    """Copy a batch's tensors to NumPy arrays, in the same structure."""
    import tensorflow as tf

    return tf.nest.map_structure(lambda tensor: tensor.numpy(), batch)


def numpy_views(batch: Any) -> Any:
    """Show the tensors of a batch as NumPy arrays on the same memory, which cannot be written to.

    A type that NumPy itself has not, such as bfloat16, is copied.
    """
    import numpy as np
    import tensorflow as tf

    def view(tensor: Any) -> Any:
        try:
            return np.asarray(tensor)
        except ValueError:
            return tensor.numpy()

    return tf.nest.map_structure(view, batch)


def need_numbers(element_spec: Any, library: str) -> None:
    """Refuse batches that have no arrays of numbers to hand over.

    Args:
        element_spec: ``tf.TypeSpec`` of the batches; None where they are unknown.
    """
    import tensorflow as tf

    for spec in tf.nest.flatten(element_spec) if element_spec is not None else ():
        if not isinstance(spec, tf.TensorSpec):
            what = f"a {type(spec).__name__.removesuffix('Spec')}"
        elif spec.dtype in (tf.string, tf.variant, tf.resource):
            what = "text" if spec.dtype == tf.string else f"values of type {spec.dtype.name}"
        else:
            continue
        raise UsageError(
            f"the step takes arrays of {library}, but a batch has {what}: expected plain tensors of numbers; convert "
            "that part in the pipeline, or drop it"
        )


def gpu_of_tensorflow() -> str | None:
    """Return the first GPU that TensorFlow computes on, such as ``/GPU:0``; None for none."""
    import tensorflow as tf

    return "/GPU:0" if tf.config.list_logical_devices("GPU") else None


def copy_to(device: str) -> Callable[[Any], Any]:
    """Return a function that copies the tensors of a batch to a device of TensorFlow's and waits for it.

    Text stays where it is: only CPUs hold it.
    """
    import tensorflow as tf

    def moved(tensor: Any) -> Any:
        return tf.identity(tensor) if getattr(tensor, "dtype", None) != tf.string else tensor

    def copy(batch: Any) -> Any:
        with tf.device(device):
            batch = tf.nest.map_structure(moved, batch)
        tf.test.experimental.sync_devices()
        return batch

    return copy
