"""About how many bytes generated inputs take."""

from __future__ import annotations

import math
import string

from pipeprof.pipelines.data.recipes import Csv, Feature, ImageFolder, Npy, Recipe, Text, TFRecord, length_range

_BYTES_PER_WORD = 5
_NPY_HEADER_BYTES = 128


def estimated_bytes(recipe: Recipe) -> int:
    """About how many bytes the files of a recipe take on disk; of records the size before compression."""
    if isinstance(recipe, ImageFolder):
        return recipe.count * _image_bytes(recipe.size, recipe.quality if recipe.format == "jpeg" else None)
    if isinstance(recipe, TFRecord):
        once = sum(len(name.encode()) + 8 + feature_bytes(feature) for name, feature in recipe.features.items())
        each = sum(feature_bytes(feature) + 4 for feature in (recipe.sequences or {}).values())
        return recipe.records * (20 + once + each * sum(recipe.steps) // 2)
    if isinstance(recipe, Npy):
        return recipe.files * (_NPY_HEADER_BYTES + math.prod(recipe.shape) * _item_bytes(recipe.dtype))
    if isinstance(recipe, Csv):
        texts = recipe.strings * _BYTES_PER_WORD + bool(recipe.label) * 3
        return recipe.rows * (recipe.columns * 9 + recipe.ints * 4 + texts)
    return recipe.lines * (sum(recipe.words) * _BYTES_PER_WORD // 2 + 1) if isinstance(recipe, Text) else 0


def feature_bytes(feature: Feature) -> int:
    """About how many bytes a feature takes in one record, before compression."""
    ((kind, settings),) = feature.items()
    length = settings.get("length")
    mean = sum(length_range([1, 20] if length is None or isinstance(length, str) else length)) / 2
    if kind == "jpeg":
        frames = length_range(1 if settings["frames"] is None else settings["frames"])
        return sum(frames) * _image_bytes(settings["size"], settings["quality"]) // 2
    if kind == "dense":
        return math.prod(settings["shape"]) * (4 if settings["dtype"] == "float32" else 2) + 4
    if kind == "raw":
        return math.prod(settings["shape"]) * _item_bytes(settings["dtype"]) + 4
    if kind == "text":
        return sum(settings["words"]) * _BYTES_PER_WORD // 2 + 4
    if kind == "ints":
        return int(mean * math.ceil(settings["max"].bit_length() / 7)) + 4
    return int(mean * 4) + 4 if kind == "floats" else 6


def _image_bytes(size: list[int], quality: int | None) -> int:
    """Bytes of one photo-like image of ``size`` (width, height); ``quality`` None means PNG."""
    pixels = size[0] * size[1]
    if quality is None:
        return int(1.5 * pixels) + 100
    # A JPEG's size grows roughly like 1 / (101 - quality) ** 0.6, which is exact enough to plan disk space with.
    return int(0.25 * pixels * (11 / (101 - quality)) ** 0.6) + 650


def _item_bytes(dtype: str) -> int:
    return 1 if dtype == "bool" else int(dtype.strip(string.ascii_lowercase)) // 8
