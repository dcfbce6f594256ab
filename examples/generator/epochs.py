"""How often a picture is read in three epochs, depending on where it is kept.

Run it: python examples/generator/epochs.py
"""

import tensorflow as tf

PICTURES, EPOCHS = 100, 3


def read_all(reads):
    """Every picture, read when it is asked for; `reads` keeps count."""
    for number in range(PICTURES):
        reads.append(number)
        yield number


def inside(reads):
    """The generator reads."""
    return tf.data.Dataset.from_generator(lambda: read_all(reads), output_signature=tf.TensorSpec([], tf.int32))


def cached(reads):
    """The generator reads, a cache keeps."""
    return inside(reads).cache()


def before(reads):
    """All is read before; the generator only hands it over."""
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
