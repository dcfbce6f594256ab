"""Inference rules of the functions of tf.nn."""

from __future__ import annotations

from pipeprof.pipelines.inference.rules.base import Rule, same

RULES: dict[str, Rule] = {
    "tf.nn.l2_normalize": same("x"),
    "tf.nn.relu": same("features"),
    "tf.nn.sigmoid": same("x"),
    "tf.nn.softmax": same("logits"),
}
