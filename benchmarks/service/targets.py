"""Pipelines that read from a tf.data service, as users write them."""

import os

import tensorflow as tf

service = tf.data.experimental.service


def slow(number):
    matrix = tf.random.stateless_uniform([300, 300], seed=[0, 1]) + tf.cast(number, tf.float32)
    return tf.reduce_mean(tf.matmul(matrix, matrix))


def light(number):
    matrix = tf.random.stateless_uniform([120, 120], seed=[0, 1]) + tf.cast(number, tf.float32)
    return tf.reduce_mean(tf.matmul(matrix, matrix))


def one_core(number):
    """Sorting a row is the work of a single thread."""
    return tf.reduce_sum(tf.sort(tf.random.stateless_uniform([100_000], seed=[0, 1]) + tf.cast(number, tf.float32)))


def noise(number):
    return tf.random.stateless_uniform([1_000_000], seed=[0, number])


def picture(number):
    image = tf.random.stateless_uniform([96, 96, 3], seed=[0, number])
    return tf.io.encode_png(tf.cast(255 * image, tf.uint8))


def decode(data):
    return tf.cast(tf.io.decode_png(data, channels=3), tf.float32)


def resize(image):
    return tf.image.resize(image, [160, 160])


def remote(address, mode="parallel_epochs", **more):
    dataset = tf.data.Dataset.range(1000).repeat().map(slow, name="slow").batch(8)
    return dataset.apply(service.distribute(mode, address, compression=None, **more)).prefetch(2)


def sent(address):
    """What takes time is sending: batches of 4 MB that were drawn once.

    In a plain loop with a worker of one core a batch takes 6.1 ms, of which the worker computes 2.5 ms and the reader
    3.8 ms. Packing is no such limit: with SNAPPY a batch takes 7.3 ms, and the reader computes more than the worker.
    """
    dataset = tf.data.Dataset.range(8).map(noise, name="noise").cache().repeat()
    return dataset.apply(service.distribute("parallel_epochs", address, compression=None)).prefetch(2)


def after(address):
    """What takes time is a map behind the service, one call at a time.

    TensorFlow would make it parallel, and what does not depend on the batch it would compute once.
    """
    dataset = tf.data.Dataset.range(1000).repeat().map(light, name="light").batch(8)
    dataset = dataset.apply(service.distribute("parallel_epochs", address, compression=None))
    options = tf.data.Options()
    options.experimental_optimization.map_parallelization = False
    return dataset.map(lambda batch: one_core(batch[0]), name="last").with_options(options)


def cheap(address):
    dataset = tf.data.Dataset.range(1000).repeat().map(light, name="light").batch(8)
    return dataset.apply(service.distribute("parallel_epochs", address, compression=None)).prefetch(2)


def epochs(address):
    dataset = tf.data.Dataset.range(40).flat_map(lambda _: tf.data.Dataset.range(10)).map(slow)
    return dataset.apply(service.distribute("distributed_epoch", address))


def shared(address):
    return remote(address, job_name="train")


def in_turns(address, stop=64):
    dataset = tf.data.Dataset.range(stop)
    return dataset.apply(
        service.distribute("parallel_epochs", address, job_name="turns", consumer_index=0, num_consumers=1)
    )


def cached(address):
    return remote(address, job_name="cached", cross_trainer_cache=service.CrossTrainerCache("me"))


def protocol(address):
    return remote(address, data_transfer_protocol="xyz")


def by_files(address):
    return remote(address, mode=service.ShardingPolicy.FILE)


def by_data(address):
    return remote(address, mode=service.ShardingPolicy.DATA)


def one_file(address):
    path = os.path.abspath("one.txt")
    with open(path, "w") as file:
        file.write("a\nb\n" * 1000)
    dataset = tf.data.TextLineDataset([path]).repeat().batch(8)
    return dataset.apply(service.distribute(service.ShardingPolicy.FILE, address))


def numpy_function(address):
    dataset = tf.data.Dataset.range(1000).repeat().map(lambda x: tf.numpy_function(lambda v: v, [x], tf.int64))
    return dataset.apply(service.distribute("parallel_epochs", address))


def py_function(address):
    dataset = tf.data.Dataset.range(1000).repeat().map(lambda x: tf.py_function(lambda v: v, [x], tf.int64))
    return dataset.apply(service.distribute("parallel_epochs", address))


def generator(address):
    dataset = tf.data.Dataset.from_generator(lambda: iter(range(1000)), tf.int64, ())
    return dataset.repeat().apply(service.distribute("parallel_epochs", address))


def unknown_id(address):
    spec = tf.TensorSpec((), tf.int64)
    return service.from_dataset_id("parallel_epochs", address, "nobody-registered-this", element_spec=spec)


def http(address):
    return remote(f"http://{address}")


def tls(address):
    return remote(f"grpc+tls://{address}")


def huge(address):
    """Each element takes more memory than the worker has."""
    zero = tf.constant(0, tf.uint8)
    dataset = tf.data.Dataset.range(1000).repeat().map(lambda n: tf.fill([n + 8_000_000_000], zero)[:8])
    return dataset.apply(service.distribute("parallel_epochs", address))


def broken(address):
    """A stage on the workers fails, which is not the service's fault, and calls no Python."""
    dataset = tf.data.Dataset.range(1000).repeat().map(lambda n: tf.io.decode_png(tf.strings.as_string(n)), name="read")
    return dataset.apply(service.distribute("parallel_epochs", address))


def light_of_batch(numbers):
    return numbers + tf.reduce_mean(light(tf.cast(numbers[0], tf.int64)))
