"""The view of a function's pipeline that the texts of its files show: arrays that become constants of graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.static.captured_arrays import captured_arrays
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.view.view import ConstantView, PipelineView

if TYPE_CHECKING:
    from pipeprof.pipelines.target.target import ParsedTarget


def view_of_source(target: ParsedTarget, *, cores: float, memory_limit_bytes: int | None = None) -> PipelineView:
    """The pipeline without stages, which only a run shows.

    Args:
        cores: Cores that a run could use.

    Raises:
        UsageError: The file cannot be read or is not valid Python.
    """
    constants = tuple(
        ConstantView(
            array.array.nbytes,
            array.array.dtype,
            array.array.shape,
            name=array.name,
            location=Location(file=str(array.path), line=array.line, column=array.column),
        )
        for array in captured_arrays(target)
    )
    return PipelineView("static", (), cores=cores, memory_limit_bytes=memory_limit_bytes, constants=constants)
