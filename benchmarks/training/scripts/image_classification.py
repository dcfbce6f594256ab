"""Two classes of photographs from folders, augmented by layers, a small Xception.

The shape of keras-team/keras-io examples/vision/image_classification_from_scratch.py.
"""

import argparse
import time

import keras
import tensorflow as tf
from keras import layers


class EpochTime(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.time()

    def on_epoch_end(self, epoch, logs=None):
        print(f"epoch {epoch}: {self.params['steps']} steps in {time.time() - self.began:.3f} s", flush=True)


def make_model(input_shape):
    inputs = keras.Input(shape=input_shape)
    x = layers.Rescaling(1.0 / 255)(inputs)
    x = layers.Conv2D(16, 3, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    previous = x
    for size in (16, 32):
        x = layers.SeparableConv2D(size, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = layers.Conv2D(size, 1, strides=2, padding="same")(previous)
        x = layers.add([x, residual])
        previous = x
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.25)(x)
    return keras.Model(inputs, layers.Dense(1)(x))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", default="data/pets")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    image_size = (args.image_size, args.image_size)

    train_ds, val_ds = keras.utils.image_dataset_from_directory(
        args.data_dir, validation_split=0.1, subset="both", seed=1337, image_size=image_size, batch_size=args.batch_size
    )

    augmentation_layers = [layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)]

    def data_augmentation(images):
        for layer in augmentation_layers:
            images = layer(images)
        return images

    train_ds = train_ds.map(lambda img, label: (data_augmentation(img), label), num_parallel_calls=tf.data.AUTOTUNE)
    train_ds = train_ds.prefetch(tf.data.AUTOTUNE)
    val_ds = val_ds.prefetch(tf.data.AUTOTUNE)

    model = make_model((*image_size, 3))
    model.compile(
        optimizer=keras.optimizers.Adam(3e-4),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(name="acc")],
    )
    callbacks = [keras.callbacks.ModelCheckpoint("save_at_{epoch}.keras"), EpochTime()]
    model.fit(train_ds, epochs=args.epochs, callbacks=callbacks, validation_data=val_ds, verbose=2)


if __name__ == "__main__":
    main()
