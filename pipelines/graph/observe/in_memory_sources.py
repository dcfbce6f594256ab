"""In-memory sources created while TensorFlow traces a function (worker only: needs TensorFlow).

A dataset holds its tensors in the same way whether ``from_tensor_slices`` was called eagerly or inside a
``tf.function``, and is serialised to the same graph: the graph cannot tell the array that was converted once from the
one that went through a graph as a constant, at many times its size. So the build is observed: Python's profiling hook
reports the returns of ``from_tensor_slices`` and ``from_tensors``, and TensorFlow whether it is tracing.
"""

from __future__ import annotations

import inspect
import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

from pipeprof.pipelines.graph.observe.source_lines import Lines
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.graph.read.records import GraphDict, MadeDict
from pipeprof.pipelines.ops.executed_ops import is_dataset
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.target.user_files import is_users

_Seen = Callable[[FrameType, Any], None]

_GENERATED = "__autograph_generated_file"


@dataclass(frozen=True)
class MadeSource:
    """One call of ``from_tensor_slices`` or ``from_tensors``.

    Attributes:
        types: TensorFlow's dtype of each component of its elements.
        shapes: Shape of each component, None for an unknown rank or dimension.
        traced: It was called while a function was traced: its arrays became constants of a graph.
        elements: How many elements it has, None if not known.
        file: The user's file that called it, or that called the traced function.
    """

    types: tuple[str, ...]
    shapes: tuple[tuple[int | None, ...] | None, ...]
    traced: bool
    method: str = "from_tensor_slices"
    elements: int | None = None
    file: str | None = None
    line: int | None = None

    def to_dict(self) -> MadeDict:
        """Convert to JSON data."""
        return {
            "method": self.method,
            "types": list(self.types),
            "shapes": [None if shape is None else list(shape) for shape in self.shapes],
            "elements": self.elements,
            "traced": self.traced,
            "file": self.file,
            "line": self.line,
        }


