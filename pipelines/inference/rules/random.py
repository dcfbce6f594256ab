"""Inference rules of the functions of tf.random."""

from __future__ import annotations

from pipeprof.pipelines.inference.rules.base import Rule, of_shape, same

RULES: dict[str, Rule] = {
    "tf.random.normal": of_shape,
    "tf.random.shuffle": same("value"),
    "tf.random.stateless_normal": of_shape,
    "tf.random.stateless_truncated_normal": of_shape,
    "tf.random.stateless_uniform": of_shape,
    "tf.random.truncated_normal": of_shape,
    "tf.random.uniform": of_shape,
}
