"""Rows of a saved array read from its file: the source gives records, which are decoded after the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeprof.pipelines.changes.edits import InsertStage, NewStage, PipelineEdit, ReplaceStages
from pipeprof.profiles.view.view import SavedComponent, StageView

_SUMMARY = "read the rows of {stage} from the file instead of an array in memory"


def records_instead(source: StageView, indexed: Sequence[StageView]) -> tuple[PipelineEdit, ...] | None:
    """Return edits that read a source's rows from its files; ``None`` where not all of them are in files.

    The same rows in the same order: what stands between the source and the last of ``indexed`` goes by the position of
    an element, never by its value.

    Args:
        indexed: The stages after it that get records in place of rows; a batch is the last one.
    """
    saved = source.saved
    if not saved:
        return None
    batch = indexed[-1] if indexed and indexed[-1].op == "batch" else None
    decoding = {"ops": [call for component in saved for call in _decoded(component, batch)]}
    if not indexed:
        return (ReplaceStages((source.id,), (_source(saved), NewStage("map", decoding)), _SUMMARY),)
    return (
        ReplaceStages((source.id,), (_source(saved),), _SUMMARY),
        InsertStage("map", decoding, after=indexed[-1].id),
    )


def _source(saved: Sequence[SavedComponent]) -> NewStage:
    if saved[0].key is None:
        return NewStage("FixedLengthRecordDataset", _records(saved[0]))
    sides = [(one.key, {"source": {"FixedLengthRecordDataset": _records(one)}}) for one in saved]
    named = any(isinstance(key, str) for key, _ in sides)
    return NewStage("zip", {"datasets": dict(sides) if named else [side for _, side in sides]})


def _records(component: SavedComponent) -> dict[str, Any]:
    rows = component.rows
    return {"filenames": component.path, "record_bytes": rows.record_bytes, "header_bytes": rows.header_bytes}


def _decoded(component: SavedComponent, batch: StageView | None) -> list[dict[str, Any]]:
    """The calls that make rows of records: a whole batch of them at a time, where there is one."""
    size = batch.arguments.get("batch_size") if batch is not None else None
    fixed = batch is not None and batch.arguments.get("drop_remainder") is True and isinstance(size, int)
    before = [size if fixed else -1] if batch is not None else []
    at = {} if component.key is None else {"on": component.key}
    return [
        {"tf.io.decode_raw": {"out_type": component.rows.dtype, **at}},
        {"tf.reshape": {"shape": [*before, *component.rows.shape], **at}},
    ]
