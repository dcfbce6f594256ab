"""Messages between harness and worker for the graphs of functions: one job, one answer."""

from __future__ import annotations

import base64
import marshal
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeprof.profiles.protocol.job import Job


@dataclass(frozen=True)
class GraphJob:
    """Job: call one function and return the graph that TensorFlow runs for its dataset.

    Attributes:
        text: What the file is to contain instead of what it does; None for its own text.
        steps: Edits of the dataset's graph, step by step, each as JSON.
        stages: Whether the answer has the stages as well.
    """

    target: str
    arguments: list[tuple[str, str]]
    path: str
    text: str | None = None
    steps: list[list[str]] | None = None
    stages: bool = False


@dataclass(frozen=True)
class ScriptGraphJob:
    """Job: run a script until it is about to iterate its main dataset, and return that one's graph.

    Attributes:
        text: What the file is to contain instead of what it does; None for its own text.
        steps: Edits of the dataset's graph, step by step, each as JSON.
    """

    job: Job
    text: str | None = None
    steps: list[list[str]] | None = None


@dataclass(frozen=True)
class GraphAnswer:
    """Answer of the worker: the graphs as written and as executed by their stages, packed, None where not wanted.

    Attributes:
        step: Whether the function returned a step with its dataset.
    """

    graph: str | None = None
    element: str = ""
    failure: str | None = None
    stages: str | None = None
    step: bool = False


@dataclass(frozen=True)
class HostsJob:
    """Job: call one function as hosts that train together call it, and return the stages of its dataset."""

    target: str
    arguments: list[tuple[str, str]]
    path: str
    hosts: int


@dataclass(frozen=True)
class HostGraph:
    """A pipeline as one host makes it.

    Attributes:
        written: Its `GraphDict`, packed.
        places: Where its datasets were made, by their ids, packed.
        files: Names of the files that its datasets hold, by their ids.
        readers: Arguments of its readers of records, by their ids.
    """

    written: str
    places: str
    files: dict[str, list[str]] = field(default_factory=dict)
    readers: dict[str, dict[str, int | bool | str]] = field(default_factory=dict)


@dataclass(frozen=True)
class DescribeFailure:
    """Why there is no answer: `usage` is the command line's fault, `internal` pipeprof's, `pipeline` the function's."""

    kind: Literal["usage", "internal", "pipeline"]
    message: str


@dataclass(frozen=True)
class HostsAnswer:
    """Answer of the worker.

    Attributes:
        graphs: Of host 0; of the others too where the function divides the data in Python, up to a limit.
        policy: Name of the ``auto_shard_policy`` of the dataset's options.
        context: Whether the function was given an ``InputContext``.
        notes: Codes and texts of warnings.
    """

    graphs: list[HostGraph] = field(default_factory=list)
    policy: str = "AUTO"
    context: bool = False
    notes: list[tuple[str, str]] = field(default_factory=list)
    failure: DescribeFailure | None = None


def packed(graph: Any) -> str:
    """Plain data as text.

    Example:
        >>> unpacked(packed({"a": (1, b"x", None)}))
        {'a': (1, b'x', None)}
    """
    return base64.b64encode(marshal.dumps(graph)).decode()


def unpacked(text: str) -> Any:
    """Plain data of a worker's own answer."""
    return marshal.loads(base64.b64decode(text))  # noqa: S302 - the worker is a process of this program
