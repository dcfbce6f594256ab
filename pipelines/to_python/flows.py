"""What flows out of sources and stages: the names of components, so that functions over them read well."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from pipeprof.pipelines.ops.base import Op
from pipeprof.pipelines.ops.nested import Pipelines
from pipeprof.pipelines.ops.values.arrays import CsvArray
from pipeprof.pipelines.ops.values.structures import ARRAYS, Structure
from pipeprof.pipelines.ops.values.values import OuterElement
from pipeprof.pipelines.to_python.arrays import array_noun
from pipeprof.pipelines.to_python.elements import UNKNOWN, Form, Keyed, Row, Single, batched, plain, unbatched, windows
from pipeprof.pipelines.to_python.names import slug

_SOURCES: Final = {
    "list_files": "path",
    "TFRecordDataset": "record",
    "TextLineDataset": "line",
    "FixedLengthRecordDataset": "record",
    "range": "number",
    "random": "number",
    "counter": "number",
}
_DIRECTORIES: Final = {
    "image_dataset_from_directory": "image",
    "text_dataset_from_directory": "text",
    "audio_dataset_from_directory": "audio",
}
_STAGES: Final[dict[str, Callable[[Form], Form]]] = {
    "batch": batched,
    "padded_batch": batched,
    "ragged_batch": batched,
    "sparse_batch": batched,
    "bucket_by_sequence_length": batched,
    "unbatch": unbatched,
    "window": windows,
    "enumerate": lambda form: Row((Single("index"), form)),
    "rejection_resample": lambda form: Row((Single("class_"), form)),
}
_SAME: Final = frozenset(
    {
        "shuffle", "repeat", "take", "skip", "cache", "prefetch", "shard", "filter", "snapshot", "take_while",
        "ignore_errors", "assert_cardinality", "with_options", "unique", "concatenate", "rebatch",
        "prefetch_to_device", "copy_to_device", "pad_to_cardinality",
    }
)  # fmt: skip


def source_form(source: Op) -> Form:
    """What a source without inner pipelines gives."""
    if source.op in _SOURCES:
        return Single(_SOURCES[source.op])
    if source.op in ("from_tensor_slices", "from_tensors"):
        return written_form(getattr(source, "tensors", None))
    if source.op == "from_generator":
        signature = getattr(source, "output_signature", None) or getattr(source, "output_types", None)
        return written_form(signature)
    if source.op == "CsvDataset":
        columns: Any = vars(source)["select_cols"] or vars(source)["record_defaults"]
        return Row(tuple(Single("column") for _ in columns))
    if source.op == "make_csv_dataset":
        table = Keyed({}, complete=False)
        return table if getattr(source, "label_name", None) is None else batched(Row((table, Single("label"))))
    return batched(_directory(source)) if source.op in _DIRECTORIES else UNKNOWN


def _directory(source: Any) -> Form:
    first = Single(_DIRECTORIES[source.op])
    labelled = source.labels is not None and source.label_mode is not None
    return Row((first, Single("label"))) if labelled else first


def written_form(written: Any) -> Form:
    """The form of a structure of arrays, literals or signatures."""
    if isinstance(written, OuterElement) or not isinstance(written, Structure):
        return UNKNOWN
    return _form(written.value, "value")


def _form(value: Any, noun: str) -> Form:
    if isinstance(value, dict):
        return Keyed({str(key): _form(inner, slug(str(key))) for key, inner in value.items()})
    if isinstance(value, tuple):
        nouns = ("features", "label") if len(value) == 2 else tuple(f"value_{index}" for index in range(len(value)))
        return Row(tuple(_form(inner, name) for inner, name in zip(value, nouns, strict=True)))
    if isinstance(value, CsvArray):
        return Keyed({}, complete=False)
    if isinstance(value, ARRAYS):
        return Single(slug(singular(array_noun(value, noun))))
    return Single(noun)


def singular(noun: str) -> str:
    """The name of one of many.

    Example:
        >>> singular("images"), singular("x"), singular("classes")
        ('image', 'x', 'class')
    """
    return re.sub(r"(?<=[a-z]{2})(?<=ss)es$|(?<=[a-rt-z]{2})s$", "", noun)


def stage_form(stage: Op, form: Form) -> Form:
    """What a stage without functions and inner pipelines gives; what cannot be told is unknown."""
    if stage.op in _SAME:
        return plain(form)
    return _STAGES[stage.op](plain(form)) if stage.op in _STAGES else UNKNOWN


def combined_form(op: str, forms: list[Form], datasets: Pipelines) -> Form:
    """What a source of several pipelines gives."""
    if op != "zip":
        return forms[0]
    numbered = iter(forms)

    def visit(value: Any) -> Form:
        if isinstance(value, dict):
            return Keyed({str(key): _named(visit(inner), slug(str(key))) for key, inner in value.items()})
        if isinstance(value, tuple):
            return Row(tuple(visit(inner) for inner in value))
        return next(numbered)

    return visit(datasets.value)


def _named(form: Form, noun: str) -> Form:
    return Single(noun, known=form.known, many=form.many, inside=form.inside) if isinstance(form, Single) else form
