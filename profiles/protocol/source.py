"""Messages between harness and worker for the graphs of functions: one job, one answer."""

from __future__ import annotations

import base64
import marshal
from dataclasses import dataclass
from typing import Any

from pipeprof.profiles.protocol.job import Job


@dataclass(frozen=True)
class GraphJob:
    """Job: call one function and return the graph that TensorFlow runs for its dataset.

    Attributes:
        text: What the file is to contain instead of what it does; None for its own text.
        steps: Edits of the dataset's graph, step by step, each as JSON.
    """

    target: str
    arguments: list[tuple[str, str]]
    path: str
    text: str | None = None
    steps: list[list[str]] | None = None


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
    """Answer of the worker."""

    graph: str | None = None
    element: str = ""
    failure: str | None = None
    step: bool = False


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
