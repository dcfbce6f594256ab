"""Inference for sources from headers of saved arrays, file names and recipes; no data is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from pipeprof.pipelines.data.recipes import Csv, Recipe, Text, TFRecord
from pipeprof.pipelines.inference.errors import Refused
from pipeprof.pipelines.inference.known_files import KnownFiles
from pipeprof.pipelines.inference.recipe_sizes import estimated_bytes
from pipeprof.pipelines.inference.rules.io import column_dtype, parsed_features
from pipeprof.pipelines.inference.tables import entries
from pipeprof.pipelines.inference.tensor.fields import field_of
from pipeprof.pipelines.inference.tensor.shapes import (
    Content,
    Nested,
    Structure,
    Tensor,
    each,
    is_uneven,
    leaves,
    literal,
)
from pipeprof.pipelines.inference.tensor.texts import refuse, shape_text
from pipeprof.pipelines.ops.base import Source
from pipeprof.pipelines.ops.constants import INFINITE, WIDTHS
from pipeprof.pipelines.ops.values.structures import ARRAYS, ShapeOf, TensorSpec, map_leaves
from pipeprof.pipelines.ops.values.structures import Structure as WrittenStructure
from pipeprof.pipelines.ops.values.values import OuterElement

_ARRAYS_OF = {".npy": "npy", ".npz": "npz", ".csv": "csv", ".txt": "lines"}
"""How a spec writes the array of a file, by what its name ends with."""


@dataclass(frozen=True)
class ElementInfo:
    """Elements after a source or stage.

    Attributes:
        structure: Dicts and tuples of `Tensor`, with ``None`` for what is not known.
        cardinality: Number of elements; ``counts.INFINITE`` for no end, ``None`` when not known.
        source_bytes: Bytes of the arrays that an in-memory source holds.
    """

    structure: Structure
    cardinality: int | None
    source_bytes: int | None = None

    @cached_property
    def components(self) -> tuple[Tensor, ...] | None:
        """The tensors in TensorFlow's order; ``None`` if one of them is not known, or is a dataset."""
        found = list(leaves(self.structure))
        known = [tensor for tensor in found if isinstance(tensor, Tensor)]
        return tuple(known) if len(known) == len(found) else None


@dataclass(frozen=True)
class SourceContext:
    """Context of a source.

    Attributes:
        outer: The element that a nested pipeline is made for.
    """

    files: KnownFiles
    outer: Structure
    strict: bool

    def picked(self, value: OuterElement, argument: str) -> Structure:
        """The outer element, or its component that the source begins with."""
        return self.outer if value.on is None else field_of(self.outer, value.on, argument, "on")


def source_elements(source: Source, around: SourceContext) -> ElementInfo:
    """Elements of a source.

    Raises:
        Refused: TensorFlow refuses it.
    """
    maker = _MAKERS.get(source.op)
    return maker(source, around) if maker is not None else ElementInfo(None, None)


Maker = Callable[[Any, SourceContext], ElementInfo]
_MAKERS: dict[str, Maker] = {}
"""By TensorFlow's name."""

_infers = entries(_MAKERS)


@_infers("list_files")
def _listed(source: Any, around: SourceContext) -> ElementInfo:
    patterns = source.file_pattern
    if isinstance(patterns, OuterElement):
        _check_names(around.picked(patterns, "file_pattern"), "file_pattern")
        return ElementInfo(Tensor("string", ()), None)
    return ElementInfo(Tensor("string", (), content=around.files.content(patterns)), around.files.count(patterns))


def _check_names(names: Structure, argument: str) -> None:
    wrong = isinstance(names, Mapping | tuple | Nested)
    if wrong or (isinstance(names, Tensor) and (names.dtype != "string" or names.kind == "sparse")):
        refuse(names, "wrong-dtype", "names of files (strings)", argument)


@_infers("from_tensor_slices")
def _slices(source: Any, around: SourceContext) -> ElementInfo:
    structure, size = _tensors(source, around)
    components = list(leaves(structure))
    for component in components:
        if component is not None and component.shape == ():
            refuse(component, "wrong-rank", f"tensors with a first dimension to slice{_array_of(source)}", "tensors")
    firsts = {
        component.shape[0]: component
        for component in components
        if component and component.shape and component.shape[0] is not None
    }
    if len(firsts) > 1:
        listed = " and ".join(shape_text(first.shape) for first in firsts.values())
        raise Refused(f"tensors of shape {listed}: expected the same first dimension in all", "wrong-shape", "tensors")
    return ElementInfo(each(_slice, structure), next(iter(firsts), None), size)


def _array_of(source: Any) -> str:
    """How the array of a file is written, where the name of one stands in its place."""
    name = getattr(source.tensors, "value", None)
    kind = _ARRAYS_OF.get(PurePosixPath(name).suffix.lower()) if isinstance(name, str) else None
    return f"; the array of the file is `{{{kind}: {name}}}`" if kind is not None else ""


