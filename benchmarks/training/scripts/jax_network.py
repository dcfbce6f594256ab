"""A network in plain JAX, batches as NumPy from a dataset, accuracy on all of the data at each epoch's end.

The shape of jax-ml/jax docs/notebooks/neural_network_with_tfds_data.ipynb.
"""

import argparse
import time

import jax.numpy as jnp
import numpy as np
import tensorflow as tf
from jax import grad, jit, random, vmap
from jax.nn import one_hot, relu
from jax.scipy.special import logsumexp

tf.config.set_visible_devices([], device_type="GPU")

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="data/digits.npz")
parser.add_argument("--batch-size", type=int, default=128)
parser.add_argument("--num-epochs", type=int, default=30)
parser.add_argument("--step-size", type=float, default=0.01)
args = parser.parse_args()

layer_sizes = [784, 256, 256, 10]
num_labels = 10


def random_layer_params(m, n, key, scale=1e-2):
    w_key, b_key = random.split(key)
    return scale * random.normal(w_key, (n, m)), scale * random.normal(b_key, (n,))


def init_network_params(sizes, key):
    keys = random.split(key, len(sizes))
    return [random_layer_params(m, n, k) for m, n, k in zip(sizes[:-1], sizes[1:], keys, strict=False)]


def predict(params, image):
    activations = image
    for w, b in params[:-1]:
        activations = relu(jnp.dot(w, activations) + b)
    final_w, final_b = params[-1]
    logits = jnp.dot(final_w, activations) + final_b
    return logits - logsumexp(logits)


batched_predict = vmap(predict, in_axes=(None, 0))


def accuracy(params, images, targets):
    target_class = jnp.argmax(targets, axis=1)
    predicted_class = jnp.argmax(batched_predict(params, images), axis=1)
    return jnp.mean(predicted_class == target_class)


def loss(params, images, targets):
    return -jnp.mean(batched_predict(params, images) * targets)


@jit
def update(params, x, y):
    grads = grad(loss)(params, x, y)
    return [(w - args.step_size * dw, b - args.step_size * db) for (w, b), (dw, db) in zip(params, grads, strict=True)]


with np.load(args.data) as f:
    train_images, train_labels = f["x_train"], f["y_train"]


def get_train_batches():
    ds = tf.data.Dataset.from_tensor_slices({"image": train_images[..., None], "label": train_labels})
    ds = ds.batch(args.batch_size).prefetch(1)
    return ds.as_numpy_iterator()


params = init_network_params(layer_sizes, random.PRNGKey(0))
for epoch in range(args.num_epochs):
    start_time = time.time()
    steps = 0
    for batch in get_train_batches():
        x = jnp.reshape(batch["image"], (len(batch["image"]), 784)) / 255.0
        y = one_hot(batch["label"], num_labels)
        params = update(params, x, y)
        steps += 1
    print(f"epoch {epoch}: {steps} steps in {time.time() - start_time:.3f} s", flush=True)
    train_acc = accuracy(params, np.reshape(train_images, (-1, 784)) / np.float32(255), one_hot(train_labels, 10))
    print(f"Training set accuracy {train_acc}")
