"""Print the results of generator values that do not fit the signature.

Run it: python examples/loading_in_batches/signature.py
"""

import numpy as np
import tensorflow as tf


def given(value, signature):
    """Return the resulting element, or the type of the error."""
    dataset = tf.data.Dataset.from_generator(lambda: iter([value]), output_signature=signature)
    try:
        element = next(iter(dataset))
    except (tf.errors.OpError, TypeError, ValueError) as error:
        return type(error).__name__
    return f"{element.numpy()} ({element.dtype.name})"


if __name__ == "__main__":
    integer = tf.TensorSpec([], tf.int32)
    for words, value, signature in (
        ("int64 7 as int32", np.int64(7), integer),
        ("int64 2**32 + 7 as int32", np.int64(2**32 + 7), integer),
        ("float64 7.9 as int32", np.float64(7.9), integer),
        ("text as int32", "seven", integer),
        ("shape [3] as [2]", np.zeros(3, np.float32), tf.TensorSpec([2], tf.float32)),
    ):
        print(f"{words:26} {given(value, signature)}")
