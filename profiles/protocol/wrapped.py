"""The methods of TensorFlow and Keras that are wrapped while a training script runs, in its process only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wrapped:
    """A public method that is wrapped.

    Attributes:
        module: The library.
        owner: The class, or the module of a function, by its dotted name in the library.
        why: What is seen there.
    """

    module: str
    owner: str
    method: str
    why: str

    def __str__(self) -> str:
        return f"{self.module}.{self.owner}.{self.method}"


_LIST = "callbacks.CallbackList"
_ADAPTED = ("Normalization", "TextVectorization", "StringLookup", "IntegerLookup", "Discretization")

WRAPPED = (
    Wrapped("tensorflow", "data.Dataset", "__iter__", "which dataset is iterated, and how long its iterator takes"),
    Wrapped("tensorflow", "data.Iterator", "__next__", "when a loop requests a batch and when it comes"),
    Wrapped("tensorflow", "data.Iterator", "get_next", "the same, by another name"),
    Wrapped("tensorflow", "data.Dataset", "reduce", "loops over a dataset inside of a tf.function"),
    Wrapped("keras", "Model", "fit", "where training begins"),
    Wrapped("keras", _LIST, "on_train_begin", "the model that is trained, and its steps_per_execution"),
    Wrapped("keras", _LIST, "on_train_end", "the end of the training loop"),
    Wrapped("keras", _LIST, "on_epoch_begin", "epochs"),
    Wrapped("keras", _LIST, "on_epoch_end", "checkpoints and other work at the end of an epoch"),
    Wrapped("keras", _LIST, "on_train_batch_begin", "the time from step to step"),
    Wrapped("keras", _LIST, "on_train_batch_end", "which of them were steps: the last one may find no batch"),
    Wrapped("keras", _LIST, "on_test_begin", "validation and evaluation"),
    Wrapped("keras", _LIST, "on_test_end", "their end"),
    Wrapped("keras", _LIST, "on_predict_begin", "prediction"),
    Wrapped("keras", _LIST, "on_predict_end", "its end"),
    *(Wrapped("keras", f"layers.{layer}", "adapt", "passes over a dataset that are no training") for layer in _ADAPTED),
    Wrapped("keras", "Model", "save", "files that are about to be written"),
    Wrapped("keras", "Model", "save_weights", "files that are about to be written"),
    Wrapped("keras", "Model", "export", "files that are about to be written"),
    Wrapped("tensorflow", "train.Checkpoint", "save", "files that are about to be written"),
    Wrapped("tensorflow", "train.Checkpoint", "write", "files that are about to be written"),
    Wrapped("tensorflow", "train.CheckpointManager", "save", "files that are about to be written"),
    Wrapped("tensorflow", "saved_model", "save", "files that are about to be written"),
)
"""Every method that is wrapped; ``pipeprof doctor`` lists them."""

LIBRARIES = tuple(dict.fromkeys(row.module for row in WRAPPED))
