"""What pipeprof needs of TensorFlow, in one process: a dataset, its model, its graph, and the graph that will run."""

from __future__ import annotations

import sys

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2


def nodes(variant: tf.Tensor) -> list[str]:
    """Ops of the serialised graph of a dataset variant."""
    raw = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=1).numpy()
    return [node.op for node in graph_pb2.GraphDef.FromString(raw).node]


def main() -> None:
    """Exit with an assertion error where something pipeprof relies on is missing."""
    written = (
        tf.data.Dataset.from_tensor_slices(np.arange(64, dtype=np.float32), name="source")
        .map(lambda x: x * 2, name="double")
        .batch(8, name="batch")
        .repeat(name="again")
    )
    variant = tf.data.experimental.to_variant(written)
    assert "MapDataset" in nodes(variant), nodes(variant)

    finalized = tf.raw_ops.FinalizeDataset(
        input_dataset=variant, has_captured_ref=False, output_types=[tf.float32], output_shapes=[[None]]
    )
    executed = nodes(finalized)
    assert "ModelDataset" in executed, executed
    assert any(op.startswith(("ParallelMap", "MapAndBatch")) for op in executed), executed

    iterator = iter(written)
    for _ in range(50):
        batch = next(iterator)
    assert batch.shape == (8,)
    model = tf.data.experimental.get_model_proto(iterator)
    names = [model.nodes[key].name for key in model.nodes]
    assert any(model.nodes[key].processing_time > 0 for key in model.nodes), names

    again = tf.raw_ops.DatasetFromGraph(
        graph_def=tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=1)
    )
    rebuilt = tf.data.experimental.from_variant(again, written.element_spec)
    assert np.array_equal(next(iter(rebuilt)), next(iter(written)))
    print(f"Python {sys.version.split()[0]}, TensorFlow {tf.__version__}, NumPy {np.__version__}: {', '.join(names)}")


if __name__ == "__main__":
    main()
