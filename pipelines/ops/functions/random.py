"""Random numbers."""

from __future__ import annotations

FUNCTIONS = {
    "tf.random.categorical": "logits, num_samples, dtype=None, seed=None, name=None",
    "tf.random.experimental.stateless_fold_in": "seed, data, alg='auto_select'",
    "tf.random.experimental.stateless_shuffle": "value, seed, alg='auto_select', name=None",
    "tf.random.experimental.stateless_split": "seed, num=2, alg='auto_select'",
    "tf.random.fold_in": "seed, data, alg='auto_select'",
    "tf.random.gamma": "shape, alpha, beta=None, dtype=tf.float32, seed=None, name=None",
    "tf.random.normal": "shape, mean=0.0, stddev=1.0, dtype=tf.float32, seed=None, name=None",
    "tf.random.poisson": "shape, lam, dtype=tf.float32, seed=None, name=None",
    "tf.random.shuffle": "value, seed=None, name=None",
    "tf.random.split": "seed, num=2, alg='auto_select'",
    "tf.random.stateless_binomial": "shape, seed, counts, probs, output_dtype=tf.int32, name=None",
    "tf.random.stateless_categorical": "logits, num_samples, seed, dtype=tf.int64, name=None",
    "tf.random.stateless_gamma": "shape, seed, alpha, beta=None, dtype=tf.float32, name=None",
    "tf.random.stateless_normal": "shape, seed, mean=0.0, stddev=1.0, dtype=tf.float32, name=None, alg='auto_select'",
    "tf.random.stateless_parameterized_truncated_normal": (
        "shape, seed, means=0.0, stddevs=1.0, minvals=-2.0, maxvals=2.0, name=None"
    ),
    "tf.random.stateless_poisson": "shape, seed, lam, dtype=tf.int32, name=None",
    "tf.random.stateless_truncated_normal": (
        "shape, seed, mean=0.0, stddev=1.0, dtype=tf.float32, name=None, alg='auto_select'"
    ),
    "tf.random.stateless_uniform": "shape, seed, minval=0, maxval=None, dtype=tf.float32, name=None, alg='auto_select'",
    "tf.random.truncated_normal": "shape, mean=0.0, stddev=1.0, dtype=tf.float32, seed=None, name=None",
    "tf.random.uniform": "shape, minval=0, maxval=None, dtype=tf.float32, seed=None, name=None",
}
