"""Windows over the elements that a pipeline makes one by one, and how many of them are cut at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.changes.edits import NewStage, ReplaceStages
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.batch_savings import per_batch
from pipeprof.profiles.view.view import PipelineView, StageView

MOST_WINDOWS: Final = 256
"""Windows that are cut out of one piece; more save less than 1 µs for each."""
FEWEST_WINDOWS: Final = 8
"""With fewer at a time there is little to share."""
PIECE_BYTES: Final = 4e6
"""Of the windows that are cut at a time, which take memory in addition."""
CUT_US: Final = 2.0
"""A window of 25 numbers, 256 at a time, batched: measured on TensorFlow 2.21; 59 µs one by one."""


@dataclass(frozen=True)
class SingleWindows:
    """Windows that are made one by one.

    Attributes:
        flat: The stage that makes an element of each.
        inside: The stages in its function.
        shift: Elements from the start of one window to that of the next.
        stride: Elements from one element of a window to the next.
        keys: Names or indices of the components, as far as a graph shows them; none for a single tensor.
        complete: Whether windows at the end that are smaller are left out.
    """

    window: StageView
    flat: StageView
    inside: tuple[StageView, ...]
    size: int
    shift: int
    stride: int
    keys: tuple[str, ...] | tuple[int, ...]
    components: int
    complete: bool

    @property
    def are_batches(self) -> bool:
        """Whether each begins where the one before ends."""
        return self.shift == self.size and self.stride == 1

    @property
    def span(self) -> int:
        """Elements from the first one of a window to the last one, both counted."""
        return (self.size - 1) * self.stride + 1

    @property
    def stages(self) -> tuple[StageView, ...]:
        """All that is replaced, in the order of the data."""
        return (self.window, self.flat, *self.inside)


@dataclass(frozen=True)
class Cut:
    """The change that cuts many windows at once, and the share of the present work that is left with it."""

    edit: ReplaceStages
    left: float


def windows_of(view: PipelineView, window: StageView) -> SingleWindows | None:
    """Return the windows that a stage makes and the next one batches; None for others, and for those of any shape."""
    readers, below = view.readers(window), view.input_of(window)
    if len(readers) != 1 or below is None or below.element is None:
        return None
    flat, components = readers[0], len(below.element)
    inside, keys = tuple(view.inside(flat)), _keys(flat, components)
    size = window.arguments.get("size")
    shift, stride = window.arguments.get("shift", size), window.arguments.get("stride", 1)
    if not (isinstance(size, int) and isinstance(shift, int) and isinstance(stride, int)) or keys is None:
        return None
    if not _only_batches(flat, inside, size, components):
        return None
    batches = [stage for stage in inside if traits(stage.op).stacks]
    complete = window.arguments.get("drop_remainder") or all(batch.arguments.get("drop_remainder") for batch in batches)
    found = SingleWindows(window, flat, inside, size, shift, stride, keys, components, bool(complete))
    fixed = found.complete and all(component.nbytes is not None for component in below.element)
    return found if fixed or found.are_batches else None


def _only_batches(stage: StageView, inside: Sequence[StageView], size: int, components: int) -> bool:
    """Whether its function batches the components of a window, one window after the other, and does nothing else."""
    row, function = traits(stage.op), stage.function
    if not row.opens or row.parallel or function is None or function.ops != frozenset():
        return False
    batches = [part for part in inside if traits(part.op).stacks and part.arguments.get("batch_size") == size]
    combined = [part for part in inside if traits(part.op).combines]
    return len(inside) == len(batches) + len(combined) and (len(batches), len(combined)) == (components, components > 1)


def _keys(stage: StageView, components: int) -> tuple[str, ...] | tuple[int, ...] | None:
    """Names or indices of an element's components, as far as a graph shows them; None below the first level."""
    known = stage.keys or ()
    if components == 1 and not any(known):
        return ()
    if not known or all(key.isdigit() for key in known):
        return tuple(range(components))
    return None if any("." in key for key in known) else known


def cut_at_once(view: PipelineView, windows: SingleWindows) -> Cut | None:
    """Return the change that cuts many of them out of one; a batch where that is the same, None for large ones."""
    nbytes, count = windows.flat.element_bytes, per_batch(view, windows.flat)
    took_us = 1000 * sum(stage.table_ms or 0.0 for stage in windows.stages)
    if not nbytes or not count or not took_us:
        return None
    left = min(1.0, CUT_US * count / took_us)
    if windows.are_batches:
        arguments = {"batch_size": windows.size, **({"drop_remainder": True} if windows.complete else {})}
        return Cut(ReplaceStages((windows.window.id, windows.flat.id), (NewStage("batch", arguments),)), left)
    many = int(min(MOST_WINDOWS, PIECE_BYTES / nbytes))
    return Cut(_many_at_a_time(windows, many), max(left, 1 / many)) if many >= FEWEST_WINDOWS else None


def _many_at_a_time(windows: SingleWindows, many: int) -> ReplaceStages:
    # A spec's stages have the structure of its elements; those of a Python function are only known as a graph.
    of_spec = windows.window.written is not None
    piece = (many - 1) * windows.shift + windows.span
    keys = windows.keys if of_spec else tuple(range(windows.components))
    batch: Mapping[str, Any] = {"stages": [{"batch": {"batch_size": piece}}]}
    sides = [{"on": key, **batch} for key in keys]
    whole: Any = dict(zip(keys, sides, strict=True)) if keys and isinstance(keys[0], str) else sides
    frame = {"frame_length": windows.span, "frame_step": windows.shift, "axis": 0}
    calls: list[Mapping[str, Any]] = []
    for on in [{"on": key} for key in keys] or [{}]:
        calls.append({"tf.signal.frame": {**frame, **on}})
        if windows.stride > 1:
            calls.append({"getitem": {"key": f":, ::{windows.stride}", **on}})
    return ReplaceStages(
        (windows.window.id, windows.flat.id),
        (
            NewStage(windows.window.op, {"size": piece, "shift": many * windows.shift}),
            NewStage(windows.flat.op, {"source": {"zip": {"datasets": whole}}} if keys else batch),
            NewStage("map", {"ops": calls}),
            NewStage("unbatch"),
        ),
        f"make {{stage}} {piece} elements long with a shift of {many * windows.shift}, batch each whole, "
        f"cut {many} windows out of it with tf.signal.frame, then unbatch",
        flat=not of_spec,
    )
