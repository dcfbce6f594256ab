"""Count the reads of pictures in three epochs, depending on where the result is kept.

Run it: python examples/generator/epochs.py
"""

import tensorflow as tf

PICTURES, EPOCHS = 100, 3


def read_all(reads):
    """Read every picture on demand, and record each read in `reads`."""
    for number in range(PICTURES):
        reads.append(number)
        yield number


def inside(reads):
    """Read in the generator."""
    return tf.data.Dataset.from_generator(lambda: read_all(reads), output_signature=tf.TensorSpec([], tf.int32))


def cached(reads):
    """Read in the generator, and cache the result."""
    return inside(reads).cache()


def before(reads):
    """Read everything before the generator runs."""
    kept = list(read_all(reads))
    return tf.data.Dataset.from_generator(lambda: iter(kept), output_signature=tf.TensorSpec([], tf.int32))


if __name__ == "__main__":
    print(f"reads in {EPOCHS} epochs of {PICTURES} pictures")
    for words, make in (
        ("in the generator", inside),
        ("in the generator, then cache()", cached),
        ("before it", before),
    ):
        reads = []
        dataset = make(reads)
        for _ in range(EPOCHS):
            for _ in dataset:
                pass
        print(f"  {words:30}  {len(reads):4}")
