"""The methods of TensorFlow, Keras and others that are wrapped while a training script runs, in its process only."""

from __future__ import annotations

from dataclasses import dataclass


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
