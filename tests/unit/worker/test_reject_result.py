"""What a target returned in place of a dataset, told by the names of its classes."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.profiles.worker.pipeline import describe_returned


def thing(*names: str) -> Any:
    """An object of a class `module.Name`, derived from the others in order."""
    kind: Any = object
    for name in reversed(names):
        module, _, last = name.rpartition(".")
        kind = type(last, (kind,), {"__module__": module})
    return kind()


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (thing("datasets.arrow_dataset.Dataset"), "a Hugging Face dataset; return dataset.to_tf_dataset("),
        (thing("torch.utils.data.dataset.Mine", "torch.utils.data.dataset.Dataset"), "a torch Dataset; pipeprof"),
        (thing("torch.Tensor"), "a torch tensor; wrap it"),
        (thing("tensorflow_datasets.core.x._IterableDataset"), "a dataset as numpy; return the dataset without tfds"),
        (thing("tensorflow.r.RaggedTensor", "tensorflow.c.CompositeTensor"), "a tensor; wrap it with tf.data"),
        (
            thing(
                "tensorflow.d.Distributed", "tensorflow.t.DistributedDatasetInterface", "tensorflow.c.CompositeTensor"
            ),
            "a distributed dataset; return the dataset that goes into the strategy",
        ),
        (thing("tensorflow.x.TensorSpec", "tensorflow.x.TypeSpec"), "the spec of an element; return the dataset"),
        (thing("pandas.core.series.Series"), "a pandas Series; wrap it"),
        (thing("polars.Dataset"), "a polars.Dataset; expected a tf.data.Dataset"),
        (thing("mine.input.Sequence"), "a mine.Sequence; expected"),
        (thing("keras.src.x.Mine", "keras.src.x.PyDataset"), "a Keras PyDataset"),
        (thing("tensorflow.python.NumpyIterator"), "an iterator of a dataset as numpy; return the dataset itself"),
        (thing("keras.src.models.Sequential", "keras.src.layers.Layer"), "a Keras layer or model; return the dataset"),
        ((thing("x.DatasetV2"), None), "a tuple; return the dataset alone"),
        ([], "a list; expected a tf.data.Dataset"),
        ({}, "a dict; expected a tf.data.Dataset"),
        (3, "an int; expected"),
        ("text", "a str; expected"),
        ([thing("torch.Tensor"), 3], "a list; expected"),
    ],
)
def test_what_would_help_is_said(result: Any, words: str) -> None:
    said = describe_returned(result)
    assert said.startswith(words)
    assert "\n" not in said
