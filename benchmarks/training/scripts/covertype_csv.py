"""A table of forest covers from CSV, a wide and deep network.

The shape of keras-team/keras-io examples/structured_data/wide_deep_cross_networks.py.
"""

import argparse
import time

import keras
import tensorflow as tf
from keras import layers

parser = argparse.ArgumentParser()
parser.add_argument("--csv", default="data/covertype.csv")
parser.add_argument("--batch-size", type=int, default=265)
parser.add_argument("--num-epochs", type=int, default=4)
args = parser.parse_args()

TARGET_FEATURE_NAME = "Cover_Type"
FEATURE_NAMES = [f"C{number}" for number in range(40)]
COLUMN_DEFAULTS = [[0.0] for _ in FEATURE_NAMES] + [[0]]


class EpochTime(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.began, self.steps = time.time(), 0

    def on_train_batch_begin(self, batch, logs=None):
        self.steps = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        print(f"epoch {epoch}: {self.steps} steps in {time.time() - self.began:.3f} s", flush=True)


def get_dataset_from_csv(csv_file_path, batch_size, shuffle=False):
    return tf.data.experimental.make_csv_dataset(
        csv_file_path,
        batch_size=batch_size,
        column_names=[*FEATURE_NAMES, TARGET_FEATURE_NAME],
        column_defaults=COLUMN_DEFAULTS,
        label_name=TARGET_FEATURE_NAME,
        num_epochs=1,
        header=True,
        shuffle=shuffle,
    )


def create_wide_and_deep_model():
    inputs = {name: layers.Input(name=name, shape=(1,), dtype="float32") for name in FEATURE_NAMES}
    features = layers.concatenate([inputs[name] for name in FEATURE_NAMES])
    wide = layers.BatchNormalization()(features)
    deep = features
    for units in (32, 32):
        deep = layers.Dense(units)(deep)
        deep = layers.BatchNormalization()(deep)
        deep = layers.ReLU()(deep)
        deep = layers.Dropout(0.1)(deep)
    merged = layers.concatenate([wide, deep])
    return keras.Model(inputs=inputs, outputs=layers.Dense(units=7, activation="softmax")(merged))


def run_experiment(model):
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    train_dataset = get_dataset_from_csv(args.csv, args.batch_size, shuffle=True)
    print("Start training the model...")
    model.fit(train_dataset, epochs=args.num_epochs, callbacks=[EpochTime()], verbose=2)
    print("Model training finished")


run_experiment(create_wide_and_deep_model())