@_infers("from_tensors")
def _whole(source: Any, around: SourceContext) -> ElementInfo:
    structure, size = _tensors(source, around)
    return ElementInfo(structure, 1, size)


def _tensors(source: Any, around: SourceContext) -> tuple[Structure, int | None]:
    if isinstance(source.tensors, OuterElement):
        return around.picked(source.tensors, "tensors"), None
    structure = literals(source.tensors, around.files, "tensors")
    return structure, _bytes(structure)


def literals(written: WrittenStructure, files: KnownFiles, *place: str | int) -> Structure:
    """The tensors of a structure of arrays and literals; `place` is the argument they stand in.

    Raises:
        Refused: A list is no tensor.
    """

    def visit(value: Any, place: tuple[str | int, ...]) -> Structure:
        if isinstance(value, dict):
            return {key: visit(inner, (*place, key)) for key, inner in value.items()}
        if isinstance(value, tuple):
            return tuple(visit(inner, (*place, index)) for index, inner in enumerate(value))
        if isinstance(value, ARRAYS):
            return files.array(value)
        if is_uneven(value):
            refuse("lists of different lengths", "wrong-shape", "one length, or `{ragged: [[1], [2, 3]]}`", *place)
        return literal(value)

    return visit(written.value, place)


def _bytes(structure: Structure) -> int | None:
    """Bytes of the numbers in a structure; ``None`` if one component is not known. Text is left out."""
    total = 0
    for tensor in leaves(structure):
        if not isinstance(tensor, Tensor) or tensor.size is None or tensor.kind != "dense":
            return None
        total += tensor.size * WIDTHS.get(tensor.dtype, 0)
    return total


def _slice(component: Tensor | Nested) -> Structure:
    if isinstance(component, Nested):
        return None
    return replace(component, shape=component.shape[1:] if component.shape else None, content=None)


