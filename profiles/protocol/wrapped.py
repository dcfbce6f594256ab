"""The methods of TensorFlow, Keras and others that are wrapped while a training script runs, in its process only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Wrapped:
    """A public method that is wrapped.

    Attributes:
        owner: The class, or the module of a function, by its dotted name in the library; empty for the library itself.
    """

    module: str
    owner: str
    method: str
    why: str

    def __str__(self) -> str:
        return ".".join(filter(None, (self.module, self.owner, self.method)))


_DISTRIBUTES = "which dataset is behind one that a strategy distributes"
_LIST = "callbacks.CallbackList"
_ADAPTED = ("Normalization", "TextVectorization", "StringLookup", "IntegerLookup", "Discretization")
# Those that write in Python need no wrapper: their files are heard of when they are opened.
WRITERS = tuple(
    Wrapped(module, owner, method, "files that are about to be written or deleted")
    for module, owner, method in (
        ("keras", "Model", "save"),
        ("keras", "Model", "save_weights"),
        ("keras", "Model", "export"),
        ("keras", "saving", "save_model"),
        ("keras", "saving", "save_weights"),
        ("tensorflow", "train.Checkpoint", "save"),
        ("tensorflow", "train.Checkpoint", "write"),
        ("tensorflow", "train.CheckpointManager", "save"),
        ("tensorflow", "saved_model", "save"),
        ("tensorflow", "data.Dataset", "save"),
        ("tensorflow", "io", "write_file"),
        ("tensorflow", "io.TFRecordWriter", "__init__"),
        ("tensorflow", "io.gfile.GFile", "__init__"),
        ("tensorflow", "io.gfile", "copy"),
        ("tensorflow", "io.gfile", "rename"),
        ("tensorflow", "io.gfile", "remove"),
        ("tensorflow", "io.gfile", "rmtree"),
        ("h5py", "File", "__init__"),
        ("torch", "", "save"),
    )
)
# Never `Model.compile`: Keras loads no compiled model whose class has another one than `Trainer`.

WRAPPED = (
    Wrapped("tensorflow", "data.Dataset", "__init__", "when a dataset is built again"),
    Wrapped("tensorflow", "data.Dataset", "__iter__", "which dataset is iterated, and how long its iterator takes"),
    Wrapped("tensorflow", "data.Iterator", "__next__", "when a loop requests a batch and when it comes"),
    Wrapped("tensorflow", "data.Iterator", "get_next", "the same, by another name"),
    Wrapped("tensorflow", "distribute.Strategy", "experimental_distribute_dataset", _DISTRIBUTES),
    Wrapped("tensorflow", "distribute.Strategy", "distribute_datasets_from_function", _DISTRIBUTES),
    Wrapped("tensorflow", "distribute.DistributedDataset", "__iter__", "when that dataset is iterated"),
    Wrapped("tensorflow", "distribute.DistributedIterator", "get_next", "when a batch of it is requested and comes"),
    Wrapped("tensorflow", "data.Dataset", "reduce", "loops over a dataset inside of a tf.function"),
    Wrapped("tensorflow", "types.experimental.PolymorphicFunction", "__call__", "time and traces of tf.functions"),
    Wrapped("tensorflow", "GradientTape", "gradient", "steps that compute outside of a tf.function"),
    Wrapped("torch", "utils.data.DataLoader", "__iter__", "batches that come from no tf.data dataset"),
    Wrapped("keras", "Model", "fit", "where training begins, and from what"),
    Wrapped("keras", _LIST, "on_train_begin", "callbacks that Keras waits for"),
    Wrapped("keras", _LIST, "on_epoch_begin", "epochs"),
    Wrapped("keras", _LIST, "on_epoch_end", "checkpoints and other work at the end of an epoch"),
    Wrapped("keras", _LIST, "on_train_batch_begin", "the time from step to step"),
    Wrapped("keras", _LIST, "on_train_batch_end", "which of them were steps: the last one may find no batch"),
    Wrapped("keras", _LIST, "on_test_begin", "validation and evaluation"),
    Wrapped("keras", _LIST, "on_test_end", "their end"),
    Wrapped("keras", _LIST, "on_predict_begin", "prediction"),
    Wrapped("keras", _LIST, "on_predict_end", "its end"),
    *(Wrapped("keras", f"layers.{layer}", "adapt", "passes over a dataset that are no training") for layer in _ADAPTED),
    *WRITERS,
    Wrapped("os", "", "_exit", "the end of a process that runs nothing at its end"),
)
"""Every method that is wrapped; ``pipeprof doctor`` lists them."""

LIBRARIES = tuple(dict.fromkeys(row.module for row in WRAPPED))


OLDEST: Final = (2, 18)
"""The oldest minor version that a worker accepts."""
NEWEST: Final = (2, 21)
"""The newest minor version that was tested (docs/install.md)."""


def minor_of(version: str) -> tuple[int, int] | None:
    """Return the major and minor number of a version; None if it does not begin with two numbers.

    Example:
        >>> minor_of("2.21.0-rc1")
        (2, 21)
    """
    match = re.match(r"(\d+)\.(\d+)", version)
    return None if match is None else (int(match[1]), int(match[2]))


def is_older(version: str) -> bool:
    """Whether a version is older than `OLDEST`; an unreadable one is not."""
    minor = minor_of(version)
    return minor is not None and minor < OLDEST


def is_newer(version: str) -> bool:
    """Whether a version is newer than `NEWEST`; an unreadable one is not."""
    minor = minor_of(version)
    return minor is not None and minor > NEWEST


def as_text(minor: tuple[int, int]) -> str:
    """Write a minor version with a dot."""
    return ".".join(map(str, minor))
