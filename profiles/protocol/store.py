"""Messages of a worker that writes what a part of a pipeline gives into files.

The worker describes what it would write (`StoreEstimated`), waits for a turn, and writes (`Stored`). `EditRefused` says
why this part of the pipeline cannot be kept in files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pipeprof.profiles.protocol.messages import WorkerMessage

StoredForm: TypeAlias = Literal["elements", "rows"]
"""``elements`` as `tf.data.Dataset.save` writes them; ``rows`` of arrays in ``.npy`` files, one for each component."""


@dataclass(frozen=True)
class StoreJob:
    """Order to write a stage's elements into files.

    Attributes:
        stage: Address of the stage whose elements are written.
        count_at: Address of a stage before it that gives as many elements and takes less time.
        python: Names of the stages up to it that run Python, which may give other elements in each epoch.
        ops: For a spec, its ops by address; its pipeline ends with that stage. None for a Python function.
    """

    stage: str
    name: str
    folder: str
    form: StoredForm = "elements"
    count_at: str | None = None
    python: list[str] = field(default_factory=list)
    ops: list[tuple[str, str]] | None = None


@dataclass(frozen=True)
class StoreEstimated(WorkerMessage):
    """Estimate of what would be written.

    Attributes:
        bytes: Of all of them together, from the mean of the first ones.
        compared: First elements that were the same in two epochs.
        sources: Folders of files that the pipeline's graph names.
    """

    elements: int
    bytes: int
    compared: int
    sources: list[str]


@dataclass(frozen=True)
class Stored(WorkerMessage):
    """Everything is written, and what was read again was the same."""

    elements: int
