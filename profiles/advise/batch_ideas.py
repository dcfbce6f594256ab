"""Ideas of whole batches: functions of maps, records, rows of CSV and windows that are done element by element."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.changes.edits import MoveStage, NewStage, PipelineEdit, ReplaceStages, SetOption, VectoriseMap
from pipeprof.pipelines.graph.read.function_facts import DECODING, ELEMENTWISE, SPLITTING
from pipeprof.pipelines.meaning.constants import AUTOTUNE
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.batch_savings import batching, copied_share, left_on_batches, per_batch, share_of_calls
from pipeprof.profiles.advise.check import idea
from pipeprof.profiles.advise.facts.work import (
    MUCH_WORK,
    SOME_WORK,
    busy,
    is_plain,
    is_random,
    line_of,
    names_of,
    ops_of,
    proposal_about,
    runs_python,
    share_of,
)
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.constants import BATCHED_PARSE_GAIN
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import stage_name

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
    """Windows that are made one by one: `flat` makes an element of each, with the stages inside its function.

    Attributes:
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


def cut_at_once(view: PipelineView, windows: SingleWindows) -> tuple[ReplaceStages, float] | None:
    """The change that cuts many windows at once (or is a batch, if that is the same), and the share of work left."""
    nbytes, count = windows.flat.element_bytes, per_batch(view, windows.flat)
    took_us = 1000 * sum(stage.table_ms or 0.0 for stage in windows.stages)
    if not nbytes or not count or not took_us:
        return None
    left = min(1.0, CUT_US * count / took_us)
    if windows.are_batches:
        arguments = {"batch_size": windows.size, **({"drop_remainder": True} if windows.complete else {})}
        return ReplaceStages((windows.window.id, windows.flat.id), (NewStage("batch", arguments),)), left
    many = int(min(MOST_WINDOWS, PIECE_BYTES / nbytes))
    return (_many_at_a_time(windows, many), max(left, 1 / many)) if many >= FEWEST_WINDOWS else None


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


PARSES: Final = frozenset({"ParseExample", "ParseExampleV2", "ParseSingleExample"})
NO_FORM: Final = SPLITTING | DECODING | {"ParseSequenceExampleV2", "SparseToDense"}
"""Ops that TensorFlow's vectorisation does not convert: the rows that they make differ in length."""
_OF_TEXTS: Final = re.compile(r"Lookup\w+|\w*String\w*|\w*Regex\w+|Unicode\w+|Substr")
"""Nor these; a function that treats each text alone is called on the batch as it is."""


def batch_after(line: Sequence[StageView], stage: StageView) -> StageView | None:
    """Return the batch that the elements of a map go into, with nothing before it that looks at them; None without."""
    ops = ops_of(stage)
    by_number = stage.measured is not None and bool(stage.measured.draws_by_number)
    if stage.op != "map" or runs_python(stage) or (is_random(stage) and not by_number):
        return None
    if ops & NO_FORM or any(map(_OF_TEXTS.fullmatch, ops - ELEMENTWISE)):
        return None
    for other in line[[one.id for one in line].index(stage.id) + 1 :]:
        row = traits(other.op)
        if row.stacks and row.same_components and row.keeps_shapes:
            return other
        if not row.by_position or row.stores:
            return None
    return None


def maps_in_a_row(line: Sequence[StageView], stage: StageView) -> tuple[StageView, ...]:
    """Return the maps around one whose elements go into the same batch, in order; only it where they do not all."""
    place = [one.id for one in line].index(stage.id)
    end = place + 1
    while end < len(line) and (line[end].op == "map" or _goes_by_position(line[end])):
        end += 1
    maps: list[StageView] = []
    for one in reversed(line[:end]):
        if one.op == "map" and is_plain(one):
            maps.append(one)
        elif not _goes_by_position(one):
            break
    while maps and share_of(maps[-1]) < MUCH_WORK:
        maps.pop()
    found = tuple(reversed(maps))
    return found if stage in found and batch_after(line, found[-1]) is not None else (stage,)


