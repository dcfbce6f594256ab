"""Count the reads of a source: with and without batches, and with a cache before and after a take.

Run it: python examples/reloading/counts.py
"""

import tensorflow as tf

SAMPLES, BATCH, TAKEN, EPOCHS = 960, 32, 50, 3


def reads_and_results(pipeline, epochs=1):
    """Count the elements that the pipeline reads from its source, and those that it returns, over all epochs."""
    reads = []

    def note(number):
        reads.append(number)
        return number

    source = tf.data.Dataset.range(SAMPLES).map(lambda i: tf.numpy_function(note, [i], tf.int64))
    dataset = pipeline(source)
    results = sum(1 for _ in range(epochs) for _ in dataset)
    return len(reads), results


if __name__ == "__main__":
    print("reads of the source, results for the loop, in one epoch")
    for words, pipeline in (
        ("no batch", lambda source: source),
        (f"batch({BATCH})", lambda source: source.batch(BATCH)),
    ):
        print("  {:24}  {:4}  {:4}".format(words, *reads_and_results(pipeline)))
    print(f"reads of the source, results for the loop, in {EPOCHS} epochs of {TAKEN}")
    for words, pipeline in (
        (f"take({TAKEN})", lambda source: source.take(TAKEN)),
        (f"cache().take({TAKEN})", lambda source: source.cache().take(TAKEN)),
        (f"take({TAKEN}).cache()", lambda source: source.take(TAKEN).cache()),
    ):
        print("  {:24}  {:4}  {:4}".format(words, *reads_and_results(pipeline, EPOCHS)))
