"""The last batch of 1,000 samples, and the traces that its size costs.

Run it: python examples/loading_in_batches/last_batch.py
"""

import tensorflow as tf
from samples import BATCH, SAMPLES


def sizes_and_traces(*, drop_remainder):
    """Return the sizes of an epoch's batches, and how often a step is traced for them."""
    traced, sizes = [], []

    @tf.function
    def step(batch):
        traced.append(batch.shape)
        return tf.reduce_sum(batch)

    for batch in tf.data.Dataset.range(SAMPLES).batch(BATCH, drop_remainder=drop_remainder):
        step(batch)
        sizes.append(len(batch))
    return sizes, len(traced)


if __name__ == "__main__":
    for drop_remainder in (False, True):
        sizes, traces = sizes_and_traces(drop_remainder=drop_remainder)
        whole, rest = sizes.count(BATCH), sum(sizes) - sizes.count(BATCH) * BATCH
        print(
            f"drop_remainder={drop_remainder!s:5}  {whole} x {BATCH} + {rest} = {sum(sizes)} samples, {traces} traces"
        )
