"""A map's function on the batches that its elements go into: pure functions.

Before a plain batch, TensorFlow vectorises the function. Before one that pads, rows differ in length: of a Python
function its graph is edited; in a spec, ops that take texts of any shape go after the batch as they are, and the ragged
tensor that they make is padded at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pipeprof.pipelines.edits.edits import NewStage, PipelineEdit, ReplaceStages, VectoriseFilter, VectoriseMap
from pipeprof.pipelines.graph.read.function_facts import DECODING, SPLITTING
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.rewritten import gathered
from pipeprof.pipelines.static.written_calls import WrittenFunction
from pipeprof.profiles.advise.edits.in_place import in_place
from pipeprof.profiles.advise.edits.many_texts import is_of_texts, takes_texts
from pipeprof.profiles.advise.edits.overrides import arguments_of
from pipeprof.profiles.advise.edits.snippets import of_rows
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.view.texts import file_text, written_call, written_function
from pipeprof.profiles.wording import listed, stage_name

VECTORISED: Final = "tf.vectorized_map"
"""At the end of a change that TensorFlow's own vectorisation makes."""
_TEXTS: Final = "tf.strings."
_SPLITS: Final = "split"
_CAST: Final = "tf.cast"
_TO_TENSOR: Final = "tf.RaggedTensor.to_tensor"
_PARSES: Final = "ParseExampleV2"
_PARSES_SEQUENCES: Final = "ParseSequenceExampleV2"
_FROM_SPARSE: Final = "SparseToDense"
_TEXT: Final = "string"
_TEXTS_BY_HAND: Final = "tf.io.decode_csv and the functions of tf.strings take a batch of texts; tf.stack(…, axis=1)."
_SPLIT_BY_HAND: Final = (
    "tf.strings.split gives a ragged tensor, words[:n] becomes words[:, :n], and to_tensor() pads it."
)
_PARSED_BY_HAND: Final = "tf.io.parse_example takes the records of a batch, and tf.sparse.to_dense pads their lists."
_DECODED_BY_HAND: Final = "tf.io.decode_raw takes a batch of texts of one length: a shape begins with -1 then."
_SEQUENCES_BY_HAND: Final = "tf.io.parse_sequence_example takes the records of a batch, and pads their lists."


def batch_after(line: Sequence[Stage], place: int) -> Stage | None:
    """Return the batch that the elements of a map go into, with nothing before it that looks at them; None without."""
    stage = line[place]
    if stage.op != "map" or runs_python(stage) or (stage.random and not stage.draws_by_number):
        return None
    for other in line[place + 1 :]:
        row = traits(other.op)
        if row.stacks and row.same_components:
            return other
        if not row.by_position or row.stores:
            return None
    return None


def maps_in_a_row(line: Sequence[Stage], place: int, least_share: float) -> tuple[Stage, ...]:
    """Return the maps in a row whose elements go into the same batch; none where one of them cannot move after it.

    The first one does a good part of the pipeline's work. What is between them goes by the position of elements.

    Args:
        least_share: Of the pipeline's work that the first one does at least.
    """
    last = place
    for number in range(place + 1, len(line)):
        if line[number].op == "map":
            last = number
        elif not _goes_by_position(line[number]):
            break
    maps: list[Stage] = []
    for stage in reversed(line[: last + 1]):
        if stage.op == "map" and stage.random is False and not runs_python(stage):
            maps.append(stage)
        elif not _goes_by_position(stage):
            break
    while maps and (maps[-1].share or 0.0) < least_share:
        maps.pop()
    return tuple(reversed(maps)) if line[place] in maps and batch_after(line, last) is not None else ()


def _goes_by_position(stage: Stage) -> bool:
    row = traits(stage.op)
    return row.by_position and not row.stores and not row.stacks


def on_batches(
    stage: Stage, batch: Stage, line: Sequence[Stage], data: Mapping[str, Any] | None
) -> tuple[PipelineEdit, ...]:
    """Return the edits that apply a map to whole batches; none where no tool makes them."""
    if not traits(batch.op).pads or data is None:
        return (VectoriseMap(stage.id, batch.id),)
    ids = [one.id for one in line]
    if ids.index(batch.id) != ids.index(stage.id) + 1:
        return ()
    function, given = arguments_of(data, stage.id), arguments_of(data, batch.id)
    if function is None or given is None or not _takes_any_shape(function.get("ops")):
        return ()
    value = given.pop("padding_values", None)
    if given.keys() - {"batch_size", "drop_remainder"} or isinstance(value, Mapping | Sequence):
        return ()
    last = _TO_TENSOR if value is None else {_TO_TENSOR: {"default_value": value}}
    by = (NewStage("batch", given), NewStage(stage.op, {**function, "ops": [*function["ops"], last]}))
    return (ReplaceStages((stage.id, batch.id), by),)


