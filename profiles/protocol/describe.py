"""Messages between harness and worker for writing a spec of a user's function: one job, one answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DescribeJob:
    """Job: write a spec of one function.

    Attributes:
        folder: Absolute folder that the spec will be in.
        arrays: Stem of the names of arrays to be saved there; None for none.
        schema: The schema as the spec's first line names it; None for no such line.
    """

    target: str
    arguments: list[tuple[str, str]]
    folder: str
    name: str
    arrays: str | None
    force: bool
    schema: str | None = None


@dataclass(frozen=True)
class SpecOfFunction:
    """A spec of a user's function.

    Attributes:
        unsaid: Parts left in Python, and why.
        python: The last stage that a Python function makes, with its line; None without one.
        equal: Whether the graph that TensorFlow runs for it is the function's; None if they were not compared.
    """

    text: str
    unsaid: tuple[str, ...]
    stages: int
    python: str | None
    equal: bool | None
    why: str | None
    differences: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class DescribeFailure:
    """Why there is no spec: `usage` is the command line's fault, `internal` pipeprof's, `pipeline` the function's."""

    kind: Literal["usage", "internal", "pipeline"]
    message: str


@dataclass(frozen=True)
class DescribeAnswer:
    """Answer of the worker: the spec, or the failure."""

    spec: SpecOfFunction | None = None
    failure: DescribeFailure | None = None
