"""Keras' fit with validation and a history, for many short epochs."""

import keras
import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
features, labels = rng.normal(size=(3000, 32)).astype("float32"), rng.integers(0, 10, 3000)
ds = tf.data.Dataset.from_tensor_slices((features, labels)).shuffle(3000).batch(50).prefetch(tf.data.AUTOTUNE)
checked = tf.data.Dataset.from_tensor_slices((features[:500], labels[:500])).batch(50)
model = keras.Sequential([keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(ds, validation_data=checked, epochs=1000, verbose=2)