def rows_kept(line: Sequence[Stage], place: int) -> VectoriseFilter | None:
    """Return the edit that applies a filter to whole batches; None where no batch comes next that takes its rows."""
    stage, following = line[place], line[place + 1] if place + 1 < len(line) else None
    if following is None or not traits(stage.op).predicate or runs_python(stage) or stage.random is not False:
        return None
    row = traits(following.op)
    stacks = row.stacks and row.same_components and row.keeps_shapes and not row.pads
    return VectoriseFilter(stage.id, following.id) if stacks else None


def rows_kept_in_words(stage: Stage) -> tuple[str, str]:
    """State the change, and the Python of it for a reader who writes it by hand."""
    change = f"batch before {stage_name(stage)}, which keeps rows of a batch with tf.boolean_mask, then rebatch"
    python = ".batch(n).map(lambda *batch: tuple(tf.boolean_mask(one, predicate(*batch)) for one in batch)).rebatch(n)"
    return change, python


def in_words(
    stages: Sequence[Stage], batch: Stage, line: Sequence[Stage], *, moved_too: bool = False
) -> tuple[str, str]:
    """State the change, and the Python of it for a reader who writes it by hand.

    Args:
        stages: The map, or several in a row.
        line: All that stand in the line where these and the batch are.
        moved_too: Whether the line is another one than in the user's file.
    """
    ids, moved = [one.id for one in line], {stage.id for stage in stages}
    first, last = ids.index(stages[0].id), ids.index(batch.id)
    before = line[first - 1] if first else None
    between = "".join(written_call(one) for one in line[first:last] if one.id not in moved)
    files = {place.file for one in line[first : last + 1] if (place := one.location) is not None and not moved_too}
    texts_of = {file: file_text(file) for file in files}

    def code_of(calls: str) -> str:
        return in_place(texts_of, line[first : last + 1], f"{between}{calls}")

    name, pads = listed([stage_name(stage) for stage in stages]), traits(batch.op).pads
    ops = {op.op for stage in stages for op in stage.ops or ()}
    parses = ops & {_PARSES, _PARSES_SEQUENCES}
    texts = before is not None and any(one.dtype == _TEXT for one in before.element_spec or ()) and not parses
    known = [written_function(stage) or WrittenFunction(stage.name or "function") for stage in stages]
    by_rows = pads or bool(ops & (SPLITTING | DECODING | {_FROM_SPARSE, _PARSES_SEQUENCES}))
    # TensorFlow's own vectorisation has a form for decode_csv, and for no function of tf.strings.
    if not by_rows and not (texts and (not ops or any(map(is_of_texts, ops)))):
        # TensorFlow's own vectorisation has no slice that begins elsewhere for each element.
        made = [gathered(one.definition or one.text) for one in known]
        gathers = "tf.gather for its slices and " if any(made) else ""
        change = f"move {name} after {stage_name(batch)}, with {gathers}{VECTORISED}"
        named = [text for one, text in zip(known, made, strict=True) if text and one.definition]
        known = [
            replace(one, text=text) if text and not one.definition else one
            for one, text in zip(known, made, strict=True)
        ]
        code = code_of(f"{written_call(batch)}{_maps(map(of_rows, known))}")
        return change, "\n".join([*named, code])
    change = f"move {name} after {stage_name(batch)}, to whole batches"
    if not by_rows and all(map(takes_texts, stages)):
        return change, code_of(f"{written_call(batch)}{_maps(one.text for one in known)}")
    if pads:
        change = f"{batch.op} → batch, then {name} on whole batches, padded where rows differ in length"
    by_hand = [
        f"write {name} for a batch:",
        *([_TEXTS_BY_HAND] if texts and not ops & (SPLITTING | DECODING) and not pads else []),
        *([_SPLIT_BY_HAND] if ops & SPLITTING or (pads and not parses) else []),
        *([_PARSED_BY_HAND] if _PARSES in ops else []),
        *([_DECODED_BY_HAND] if ops & DECODING else []),
        *([_SEQUENCES_BY_HAND] if _PARSES_SEQUENCES in ops else []),
    ]
    code = code_of(f"{_stacking(batch)}{_maps(one.text for one in known)}")
    return change, "\n".join([*(f"# {text}" for text in by_hand), code])


def _maps(functions: Iterable[str]) -> str:
    return "".join(f".map({one}, num_parallel_calls=tf.data.AUTOTUNE)" for one in functions)


def _stacking(batch: Stage) -> str:
    """The call of a batch; of one that pads, with nothing that says how."""
    call = written_call(batch)
    if not traits(batch.op).pads:
        return call
    drop = ", drop_remainder=True" if "drop_remainder=True" in call else ""
    return f".batch({round(batch.inputs_each) if batch.inputs_each else '…'}{drop})"


def _takes_any_shape(ops: Any) -> bool:
    """Whether a function of a spec means the same on texts of any shape, and gives a ragged tensor of several."""
    if not isinstance(ops, list):
        return False
    names = [str(next(iter(op), "")) if isinstance(op, Mapping) else str(op) for op in ops]
    texts = all(name.startswith(_TEXTS) or name == _CAST for name in names)
    return texts and any(name.endswith(_SPLITS) for name in names)
