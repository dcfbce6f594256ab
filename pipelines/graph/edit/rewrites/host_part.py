"""A dataset as one of several hosts iterates it: TensorFlow's own rewrite, in one process and without a strategy."""

from __future__ import annotations

import re
from typing import Any

from pipeprof.pipelines.errors import UsageError


def batch_sizes(size: int, index: int, of: int) -> list[int]:
    """The sizes into which a strategy divides batches on one host: in each step all hosts together get `size`.

    Example:
        >>> batch_sizes(32, 0, 3), batch_sizes(32, 2, 3)
        ([11, 11, 10], [10, 11, 11])
    """
    least, more = divmod(size, of)
    first = [least + (number < more) for number in range(of)]
    return first[index:] + first[:index]


def host_part(dataset: Any, index: int, of: int) -> tuple[Any, str]:
    """Return what a strategy of so many hosts with one replica each makes of a dataset on one host.

    Args:
        dataset: A ``tf.data.Dataset``; its options say how it is divided.

    Returns:
        The dataset, and a sentence about it.

    Raises:
        UsageError: TensorFlow refuses to divide it.
    """
    import tensorflow as tf

    policy = dataset.options().experimental_distribute.auto_shard_policy
    spec, options = dataset.element_spec, dataset.options()
    size = int(tf.raw_ops.ComputeBatchSize(input_dataset=tf.data.experimental.to_variant(dataset)))
    said = f"Host {index} of {of:,}, auto_shard_policy {policy.name}"
    if size > 0 and of > 1:
        dataset = dataset.rebatch(batch_sizes(size, index, of)).prefetch(1)
        spec = dataset.element_spec
        said += f": batches of {size:,} are divided among {of:,} hosts"
    if policy is not tf.data.experimental.AutoShardPolicy.OFF:
        try:
            variant = tf.raw_ops.AutoShardDataset(
                input_dataset=tf.data.experimental.to_variant(dataset),
                num_workers=of,
                index=index,
                auto_shard_policy=int(policy),
                num_replicas=of,
                output_types=[flat.dtype for flat in _flat(tf, spec)],
                output_shapes=[flat.shape for flat in _flat(tf, spec)],
            )
        except tf.errors.OpError as error:
            raise UsageError(
                f"TensorFlow does not divide this dataset among hosts: {_reason(str(error.message))}"
            ) from error
        dataset = tf.data.experimental.from_variant(variant, spec)
        dataset = dataset.with_options(options)
    return dataset, f"{said}."


def _reason(message: str) -> str:
    """The sentence of an error of TensorFlow, with the kind of the dataset in place of its definition."""
    first, *more = re.sub(r"^\{\{.*?\}\}\s*", "", message).splitlines()
    kind = re.search(r'op: "(\w+)"', "\n".join([first, *more]))
    return first.partition(":")[0].strip() + (f" ({kind[1]})" if kind else "")


def _flat(tf: Any, spec: Any) -> list[Any]:
    """The tensors of an element as a graph has them: what is no plain tensor travels as a variant."""
    variant = tf.TensorSpec([], tf.variant)
    return [one if isinstance(one, tf.TensorSpec) else variant for one in tf.nest.flatten(spec)]