class SourceWatch:
    """Observer of the datasets created in a ``with`` block: their lines, and how in-memory ones are created.

    This thread is watched, and those that it starts. Costs about a microsecond for each call of a Python function in
    the block, so it is for building, not for measuring; in a thread that outlives the block, the hook is removed at its
    next call. A hook that is already there (a profiler of the user's) is called as before.

    Args:
        own: Whether a file is the user's own.

    Attributes:
        made: The in-memory sources that were made, in order.
        lines: Where every dataset was made.
        note: Why some may be missing, or None.
    """

    def __init__(self, own: Callable[[str], bool] = is_users) -> None:
        self.made: list[MadeSource] = []
        self.lines = Lines(own)
        self.note: str | None = None
        self._before: Any = None
        self._before_in_threads: Any = None
        self._installed: Callable[..., None] | None = None
        self._in_threads: Callable[..., None] | None = None
        self._ended = False

    def __enter__(self) -> SourceWatch:
        self._before = sys.getprofile()
        if self._before is not None and not callable(self._before):
            self.note = "the source lines of stages are unknown: another profiler was running already"
            return self
        watched = self._return_handlers()
        self._before_in_threads = threading.getprofile()
        self._in_threads = self._removable_hook(self._hook(watched, self._before_in_threads), self._before_in_threads)
        threading.setprofile(self._in_threads)
        self._installed = self._hook(watched, self._before)
        sys.setprofile(self._installed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed is None:
            return
        self._ended = True
        if threading.getprofile() is self._in_threads:
            threading.setprofile(self._before_in_threads)
        if sys.getprofile() is self._installed:
            sys.setprofile(self._before)
        else:
            self.note = "the source lines of some stages may be missing: the target set a profiler of its own"

    def _return_handlers(self) -> dict[int, tuple[CodeType, _Seen]]:
        """Return the handlers of function returns, by the identity of the function's code."""
        import tensorflow as tf

        library = str(Path(tf.__file__).parent)

        def source(frame: FrameType, dataset: Any) -> None:
            self.made.append(_source_record(frame, dataset, library, traced=bool(tf.inside_function())))

        watched: list[tuple[Callable[..., Any], _Seen]] = [
            *((getattr(tf.raw_ops, op), partial(self.lines.made, op)) for op in dir(tf.raw_ops) if is_dataset(op)),
            *((getattr(tf.raw_ops, op), self.lines.called) for op in sorted(PYTHON)),
            *((method, self.lines.returned) for method in _methods(tf.types.experimental.ConcreteFunction)),
            *((method, self.lines.op_made) for method in _methods(tf.Graph)),
            *((method, source) for method in (tf.data.Dataset.from_tensor_slices, tf.data.Dataset.from_tensors)),
        ]
        return {
            id(code): (code, seen)
            for function, seen in watched
            if (code := getattr(inspect.unwrap(function), "__code__", None)) is not None
        }

    def _hook(self, watched: dict[int, tuple[CodeType, _Seen]], before: Any) -> Callable[..., None]:
        def hook(frame: FrameType, event: str, value: Any) -> None:
            if event == "return" and value is not None:
                _, seen = watched.get(id(frame.f_code), (None, None))
                if seen is not None:
                    try:
                        seen(frame, value)
                    except Exception as error:
                        # An exception in a hook would end the user's own call.
                        self.note = f"the source lines of stages are unknown ({type(error).__name__}: {error})"
            if before is not None:
                before(frame, event, value)

        return hook

    def _removable_hook(self, hook: Callable[..., None], before: Any) -> Callable[..., None]:
        """Return the hook for a thread that may outlive the block."""

        def while_watched(frame: FrameType, event: str, value: Any) -> None:
            if self._ended:
                sys.setprofile(before)
            else:
                hook(frame, event, value)

        return while_watched


def _methods(kind: type[Any]) -> Iterator[Callable[..., Any]]:
    """Yield the methods of the classes that implement ``kind``, properties left out."""
    for below in kind.__subclasses__():
        yield from (method for method in vars(below).values() if inspect.isfunction(method))
        yield from _methods(below)


def held_bytes(made: Sequence[MadeSource]) -> int:
    """Return the bytes of these sources' tensors with known shapes; strings count 0."""
    return sum(nbytes for _, nbytes in component_bytes(made))


def component_bytes(made: Sequence[MadeSource]) -> list[tuple[str, int]]:
    """Return type and bytes of each tensor that these sources hold, except strings and unknown shapes."""
    import tensorflow as tf

    found = []
    for source in made:
        for name, shape in zip(source.types, source.shapes, strict=True):
            if shape is None or None in shape or name in ("variant", "string"):
                continue
            count = math.prod(size for size in shape if size is not None) * (source.elements or 1)
            found.append((name, count * int(tf.dtypes.as_dtype(name).size)))
    return found


def mark_constants(graph: GraphDict, made: Sequence[MadeSource]) -> None:
    """Set ``constant`` of the in-memory sources of ``graph`` from what was seen while it was built.

    Sources inside functions are read from the graph itself. Where sources of the same element were made in both ways,
    the one at hand could be either, and nothing is set.
    """
    for node in graph["nodes"]:
        if not traits(node["op"]).in_memory or node["owner"] is not None:
            continue
        types = tuple(node["output_types"])
        shapes = tuple(None if one is None else tuple(one) for one in node["output_shapes"])
        ways = {source.traced for source in made if source.types == types and source.shapes == shapes}
        if len(ways) == 1:
            node["constant"] = ways.pop()


def _source_record(frame: FrameType, dataset: Any, library: str, *, traced: bool) -> MadeSource:
    import tensorflow as tf

    leaves = tf.nest.flatten(dataset.element_spec)
    shapes = [getattr(leaf, "shape", None) for leaf in leaves]
    elements = None if traced else 1 if frame.f_code.co_name == "from_tensors" else _rows(frame.f_locals.get("tensors"))
    user = _user_frame(frame, library)
    return MadeSource(
        types=tuple(str(getattr(getattr(leaf, "dtype", None), "name", "variant")) for leaf in leaves),
        shapes=tuple(None if shape is None or shape.rank is None else tuple(shape.as_list()) for shape in shapes),
        traced=traced,
        method=frame.f_code.co_name,
        elements=elements,
        file=user.f_code.co_filename if user is not None else None,
        line=user.f_lineno if user is not None else None,
    )


def _rows(tensors: Any) -> int | None:
    """Return the length of the first axis of the sliced arrays; None where it is not static.

    Do not read the dataset's cardinality instead: reading a tensor's value makes TensorFlow free arrays that it would
    have kept while the pipeline starts, and the peak would be lower than without pipeprof.
    """
    while isinstance(tensors, (dict, tuple)):
        tensors = next(iter(tensors.values() if isinstance(tensors, dict) else tensors), None)
    shape = getattr(tensors, "shape", None)
    if shape is None:
        return len(tensors) if isinstance(tensors, list) else None
    rows = next(iter(shape), None)
    return rows if isinstance(rows, int) else None


def _user_frame(frame: FrameType, library: str) -> FrameType | None:
    """Return the innermost caller outside TensorFlow and outside code generated by AutoGraph."""
    at = frame.f_back
    while at is not None:
        name = at.f_code.co_filename
        if not name.startswith((library, "<")) and _GENERATED not in name:
            return at
        at = at.f_back
    return None


def component_keys(spec: Any) -> list[str] | None:
    """Return component names of an element: dotted keys of dicts, indices of tuples; ``0`` for a single one."""
    if not isinstance(spec, (dict, tuple, list)):
        return ["0"]
    return [".".join(path) for path in _paths(spec, ())]


def _paths(spec: Any, above: tuple[str, ...]) -> list[tuple[str, ...]]:
    if isinstance(spec, dict):
        parts = [(str(key), spec[key]) for key in sorted(spec)]
    elif isinstance(spec, tuple) and hasattr(spec, "_fields"):
        parts = list(zip(spec._fields, spec, strict=True))
    elif isinstance(spec, (tuple, list)):
        parts = [(str(index), one) for index, one in enumerate(spec)]
    else:
        return [above]
    return [path for key, one in parts for path in _paths(one, (*above, key))]


def release_source_array() -> None:
    """Convert one numpy value: only then does TensorFlow free the array that a source was made from."""
    import numpy as np
    import tensorflow as tf

    tf.constant(np.zeros(1))
