"""A map's function on whole batches: where that is possible, and the changes that make it so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeprof.pipelines.changes.edits import MoveStage, NewStage, PipelineEdit, ReplaceStages, SetOption, VectoriseMap
from pipeprof.pipelines.graph.read.function_facts import DECODING, ELEMENTWISE, SPLITTING
from pipeprof.pipelines.meaning.constants import AUTOTUNE
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.batch_savings import batching
from pipeprof.profiles.advise.facts.work import MUCH_WORK, is_plain, is_random, ops_of, runs_python, share_of
from pipeprof.profiles.view.view import PipelineView, StageView

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
    """Return the maps around one whose elements go into the same batch, in order; only it where they do not all.

    The first of them has much of the work. What is between them goes by the position of elements.
    """
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
    """The edits that put the batch before a map, whose function then gets whole batches as they are.

    Args:
        least: Elements of a batch below which there are too few calls to save.
    """
    batch = batching(view, stage) if traits(stage.op).maps else None
    return batch.moves(stage) if batch is not None and batch.size >= least else ()


@dataclass(frozen=True)
class CsvRows:
    """Rows of a CSV file that are parsed one by one.

    Attributes:
        stages: The source, the maps of its rows and their batch.
        edits: They make the batch one of lines, which one `tf.io.decode_csv` parses.
        gain: Times as fast: 430 columns and batches of 128 lines, TensorFlow 2.21.
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
    """Return the rows of a `CsvDataset` whose lines a batch may have instead; None of any other stage.

    Each column of a row is a tensor that is made, handed over and copied by itself. Of a spec, or where lines are no
    rows, no edit is known.
    """
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