def _goes_by_position(stage: StageView) -> bool:
    row = traits(stage.op)
    return row.by_position and not row.stores and not row.stacks


def moves_of_batch(view: PipelineView, stage: StageView, least: int) -> tuple[MoveStage, ...]:
    """The edits that put the batch, of `least` elements at least, before a map, whose function gets whole batches."""
    batch = batching(view, stage) if traits(stage.op).maps else None
    return batch.moves(stage) if batch is not None and batch.size >= least else ()


@dataclass(frozen=True)
class CsvRows:
    """Rows of a CSV file that are parsed one by one; with the edits one `tf.io.decode_csv` parses a batch of lines.

    `gain` is of 430 columns and batches of 128 lines, TensorFlow 2.21.
    """

    stages: tuple[StageView, ...]
    columns: int
    edits: tuple[PipelineEdit, ...]
    gain: float = 8.0


_FEWEST_COLUMNS: Final = 4
"""With fewer, parsing itself takes most of the time."""
_FEWEST_ROWS: Final = 8
"""Rows of a batch below which there are few calls to save."""
_IN_DECODER: Final = ("field_delim", "use_quote_delim", "na_value")
_NOT_IN_DECODER: Final = ("compression_type", "select_cols", "exclude_cols")
CALLS: Final = "num_parallel_calls"
_FUSION: Final = "experimental_optimization.map_fusion"


def csv_by_lines(view: PipelineView, source: StageView) -> CsvRows | None:
    """Return the rows of a `CsvDataset` whose lines a batch may have instead; None of other stages, and of a spec."""
    given, files = source.arguments, source.arguments.get("filenames")
    if source.op != "CsvDataset" or source.written is not None or not files or not given.get("record_defaults"):
        return None
    if any(given.get(name) for name in _NOT_IN_DECODER) or (given.get("header") and len(files) > 1):
        return None
    columns, at = len(source.element or ()), source
    maps: list[StageView] = []
    while (batch := batching(view, at)) is None:
        readers = view.readers(at)
        if len(readers) != 1 or not traits(readers[0].op).maps:
            return None
        at = readers[0]
        maps.append(at)
    if batch.between or columns < _FEWEST_COLUMNS or batch.size < _FEWEST_ROWS:
        return None
    decoder = {name: given[name] for name in ("record_defaults", *_IN_DECODER) if name in given}
    sizes = {name: value for name, value in batch.stage.arguments.items() if name in ("batch_size", "drop_remainder")}
    by = (
        NewStage("TextLineDataset", {"filenames": list(files)}),
        *((NewStage("skip", {"count": 1}),) if given.get("header") else ()),
        NewStage("batch", sizes),
        NewStage("map", {"ops": [{"tf.io.decode_csv": decoder}], CALLS: AUTOTUNE}),
    )
    moved = [VectoriseMap(stage.id, batch.stage.id) for stage in reversed(maps)]
    replaced = ReplaceStages((source.id, batch.stage.id), by, "parse whole batches of lines", flat=True)
    # Else a tensor for each column passes from one map to the next.
    fused = (SetOption(_FUSION, value=True),) if moved else ()
    return CsvRows((source, *maps, batch.stage), columns, (*moved, replaced, *fused))


LEAST_BATCH: Final = 4
"""Elements of a batch below which there are few calls to save."""
CALLED_FROM: Final = 0.2
"""Share of a stage's time that calling its Python takes, from which one call per batch is tried: strangers' pipelines
with 64 % became 10 to 39 times as fast."""


