"""The entries of a spec's ``data:`` section: recipes of input files that are made once and then kept.

A recipe alone settles which files there will be, so a path such as ``data:photos/*/*.jpg`` can be checked without
making or looking at a single file. `recipes.json` has the kinds of recipes and of features of records, each with its
parameters as JSON Schema and their defaults.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, ClassVar

from pipeprof.pipelines.tables import read_table

VERSION = 2
"""Raised when a recipe begins to give other files, so that kept ones are made again."""
_SPANS = ("words", "steps", "length", "frames")
MOST_ELEMENTS = 2**59
"""Of an array: those of more have no bytes that a 64-bit machine could address."""
Feature = dict[str, dict[str, Any]]
"""A kind and its parameters, as they are written, with all defaults."""


class RecipeError(ValueError):
    """An entry that is wrong in a way that a schema cannot say; ``place`` are the keys that lead to it."""

    def __init__(self, place: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True)
class Recipe:
    """The parameters of a recipe."""

    kind: ClassVar[str]
    counts: ClassVar[str]
    """The parameter that says how many items there are: images, records, rows or lines."""
    seed: int

    def items(self) -> int:
        """What progress counts to."""
        return int(getattr(self, self.counts))

    def file_names(self) -> list[str]:
        """Names of all files, relative to the entry's folder, with ``/``, in the order they are numbered."""
        raise NotImplementedError


@dataclass(frozen=True)
class ImageFolder(Recipe):
    """Photo-like images."""

    kind, counts = "image_folder", "count"
    count: int
    size: list[int]
    classes: int
    format: str
    quality: int

    def file_names(self) -> list[str]:
        """File i belongs to class i mod classes; names sort in the order of their numbers."""
        digits, class_digits = max(5, len(str(self.count - 1))), len(str(self.classes - 1))
        suffix = "jpg" if self.format == "jpeg" else "png"
        return [f"class_{i % self.classes:0{class_digits}d}/{i:0{digits}d}.{suffix}" for i in range(self.count)]


@dataclass(frozen=True)
class TFRecord(Recipe):
    """Shards of serialised ``tf.train.Example``, or ``tf.train.SequenceExample`` where there are sequences."""

    kind, counts = "tfrecord", "records"
    shards: int
    records: int
    compression_type: str | None
    features: dict[str, Feature]
    sequences: dict[str, Feature] | None
    steps: list[int]

    def file_names(self) -> list[str]:
        """Also a single shard is numbered."""
        return [f"part-{index:05d}-of-{self.shards:05d}.tfrecord" for index in range(self.shards)]


@dataclass(frozen=True)
class _InParts(Recipe):
    suffix: ClassVar[str]
    files: int

    def file_names(self) -> list[str]:
        """One file has a plain name, several are numbered as TensorFlow's own tools number shards."""
        if self.files == 1:
            return [f"data.{self.suffix}"]
        return [f"part-{index:05d}-of-{self.files:05d}.{self.suffix}" for index in range(self.files)]


@dataclass(frozen=True)
class Npy(_InParts):
    """NumPy arrays, one in each file."""

    kind, suffix = "npy", "npy"
    shape: list[int]
    dtype: str
    fill: str

    def items(self) -> int:
        """Elements of all arrays."""
        return self.files * math.prod(self.shape)


@dataclass(frozen=True)
class Csv(_InParts):
    """Tables."""

    kind, suffix, counts = "csv", "csv", "rows"
    rows: int
    columns: int
    ints: int
    strings: int
    label: int
    header: bool


@dataclass(frozen=True)
class Text(_InParts):
    """Lines of words."""

    kind, suffix, counts = "text", "txt", "lines"
    lines: int
    words: list[int]
    vocabulary: int


_RECIPES = {recipe.kind: recipe for recipe in (ImageFolder, TFRecord, Npy, Csv, Text)}


@cache
def definitions() -> Any:
    """JSON Schema (draft-07) of an entry, ``data_entry``, and of the parts that it refers to."""
    table = read_table("pipeprof.pipelines.data", "recipes")
    for recipe in table["recipes"].values():
        recipe["properties"]["seed"] = table["seed"]
    features = _one_of(table["features"])
    return {"data_entry": _one_of(table["recipes"]), "data_feature": features, "data_length": table["length"]}


def _one_of(kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Schema of one kind with its parameters, which may be left out if each has a default."""
    closed = {"additionalProperties": False, "patternProperties": {"^x-": {}}}
    rows = {}
    for kind, row in kinds.items():
        required = [name for name, parameter in row["properties"].items() if "default" not in parameter]
        rows[kind] = {**row, **closed, "type": "object" if required else ["object", "null"], "required": required}
    return {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False, "properties": rows}


def recipe_of(entry: Mapping[str, Any]) -> Recipe:
    """Return the recipe that an entry describes, which fits the schema.

    Raises:
        RecipeError: A smallest number is above the largest, a feature has no length that another one could have, or an
            array is too large for any machine.

    Example:
        >>> recipe_of({"tfrecord": {"shards": 1, "records": 3}}).file_names()
        ['part-00000-of-00001.tfrecord']
    """
    ((kind, settings),) = _filled("data_entry", entry, ()).items()
    for part in ("features", "sequences"):
        if settings.get(part) is not None:
            written = settings[part].items()
            settings[part] = {name: _filled("data_feature", feature, (kind, part, name)) for name, feature in written}
            for name, feature in settings[part].items():
                _check_length(feature, settings["features"], (kind, part, name))
    if math.prod(settings.get("shape") or ()) > MOST_ELEMENTS:
        raise RecipeError((kind, "shape"), f"{settings['shape']}: expected an array that fits onto a disk")
    return _RECIPES[kind](**settings)


def _filled(what: str, written: Mapping[str, Any], place: tuple[str, ...]) -> Feature:
    ((kind, given),) = written.items()
    rows = definitions()[what]["properties"][kind]["properties"]
    settings = {name: (given or {}).get(name, row.get("default")) for name, row in rows.items()}
    for name in _SPANS:
        span = settings.get(name)
        if isinstance(span, list) and span[0] > span[1]:
            raise RecipeError((*place, kind, name), f"{span}: expected [smallest, largest]")
    return {kind: settings}


def _check_length(feature: Feature, features: Mapping[str, Feature], place: tuple[str, ...]) -> None:
    ((kind, settings),) = feature.items()
    name = settings.get("length")
    if isinstance(name, str):
        ((_, other),) = features[name].items() if name in features else (("", {}),)
        if not isinstance(other.get("length"), int | list):
            message = f"got {name!r}, expected the name of a feature of ints or floats with a length of its own"
            raise RecipeError((*place, kind, "length"), message)


def entry_of(recipe: Recipe) -> dict[str, Any]:
    """What `recipe_of` reads, with all defaults."""
    return {recipe.kind: asdict(recipe)}


def entry_name(recipe: Recipe) -> str:
    """Name of the folder with the files of a recipe: its kind, and a hash of all that the files depend on."""
    text = json.dumps([VERSION, entry_of(recipe)], sort_keys=True)
    return f"{recipe.kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def length_range(length: int | list[int]) -> list[int]:
    """The smallest and the largest of what was written as one number or as two."""
    return [length, length] if isinstance(length, int) else length
