"""``windows-one-by-one``: a dataset made and batched for each window over the elements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.changes.edits import HandWritten, NewStage, ReplaceStages
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import interval_ms, per_batch, saving
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.snippets import in_place
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, significant


@dataclass(frozen=True)
class Windows:
    """Windows that a pipeline makes one by one.

    Attributes:
        flat: The stage that makes an element of each.
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
        """Whether each begins where the one before ends: then they are batches."""
        return self.shift == self.size and self.stride == 1

    @property
    def span(self) -> int:
        """Elements from the first one of a window to the last one, both counted."""
        return (self.size - 1) * self.stride + 1

    def piece(self, many: int) -> int:
        """Elements that so many windows in a row cover."""
        return (many - 1) * self.shift + self.span

    @property
    def stages(self) -> tuple[StageView, ...]:
        """All that is replaced."""
        return (self.window, self.flat, *self.inside)


class WindowsOneByOne(Rule):
    """Windows over the elements, each a dataset of its own.

    Seen:
        window makes a dataset of each window, and a flat_map whose function only batches it makes one element of that,
        which takes a part of the step. Windows that overlap or leave gaps are complete, and their elements have a fixed
        shape.

    Why:
        For each window a dataset is made, a function called and an iterator started: 59 µs for a window of 25 numbers,
        2 µs where 256 are cut at a time. Overlapping windows also copy each element as often as it is in one of them,
        one by one.

    Fix:
        Where each window begins at the end of the one before, windows are batches: use batch. Else make windows that
        are many times as large, which share their ends, and cut the small ones out of each with tf.signal.frame in one
        call: the same windows in the same order. Where all elements are one array in memory, a gather of whole batches
        by the windows' indices (tf.range and tf.gather) does it as well.

    Ignore when:
        The windows are few and large: then the copies are the work, and the try shows no gain.
    """

    name = "windows-one-by-one"
    title = "Cut many windows at a time"
    family = "speed"
    semantics = "same"
    reports_untried = False
    thresholds = (
        Threshold("time-share", 0.2, "of the interval", "below it something else comes first", 0.1),
        Threshold("most-windows", 256, "windows", "cut out of one piece; more save less than 1 µs for each"),
        Threshold("piece-bytes", 4e6, "bytes", "of the windows that are cut at a time, which take memory in addition"),
        Threshold("least-windows", 8, "windows", "with fewer at a time there is little to share"),
        Threshold("cut-us", 2, "µs", "measured on TensorFlow 2.21: a window of 25 numbers, 256 at a time, batched"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time inside the stages that make windows."""
        interval = interval_ms(view)
        for stage in view.stages:
            found = windows_of(view, stage) if interval else None
            if interval is None or found is None:
                continue
            nbytes, count = found.flat.element_bytes, per_batch(view, found.flat)
            took = sum(stage.table_ms or 0.0 for stage in found.stages)
            if not nbytes or not count or took < self.threshold("time-share") * interval:
                continue
            many = int(min(self.threshold("most-windows"), self.threshold("piece-bytes") / nbytes))
            if found.are_batches or many >= self.threshold("least-windows"):
                yield self._hit(view, found, many, took, count)

    def _hit(self, view: PipelineView, found: Windows, many: int, took: float, count: float) -> Proposal:
        each, cut = 1000 * took / count, self.threshold("cut-us")
        left = min(each, cut if found.are_batches else max(cut, each / many))
        text = f"{significant(count)} windows with {significant(left)} µs each instead of {significant(each)} µs"
        words = (
            f"Use batch instead of {found.window.label} and {found.flat.label}: windows that begin where the one "
            "before ends are batches."
            if found.are_batches
            else f"Let {found.window.label} give {found.piece(many)} elements, which {many} windows cover, and cut "
            "these out of it with tf.signal.frame: the same windows in the same order."
        )
        return Proposal(
            stage=found.flat.id,
            sentence=(
                f"{found.window.label} makes a dataset of each window, and {found.flat.label} an element of that: "
                f"{significant(each)} µs for each of {significant(count)} windows per batch, "
                f"{milliseconds(took)} of the {milliseconds(interval_ms(view) or 0.0)}."
            ),
            recommendation=words,
            evidence={
                "windows_per_batch": count,
                "windows_ms_per_batch": took,
                "window_bytes": found.flat.element_bytes or 0.0,
                "windows_at_a_time": 1 if found.are_batches else many,
            },
            edits=(_batches(found) if found.are_batches else _many_at_a_time(found, many),),
            predicted=saving(view, text, (each - left) * count / 1000, {stage.id for stage in found.stages}),
            covers=tuple(stage.id for stage in found.stages),
            title="Replace windows with batches" if found.are_batches else "",
            by_hand=None if found.are_batches else _by_hand(found, many),
        )


def windows_of(view: PipelineView, window: StageView) -> Windows | None:
    """Return the windows that a stage makes and the next one batches; None for others, and for those of any shape."""
    readers, below = view.readers(window), view.input_of(window)
    if not traits(window.op).windows or len(readers) != 1 or below is None or below.element is None:
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
    found = Windows(window, flat, inside, size, shift, stride, keys, components, bool(complete))
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


def _batches(found: Windows) -> ReplaceStages:
    """A batch in place of the two stages."""
    arguments = {"batch_size": found.size, **({"drop_remainder": True} if found.complete else {})}
    return ReplaceStages((found.window.id, found.flat.id), (NewStage("batch", arguments),))


def _many_at_a_time(found: Windows, many: int) -> ReplaceStages:
    # A spec's stages have the structure of its elements; those of a Python function are only known as a graph.
    of_spec = found.window.written is not None
    piece, keys = found.piece(many), found.keys if of_spec else tuple(range(found.components))
    batch: Mapping[str, Any] = {"stages": [{"batch": {"batch_size": piece}}]}
    sides = [{"on": key, **batch} for key in keys]
    whole: Any = dict(zip(keys, sides, strict=True)) if keys and isinstance(keys[0], str) else sides
    frame = {"frame_length": found.span, "frame_step": found.shift, "axis": 0}
    calls: list[Mapping[str, Any]] = []
    for on in [{"on": key} for key in keys] or [{}]:
        calls.append({"tf.signal.frame": {**frame, **on}})
        if found.stride > 1:
            calls.append({"getitem": {"key": f":, ::{found.stride}", **on}})
    return ReplaceStages(
        (found.window.id, found.flat.id),
        (
            NewStage(found.window.op, {"size": piece, "shift": many * found.shift}),
            NewStage(found.flat.op, {"source": {"zip": {"datasets": whole}}} if keys else batch),
            NewStage("map", {"ops": calls}),
            NewStage("unbatch"),
        ),
        f"make {{stage}} {piece} elements long, cut {many} out of each with tf.signal.frame",
        flat=not of_spec,
    )


def _by_hand(found: Windows, many: int) -> HandWritten:
    """The edit as Python code."""
    piece = found.piece(many)
    return HandWritten(
        (found.window.id, found.flat.id),
        yaml="",
        python="\n".join(
            [
                *_functions(found, piece),
                in_place(
                    (found.window, found.flat),
                    f".window({piece}, shift={many * found.shift}).flat_map(piece).map(windows).unbatch()",
                ),
            ]
        ),
    )


def _functions(found: Windows, piece: int) -> Sequence[str]:
    cut = f"tf.signal.frame(one, {found.span}, {found.shift}, axis=0)"
    cut += f"[:, ::{found.stride}]" if found.stride > 1 else ""
    if not found.keys:
        return ("def piece(one):", f"    return one.batch({piece})", "def windows(one):", f"    return {cut}")
    if isinstance(found.keys[0], str):
        return (
            "def piece(parts):",
            f"    return tf.data.Dataset.zip({{key: one.batch({piece}) for key, one in parts.items()}})",
            "def windows(parts):",
            f"    return {{key: {cut} for key, one in parts.items()}}",
        )
    return (
        "def piece(*parts):",
        f"    return tf.data.Dataset.zip(tuple(one.batch({piece}) for one in parts))",
        "def windows(*parts):",
        f"    return tuple({cut} for one in parts)",
    )
