"""How often the source is asked: with and without batches, and by a cache on either side of a take.

Run it: python examples/reloading/counts.py
"""

import tensorflow as tf

SAMPLES, BATCH, TAKEN, EPOCHS = 960, 32, 50, 3


def asked(pipeline, epochs=1):
    """How many elements the pipeline takes from its source, and how many it gives, over some epochs."""
    taken = []

    def note(number):
        taken.append(number)
        return number

    source = tf.data.Dataset.range(SAMPLES).map(lambda i: tf.numpy_function(note, [i], tf.int64))
    dataset = pipeline(source)
    given = sum(1 for _ in range(epochs) for _ in dataset)
    return len(taken), given


if __name__ == "__main__":
    print("asked of the source, given to the loop, in one epoch")
    for words, pipeline in (
        ("no batch", lambda source: source),
        (f"batch({BATCH})", lambda source: source.batch(BATCH)),
    ):
        print("  {:24}  {:4}  {:4}".format(words, *asked(pipeline)))
    print(f"asked of the source, given to the loop, in {EPOCHS} epochs of {TAKEN}")
    for words, pipeline in (
        (f"take({TAKEN})", lambda source: source.take(TAKEN)),
        (f"cache().take({TAKEN})", lambda source: source.cache().take(TAKEN)),
        (f"take({TAKEN}).cache()", lambda source: source.take(TAKEN).cache()),
    ):
        print("  {:24}  {:4}  {:4}".format(words, *asked(pipeline, EPOCHS)))
