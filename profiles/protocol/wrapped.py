"""The methods of TensorFlow, Keras and others that are wrapped while a training script runs, in its process only."""

from __future__ import annotations

from dataclasses import dataclass

from pipeprof.pipelines.tables import read_table


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


LISTENS = "register_event_duration_secs_listener"
"""The method of JAX that a listener is registered with, which wraps nothing."""
WRAPPED = tuple(Wrapped(*row) for row in read_table("pipeprof.profiles.protocol", "wrapped"))
"""Every method that is wrapped; ``pipeprof doctor`` lists them.

Writers that open their files in Python need no wrapper: their files are heard of when they are opened.
"""
LIBRARIES = tuple(dict.fromkeys(row.module for row in WRAPPED))
