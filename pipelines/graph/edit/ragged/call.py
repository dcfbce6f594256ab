"""One op of a function, with the rows of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.graph.edit.ragged.rows import Rows


@dataclass(frozen=True)
class RowCall:
    """One op of a function.

    Attributes:
        size: How many elements there are, an int64 scalar.
        run: Adds the op with tensors as inputs; returns its outputs.
    """

    node: Any
    inputs: Sequence[Rows]
    size: Any
    run: Callable[[Sequence[Any]], list[Any]]
