"""Many steps in one tf.function that draws from an iterator, as for a TPU; metrics are read once an epoch.

The shape of tensorflow/docs site/en/guide/tpu.ipynb.
"""

import argparse
import time

import numpy as np
import tensorflow as tf

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="data/digits.npz")
parser.add_argument("--batch-size", type=int, default=100)
parser.add_argument("--epochs", type=int, default=40)
parser.add_argument("--steps-per-epoch", type=int, default=200)
args = parser.parse_args()

strategy = tf.distribute.get_strategy()
per_replica_batch_size = args.batch_size // strategy.num_replicas_in_sync


def get_dataset(batch_size):
    with np.load(args.data) as f:
        images, labels = f["x_train"], f["y_train"]
    dataset = tf.data.Dataset.from_tensor_slices((images[..., None], labels.astype(np.int32)))

    def scale(image, label):
        image = tf.cast(image, tf.float32)
        image /= 255.0
        return image, label

    dataset = dataset.map(scale)
    dataset = dataset.shuffle(10000).repeat()
    return dataset.batch(batch_size, drop_remainder=True)


train_dataset = strategy.distribute_datasets_from_function(lambda _: get_dataset(per_replica_batch_size))

with strategy.scope():
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Conv2D(4, 3, strides=2, activation="relu", input_shape=(28, 28, 1)),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(32, activation="relu"),
            tf.keras.layers.Dense(10),
        ]
    )
    optimizer = tf.keras.optimizers.Adam()
    training_loss = tf.keras.metrics.Mean("training_loss", dtype=tf.float32)
    training_accuracy = tf.keras.metrics.SparseCategoricalAccuracy("training_accuracy", dtype=tf.float32)
    optimizer.build(model.trainable_variables)


@tf.function
def train_multiple_steps(iterator, steps):
    def step_fn(inputs):
        images, labels = inputs
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            per_example_loss = tf.keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
            loss = tf.nn.compute_average_loss(per_example_loss)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        training_loss.update_state(loss * strategy.num_replicas_in_sync)
        training_accuracy.update_state(labels, logits)

    for _ in tf.range(steps):
        strategy.run(step_fn, args=(next(iterator),))


train_iterator = iter(train_dataset)
for epoch in range(args.epochs):
    began = time.time()
    train_multiple_steps(train_iterator, tf.convert_to_tensor(args.steps_per_epoch))
    print(f"epoch {epoch}: {args.steps_per_epoch} steps in {time.time() - began:.3f} s", flush=True)
    print(
        f"Current step: {optimizer.iterations.numpy()}, training loss: {round(float(training_loss.result()), 4)}, "
        f"accuracy: {round(float(training_accuracy.result()) * 100, 2)}%"
    )
    training_loss.reset_state()
    training_accuracy.reset_state()
