"""The stages of the pipeline, and what holds them up."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeprof.profiles.document.base import Model


class Location(Model):
    """A place in the user's file."""

    file: str
    line: int
    column: int | None = None


class Caller(Model):
    """A frame in the user's files that led to a stage."""

    file: str
    line: int
    function: str


class OpCost(Model):
    """A TensorFlow op inside a map function."""

    op: str
    ms_per_batch: float


class Stage(Model):
    """One stage of the pipeline: written ones in order, those inside a function after their owner, then injected."""

    id: str = Field(description="Stable address: `source`, `stages.0`, `stages.1.source`, `injected.0`, …")
    name: str | None = Field(None, description="The user's name, or `None`.")
    origin: Literal["written", "injected"]
    depth: int = Field(0, description="Nesting inside functions.")
    fused_with: str | None = Field(None, description="Id of the stage that carries this one's cost.")
    op: str = Field(description="As written, e.g. `map`.")
    tf_op: str | None = Field(None, description="What TensorFlow runs, e.g. `ParallelMapDatasetV2`.")
    executed: str | None = Field(
        None, description="What TensorFlow made of it, in words; `None` if it runs as written."
    )
    location: Location | None = None
    called_from: list[Caller] | None = Field(
        None, description="For a Python target: the user's frames that led to `location`, from the inside out."
    )
    elements: int | None = Field(None, description="Elements it gave during the measured window.")
    cpu_ms_per_batch: float | None = Field(None, description="Time inside the stage, summed over threads, per batch.")
    share: float | None = Field(None, description="Of the time inside all stages, 0 to 1.")
    parallelism: float | None = None
    tunable: bool | None = Field(None, description="TensorFlow chooses its parallelism or buffer.")
    bytes_per_element: float | None = None
    buffered_bytes: int | None = None
    buffered_elements: float | None = None
    ceiling_batches_per_second: float | None = None
    ops: list[OpCost] | None = None


class Headspace(Model):
    """What an infinitely fast pipeline would be worth: cached batches replayed through the same step."""

    interval_ms: float = Field(description="Mean interval of the measured steps.")
    replayed_ms: float = Field(description="Mean interval with the replay; with `step: none` the loop's own floor.")
    share: float = Field(description="`1 - replayed_ms / interval_ms`, at least 0: what could be saved at most.")
    speedup: float = Field(description="Steps per second with an infinitely fast pipeline over today's.")
    batches: int = Field(description="Batches that were replayed in turn.")


class Causes(Model):
    """Named measurements behind the verdict's `limit`; `None` where the system does not tell."""

    worker_cores: float | None = Field(None, description="CPU seconds of the worker per second.")
    demanded_cores: float | None = Field(None, description="The same if its threads had never waited for a core.")
    blocked_share: float | None = Field(
        None, description="Of the time inside the stages, the part in which threads neither ran nor waited for a core."
    )
    disk_bytes_per_second: float | None = None
    python_share: float | None = Field(None, description="Part of the time in which pipeline Python ran, by the trace.")
    python_ms_per_batch: float | None = Field(None, description="Time inside Python functions, summed over threads.")