@_infers("range")
def _range(source: Any, around: SourceContext) -> ElementInfo:
    number = Tensor(str(source.output_type or "int64"), ())
    if not isinstance(source.stop, OuterElement):
        return ElementInfo(number, max(0, -((source.start - source.stop) // source.step)))
    stop = around.picked(source.stop, "stop")
    if stop is not None and not (isinstance(stop, Tensor) and stop.dtype != "string" and stop.shape in ((), None)):
        refuse(stop, "wrong-rank", "a single number", "stop")
    return ElementInfo(number, None)


@_infers("counter")
def _counter(source: Any, around: SourceContext) -> ElementInfo:
    return ElementInfo(Tensor(str(getattr(source, "dtype", None) or "int64"), ()), INFINITE)


@_infers("random")
def _random(source: Any, around: SourceContext) -> ElementInfo:
    return ElementInfo(Tensor("int64", ()), INFINITE)


@_infers("from_generator")
def _generator(source: Any, around: SourceContext) -> ElementInfo:
    return ElementInfo(_generated(source), None)


@_infers("SqlDataset")
def _typed_rows(source: Any, around: SourceContext) -> ElementInfo:
    return ElementInfo(map_leaves(lambda dtype: Tensor(str(dtype), ()), source.output_types.value), None)


@_infers("make_batched_features_dataset")
def _parsed_batches(source: Any, around: SourceContext) -> ElementInfo:
    endless = source.num_epochs is None
    full = source.drop_final_batch or endless or not around.strict
    features = parsed_features(source.features, (source.batch_size if full else None,), None, strict=False)
    return ElementInfo(_labelled(features, source.label_key, "label_key"), INFINITE if endless else None)


def _labelled(columns: Structure, label: str | None, argument: str) -> Structure:
    if label is None:
        return columns
    return {name: column for name, column in columns.items() if name != label}, field_of(columns, label, argument)


@_infers("make_csv_dataset")
def _table_batches(source: Any, around: SourceContext) -> ElementInfo:
    endless = source.num_epochs is None
    names, defaults = source.column_names, source.column_defaults
    elements = None
    if names is not None and defaults is not None and source.select_columns is None and len(names) == len(defaults):
        shape = (source.batch_size if endless or not around.strict else None,)
        columns = {str(name): Tensor(column_dtype(one), shape) for name, one in zip(names, defaults, strict=True)}
        elements = _labelled(columns, source.label_name, "label_name")
    return ElementInfo(elements, INFINITE if endless else None)


def _directory(source: Any, around: SourceContext, first: Tensor) -> ElementInfo:
    """Infer the elements that Keras reads from folders: one component, and possibly a label."""
    size = () if source.batch_size is None else (None if around.strict else source.batch_size,)
    component = replace(first, shape=(*size, *(first.shape or ())))
    if source.labels is None or source.label_mode is None:
        return ElementInfo(component, None)
    classes = None if source.class_names is None else len(source.class_names)
    labels = {
        "int": Tensor("int32", size),
        "binary": Tensor("float32", (*size, 1)),
        "categorical": Tensor("float32", (*size, classes)) if classes is not None else None,
    }
    return ElementInfo((component, labels[source.label_mode]), None)


_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}


@_infers("image_dataset_from_directory")
def _images(source: Any, around: SourceContext) -> ElementInfo:
    if source.data_format is not None and source.data_format != "channels_last":
        return ElementInfo(None, None)
    return _directory(source, around, Tensor("float32", (*source.image_size, _CHANNELS[source.color_mode])))


@_infers("text_dataset_from_directory")
def _texts(source: Any, around: SourceContext) -> ElementInfo:
    return _directory(source, around, Tensor("string", ()))


def _generated(source: Any) -> Structure:
    if source.output_signature is not None:
        return map_leaves(_signature, source.output_signature.value)
    if source.output_types is None:
        return None
    shapes = source.output_shapes.value if source.output_shapes is not None else None
    return _typed(source.output_types.value, shapes)


def _signature(leaf: Any) -> Tensor | None:
    if not isinstance(leaf, TensorSpec) or leaf.kind not in ("dense", "ragged", "sparse"):
        return None
    return Tensor(str(leaf.dtype), leaf.shape, leaf.kind)  # type: ignore[arg-type]  # one of the three, as was seen


def _typed(types: Any, shapes: Any) -> Structure:
    if isinstance(types, dict):
        return {
            key: _typed(inner, shapes.get(key) if isinstance(shapes, dict) else None) for key, inner in types.items()
        }
    if isinstance(types, tuple):
        inner = shapes if isinstance(shapes, tuple) else (None,) * len(types)
        return tuple(_typed(one, shape) for one, shape in zip(types, inner, strict=False))
    return Tensor(str(types), shapes.dimensions if isinstance(shapes, ShapeOf) else None)


def _names_of(source: Any, around: SourceContext) -> tuple[Recipe | None, int | None]:
    """The recipe of the files that are read, and the number of records in them."""
    if isinstance(source.filenames, OuterElement):
        names = around.picked(source.filenames, "filenames")
        _check_names(names, "filenames")
        content = names.content if isinstance(names, Tensor) else None
        recipe = content.recipe if content is not None and content.kind == "files" else None
        return recipe, None if recipe is None else _even_share(recipe)
    content = around.files.content(source.filenames)
    recipe = content.recipe if content is not None else None
    return recipe, None if recipe is None else _total(recipe, around.files.names(source.filenames))


@_infers("CsvDataset")
def _rows(source: Any, around: SourceContext) -> ElementInfo:
    recipe, count = _names_of(source, around)
    structure = tuple(Tensor(column_dtype(default), ()) for default in source.record_defaults)
    known = isinstance(recipe, Csv) and recipe.header == source.header and not around.strict
    return ElementInfo(structure, count if known else None)


@_infers("TFRecordDataset", "TextLineDataset")
def _records(source: Any, around: SourceContext) -> ElementInfo:
    recipe, count = _names_of(source, around)
    structure = Tensor("string", (), content=_record_content(source, recipe))
    known = isinstance(recipe, TFRecord | Text) and not around.strict
    return ElementInfo(structure, count if known else None)


@_infers("FixedLengthRecordDataset")
def _fixed(source: Any, around: SourceContext) -> ElementInfo:
    recipe, _ = _names_of(source, around)
    return ElementInfo(Tensor("string", (), content=Content("record", recipe, source.record_bytes)), None)


def _records_of(recipe: Recipe) -> int | None:
    if isinstance(recipe, TFRecord):
        return recipe.records
    if isinstance(recipe, Csv):
        return recipe.rows
    return recipe.lines if isinstance(recipe, Text) else None


def _even_share(recipe: Recipe) -> int | None:
    """Records in each file of a recipe, if all have as many."""
    records, files = _records_of(recipe), len(recipe.file_names())
    return records // files if records is not None and records % files == 0 else None


def _total(recipe: Recipe, names: Iterable[str]) -> int | None:
    chosen = list(names)
    if sorted(chosen) == sorted(recipe.file_names()):
        return _records_of(recipe)
    share = _even_share(recipe)
    return None if share is None else share * len(chosen)


def _record_content(source: Source, recipe: Recipe | None) -> Content | None:
    if source.op == "TFRecordDataset" and isinstance(recipe, TFRecord):
        return Content("record", recipe, estimated_bytes(recipe) / recipe.records)
    if source.op == "TextLineDataset" and isinstance(recipe, Text | Csv):
        return Content("text", recipe, estimated_bytes(recipe) / max(1, _records_of(recipe) or 1))
    return None
