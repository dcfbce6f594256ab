"""Facts that only a training script has: who takes the batches, its epochs, and its other datasets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeprof.profiles.document.shared import Record, about

Known = Literal["exact", "mean"]


@dataclass(kw_only=True)
class DatasetUse(Record):
    """A dataset that the script iterates over."""

    role: Literal["training", "validation", "evaluation", "prediction", "adapt", "loop"] = field(
        metadata=about("What Keras does with it; `loop` for a loop of the script's own.")
    )
    main: bool = field(default=False, metadata=about("The rest of the profile is about it."))
    file: str | None = field(default=None, metadata=about("Where it is iterated."))
    line: int | None = None
    datasets: int = field(default=1, metadata=about("Objects that followed each other there: built again each time."))
    iterators: int = field(default=0, metadata=about("Iterators that were made of it."))
    batches: int | None = field(default=None, metadata=about("Batches seen; `null` where they are taken unseen."))
    seconds: float | None = field(default=None, metadata=about("In its steps altogether."))
    fetch_seconds: float | None = field(default=None, metadata=about("Of that in which batches were fetched."))


@dataclass(kw_only=True)
class Training(Record):
    """How the script takes its batches, and what is known of its steps."""

    consumer: Literal["loop", "fit", "fit-executions", "graph", "graph-loop"] | None = field(
        default=None,
        metadata=about(
            "`loop`: Python; `fit`: inside the function of Keras' `fit`; `fit-executions`: the same, several in a "
            "call; `graph`: inside a tf.function, from an iterator; `graph-loop`: a loop over the dataset there."
        ),
    )
    executions: int = field(default=1, metadata=about("`steps_per_execution`."))
    interval: Known | None = field(default=None, metadata=about("How `steps.interval_ms` is known."))
    fetch: Known | None = field(
        default=None,
        metadata=about("How `steps.fetch_ms` is known; with `mean` its quantiles are those of means over a look."),
    )
    wait: Known | None = field(default=None, metadata=about("How `steps.wait_ms` is known."))
    unknown: str | None = field(default=None, metadata=about("Why the wait, or all of it, is not known."))
    epochs: int = field(default=0, metadata=about("Passes over the main dataset that began."))
    between_seconds: float | None = field(
        default=None, metadata=about("Between the end of a pass and the next one's beginning, altogether.")
    )
    validations: int = field(default=0, metadata=about("Evaluations inside of `fit`."))
    validation_seconds: float | None = None
    epoch_end_seconds: float | None = field(
        default=None, metadata=about("In the callbacks at the end of epochs: checkpoints, logs.")
    )
    saves: int = field(default=0, metadata=about("Calls that save a model or a checkpoint."))
    ended: str | None = field(default=None, metadata=about("What ended the run: `10 s`, `200 steps`, `the script`."))
    datasets: list[DatasetUse] = field(default_factory=list)