@idea("whole-batches")
def whole_batches(view: PipelineView) -> Iterator[Proposal]:
    """A map's function on whole batches; whether it means the same there, the comparison of data decides."""
    for group in busy(view):
        line = line_of(view, group[0])
        row = maps_in_a_row(line, group[0])
        if len(row) > 1 and len(group) == 1 and not any(PARSES & _ops(stage) for stage in row):
            batch = batch_after(line, row[-1])
            edits = tuple(VectoriseMap(stage.id, batch.id) for stage in reversed(row) if batch is not None)
            yield proposal_about(
                row, f"Apply {names_of(row)} to whole batches", _CALLED, edits, left=_left_on_batches(view, row)
            )
        parts = [_on_batches(view, stage) for stage in group]
        if all(parts) and not any(PARSES & _ops(stage) for stage in group):
            random = any(is_random(stage) for stage in group)
            yield proposal_about(
                group,
                f"Apply {names_of(group)} to whole batches",
                _CALLED,
                tuple(edit for edits in parts for edit in edits),
                "randomness" if random else "same",
                left=_left_on_batches(view, group),
            )


_CALLED: Final = "is called for each element of a batch"


def _left_on_batches(view: PipelineView, stages: Sequence[StageView]) -> dict[str, float]:
    """The shares of their work that are left where calls, and short ops, cost once."""
    rows = [(stage, stage.measured) for stage in stages if stage.measured is not None]
    return {row.id: max(left_on_batches(row), copied_share(view, stage)) for stage, row in rows}


def _on_batches(view: PipelineView, stage: StageView) -> tuple[PipelineEdit, ...]:
    """The edits that put a map after the batch that follows it; none where it cannot go there."""
    if runs_python(stage):
        return moves_of_batch(view, stage, LEAST_BATCH) if _is_called(stage) and is_random(stage) is not True else ()
    batch = batch_after(line_of(view, stage), stage)
    return (VectoriseMap(stage.id, batch.id),) if batch is not None else ()


def _is_called(stage: StageView) -> bool:
    row = stage.measured
    return runs_python(stage) and row is not None and (row.ops is None or share_of_calls(row) >= CALLED_FROM)


def _ops(stage: StageView) -> frozenset[str]:
    return (stage.function.ops if stage.function is not None else None) or frozenset()


@idea("parse-in-batches")
def parse_in_batches(view: PipelineView) -> Iterator[Proposal]:
    """Records and lines of CSV parsed by whole batches: 7 times as fast as one by one."""
    for stage in (one for one in view.stages if not one.injected):
        if traits(stage.op).maps and PARSES & _ops(stage) and share_of(stage) >= SOME_WORK:
            batch = batch_after(line_of(view, stage), stage)
            if batch is not None:
                yield proposal_about(
                    [stage],
                    f"Parse whole batches in {stage_name(stage)}",
                    "parses each record in a call of its own",
                    (VectoriseMap(stage.id, batch.id),),
                    left={stage.id: 1 / BATCHED_PARSE_GAIN},
                )
        lines = csv_by_lines(view, stage)
        if lines is not None and share_of(*lines.stages) >= SOME_WORK:
            yield proposal_about(
                lines.stages,
                "Parse CSV lines in batches",
                f"makes {lines.columns} tensors of each row",
                lines.edits,
                left=dict.fromkeys((one.id for one in lines.stages), 1 / lines.gain),
            )


@idea("windows-at-once")
def windows_at_once(view: PipelineView) -> Iterator[Proposal]:
    """Many windows cut out of one large one; windows that begin where the one before ends are batches."""
    for stage in view.stages:
        windows = windows_of(view, stage) if traits(stage.op).windows else None
        if windows is None or share_of(*windows.stages) < SOME_WORK:
            continue
        cut = cut_at_once(view, windows)
        if cut is not None:
            title = "Replace windows with batches" if windows.are_batches else ""
            why = "makes a dataset of each window, which is then batched by itself"
            edit, share = cut
            left = dict.fromkeys((one.id for one in windows.stages), share)
            yield proposal_about(windows.stages, title, why, (edit,), left=left)
