"""Pipelines as users write them: arguments, loops, helpers, functions inside functions, a traced part."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf

from .steps import ending, scaled


def stages() -> tf.data.Dataset:
    dataset = (
        tf.data.Dataset.range(100)  # line: range
        .map(scaled)  # line: first map
        .map(
            scaled,
            num_parallel_calls=2,
        )
    )
    dataset = dataset.shuffle(10, name="shuffled").repeat()  # line: shuffle and repeat
    for _ in range(2):
        dataset = dataset.skip(1)  # line: in a loop
    dataset = dataset.interleave(
        lambda x: tf.data.Dataset.from_tensors(x).repeat(2),  # line: inside the lambda
        cycle_length=2,
    )
    return dataset.apply(ending)  # line: apply


def _files(number: tf.Tensor) -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_tensors(number)  # line: inside a function
    return dataset.map(scaled)  # line: map inside a function


def nested() -> tf.data.Dataset:
    left = tf.data.Dataset.range(3)  # line: left
    right = tf.data.Dataset.from_generator(iter, args=([1, 2],), output_signature=tf.TensorSpec([], tf.int32))
    both = tf.data.Dataset.zip((left, right))  # line: zip
    return both.flat_map(lambda a, _: _files(a)).batch(2)  # line: flat_map


@tf.function
def _traced() -> tf.data.Dataset:
    dataset = tf.data.Dataset.range(8)  # line: range, traced
    for _ in range(2):
        dataset = dataset.take(5)  # line: take, traced
    return dataset.map(scaled)  # line: map, traced


def traced() -> tf.data.Dataset:
    return _traced().batch(2)  # line: batch of a traced one


@tf.function
def _converted() -> tf.data.Dataset:
    dataset = tf.data.Dataset.range(3)  # line: range, converted
    if dataset.cardinality() is not None:
        dataset = dataset.interleave(  # line: interleave, converted
            lambda x: tf.data.Dataset.from_tensors(x).repeat(2)
        )
    return dataset


def converted() -> tf.data.Dataset:
    return _converted().flat_map(
        lambda x: (  # line: flat_map and its lambda
            tf.data.Dataset.from_tensors(x).map(lambda y: y + 1)
        )
    )


def in_threads() -> tf.data.Dataset:
    def part(count: int) -> tf.data.Dataset:
        return tf.data.Dataset.range(count)  # line: range in a thread

    with ThreadPoolExecutor(2) as pool:
        left, right = pool.map(part, (2, 3))
    return left.concatenate(right)  # line: concatenate


def chosen() -> tf.data.Dataset:
    order = tf.data.Dataset.range(2)  # line: range of the choice
    order = order.repeat()  # line: repeat of the choice
    sides = [tf.data.Dataset.range(side).repeat() for side in (3, 4)]  # line: sides
    return tf.data.Dataset.choose_from_datasets(sides, order)  # line: choose


def records() -> tf.data.Dataset:
    names = [f"{number}.tfrecord" for number in range(3)]
    files = tf.data.TFRecordDataset(names, num_parallel_reads=tf.data.AUTOTUNE)  # line: records
    return files.batch(2)  # line: batch of records


servers: list[object] = []


def served() -> tf.data.Dataset:
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    address = dispatcher.target.partition("://")[2]
    servers[:] = [dispatcher, service.WorkerServer(service.WorkerConfig(dispatcher_address=address))]
    dataset = tf.data.Dataset.range(8)
    dataset = dataset.apply(service.distribute("parallel_epochs", dispatcher.target))  # line: distribute
    return dataset.batch(2)  # line: batch of the served


def waits(number: tf.Tensor) -> tf.Tensor:
    return tf.numpy_function(lambda value: time.sleep(0.01) or value, [number], tf.int64)


def waiting() -> tf.data.Dataset:
    return tf.data.Dataset.range(99).map(waits)


def talks() -> tf.data.Dataset:
    print("printed to stdout")
    print("printed to stderr", file=sys.stderr)
    os.write(1, b"written by other code\n")
    logging.getLogger("flowers").warning("logged")
    warnings.warn("warned", UserWarning, stacklevel=1)
    print(f"TF_CPP_MIN_LOG_LEVEL={os.environ.get('TF_CPP_MIN_LOG_LEVEL')}")
    print("changed:", *(name for name in os.environ if name.startswith("PIPEPROF")))
    print("names:", os.environ.get("FLOWERS_SEEN"))
    return tf.data.Dataset.range(8).repeat()


calls = {"step": 0}


def with_step(size: int = 3):
    def step(batch: tf.Tensor) -> None:
        calls["step"] += int(batch.shape[0] == size)

    return tf.data.Dataset.range(999).repeat().batch(size), step


def for_a_worker(input_context: tf.distribute.InputContext, batch_size: int = 2) -> tf.data.Dataset:
    dataset = tf.data.Dataset.range(8)
    dataset = dataset.shard(input_context.num_input_pipelines, input_context.input_pipeline_id)
    return dataset.batch(input_context.get_per_replica_batch_size(batch_size))
