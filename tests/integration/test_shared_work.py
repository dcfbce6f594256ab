"""Work that is the same for all elements which a function makes of one, as the graph of a pipeline shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.observe.reading import read_graphs
from pipeprof.profiles.time.stage_table import explain_stages

RAW = tf.io.encode_jpeg(np.zeros([32, 32, 3], np.uint8)).numpy()
PICTURES = [RAW, RAW]


def decode(raw: Any) -> Any:
    return tf.io.decode_jpeg(raw, channels=3)


def crop_of(raw: Any) -> Callable[[Any], Any]:
    return lambda at: decode(raw)[at : at + 8, :8]


def random_crop(raw: Any) -> Any:
    return tf.image.random_crop(decode(raw), [8, 8, 3])


def shared_ops(dataset: Any) -> dict[str, list[str]]:
    graphs = read_graphs(dataset, in_memory=0)
    pair = StageGraphs.of(graphs.written, graphs.executed, by_address=False)
    rows, _ = explain_stages(pair, batches=0)
    return {row.id: row.shared_ops for row in rows if row.shared_ops is not None}


@pytest.mark.parametrize(
    ("made", "stage"),
    [
        (lambda files: files.flat_map(lambda raw: tf.data.Dataset.range(4).map(crop_of(raw))), "stages.0.stages.0"),
        (
            lambda files: files.flat_map(lambda raw: tf.data.Dataset.from_tensors(raw).repeat(4)).map(random_crop),
            "stages.1",
        ),
        (
            lambda files: files.interleave(lambda raw: tf.data.Dataset.from_tensors(raw).repeat(4).map(random_crop)),
            "stages.0.stages.1",
        ),
    ],
)
def test_a_picture_is_decoded_for_each_of_its_crops(made: Callable[[Any], Any], stage: str) -> None:
    found = shared_ops(made(tf.data.Dataset.from_tensor_slices(PICTURES)))
    assert "DecodeJpeg" in found[stage]
    assert not {"StridedSlice", "Slice"} & {*found[stage]}


@pytest.mark.parametrize(
    "made",
    [
        lambda files: files.flat_map(lambda raw: tf.data.Dataset.from_tensors([raw, raw]).unbatch().map(random_crop)),
        lambda files: files.flat_map(
            lambda raw: tf.data.Dataset.range(4).map(lambda at: decode(tf.gather([raw, raw, raw, raw], at)))
        ),
        lambda files: files.flat_map(lambda raw: tf.data.Dataset.from_tensor_slices([raw, raw])).map(random_crop),
        lambda files: files.repeat(4).map(random_crop),
    ],
)
def test_pictures_that_differ_are_decoded_once_each(made: Callable[[Any], Any]) -> None:
    found = shared_ops(made(tf.data.Dataset.from_tensor_slices(PICTURES)))
    assert "DecodeJpeg" not in {op for ops in found.values() for op in ops}
