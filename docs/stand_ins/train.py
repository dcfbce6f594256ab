"""The training of somebody who reads the documentation: small, so that its commands end soon."""

import argparse

import tensorflow as tf

STEPS = 200
PHOTOS = [
    tf.io.encode_jpeg(tf.cast(tf.random.stateless_uniform([96, 96, 3], [7, seed], 0, 256, tf.int32), tf.uint8)).numpy()
    for seed in range(4)
]


def decode(number):
    image = tf.io.decode_jpeg(tf.gather(PHOTOS, number % 4), channels=3)
    return tf.image.resize(image, [32, 32]), number % 10


def augment(images, labels):
    return images / 255.0, labels


def make_dataset(split: str = "train", batch_size: int = 32) -> tf.data.Dataset:
    numbers = tf.data.Dataset.range(STEPS * batch_size if split == "train" else 64)
    return numbers.map(decode).batch(batch_size).map(augment)


def make() -> tf.data.Dataset:
    return make_dataset()


def remote(service: str) -> tf.data.Dataset:
    dataset = tf.data.Dataset.range(6400).repeat().map(decode).batch(32)
    return dataset.apply(tf.data.experimental.service.distribute("parallel_epochs", service)).prefetch(2)


train = make_dataset


def model():
    import keras

    network = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return network


def train_step(images, labels):
    return tf.reduce_mean(images) + tf.cast(tf.reduce_sum(labels), tf.float32)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--lr", type=float, default=0.1)
    given = options.parse_args()
    dataset = make_dataset()
    for _ in range(given.epochs):
        for images, labels in dataset:
            train_step(images, labels)


if __name__ == "__main__":
    main()
