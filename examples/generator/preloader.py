"""Threads that load ahead of the generator: one works for a single epoch, one for all."""

import queue
import threading

import tensorflow as tf
from pictures import ON_DISK, SHAPE, read

SIGNATURE = (tf.TensorSpec(SHAPE, tf.float32), tf.TensorSpec([], tf.int32))
AHEAD = 10
END = None


def load_all(shelf):
    for number in range(ON_DISK):
        shelf.put(read(number))
    shelf.put(END)


def started():
    """Return a queue that a new thread fills once."""
    shelf = queue.Queue(maxsize=AHEAD)
    threading.Thread(target=load_all, args=(shelf,), daemon=True).start()
    return shelf


def until_end(shelf):
    while (item := shelf.get()) is not END:
        yield item


def one_thread_for_all_epochs():
    """Start the thread with the dataset: in the second epoch no thread fills the queue, and `get` waits forever."""
    shelf = started()
    dataset = tf.data.Dataset.from_generator(lambda: until_end(shelf), output_signature=SIGNATURE)
    return dataset.batch(2).prefetch(tf.data.AUTOTUNE)


def one_thread_per_epoch():
    """Start the thread in the generator, which runs again in each epoch."""

    def epoch():
        yield from until_end(started())

    return tf.data.Dataset.from_generator(epoch, output_signature=SIGNATURE).batch(2).prefetch(tf.data.AUTOTUNE)
