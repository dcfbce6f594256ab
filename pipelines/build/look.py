"""The graph of a spec, built with placeholders for its data: no file of data is opened, nothing is written.

Only for a process of its own: TensorFlow's functions that would look at files or at a service are replaced in it.
"""

from __future__ import annotations

import importlib
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeprof.pipelines.build.arguments import map_leaves
from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build
from pipeprof.pipelines.data.look import read_header
from pipeprof.pipelines.data.recipes import Npy, Recipe
from pipeprof.pipelines.graph.observe.reading import read_written
from pipeprof.pipelines.graph.read.records import GraphDict
from pipeprof.pipelines.meaning.executed_ops import family
from pipeprof.pipelines.spec.operations import array_kind
from pipeprof.pipelines.spec.paths import matches

LARGE_BYTES: Final = 1 << 20
"""Arrays above are not read: what TensorFlow wants to know of one, its values included, is in smaller ones."""
DATA: Final = "data:"
_NOWHERE: Final = "localhost:0"


class Placeholder(np.ndarray[Any, Any]):
    """Zeros with the shape and dtype of a large array, which take no memory."""

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        """The tensor; in a graph, a constant that is written as a single number."""
        tf = importlib.import_module("tensorflow")
        return tf.constant(np.zeros((), self.dtype), dtype or tf.as_dtype(self.dtype), self.shape, name or "Const")


class LookContext(BuildContext):
    """The data of a spec as far as it is known without reading it.

    Args:
        made: Folders of the entries under ``data:`` that have been made.
    """

    def __init__(self, base_dir: Path, data: Mapping[str, Recipe], made: Mapping[str, Path]) -> None:
        # The name of a file that is not there yet is the one in the spec: messages have it, too.
        super().__init__(base_dir, {name: made.get(name, Path(DATA + name)) for name in data}, service=_NOWHERE)
        self.recipes = {name: recipe for name, recipe in data.items() if name not in made}
        self._sliced: dict[str, tuple[int, int]] = {}

    def _load(self, written: Mapping[str, Any]) -> Any:
        found = self._header(written)
        if found is None:
            return super()._load(written)
        shape, dtype = found
        is_to_be_made = self._recipe(str(written.get("npy"))) is not None
        if math.prod(shape) * dtype.itemsize <= LARGE_BYTES and not is_to_be_made:
            return super()._load(written)
        return np.broadcast_to(np.zeros((), dtype), shape).view(Placeholder)

    def _header(self, written: Mapping[str, Any]) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        """The shape and dtype of an array; None where only its file has them."""
        kind = array_kind(written)
        if kind == "array":
            return tuple(written["array"]["shape"]), np.dtype(written["array"].get("dtype", "float32"))
        if kind == "npy":
            recipe = self._recipe(written["npy"])
            if isinstance(recipe, Npy):
                return tuple(recipe.shape), np.dtype(recipe.dtype)
            with Path(self.path(written["npy"])).open("rb") as file:
                shape, dtype = read_header(file)
                held = os.fstat(file.fileno()).st_size - file.tell()
            # What is cut off NumPy refuses when it reads it.
            return (shape, dtype) if held >= math.prod(shape) * dtype.itemsize else None
        if kind == "npz":
            with zipfile.ZipFile(self.path(written["npz"])) as archive:
                if f"{written['key']}.npy" in archive.namelist():
                    with archive.open(f"{written['key']}.npy") as file:
                        return read_header(file)
        return None

    def files(self, written: str | Sequence[str]) -> list[str]:
        """The names of files; of an entry that has not been made, those that it will have."""
        return [
            name for pattern in ([written] if isinstance(written, str) else written) for name in self._names(pattern)
        ]

    def _names(self, pattern: str) -> list[str]:
        recipe, below = self._recipe(pattern), pattern.partition("/")[2]
        if recipe is None:
            return super().files(pattern)
        names = [name for name in recipe.file_names() if matches(name, below)]
        return [f"{pattern.partition('/')[0]}/{name}" for name in sorted(names)]

    def _recipe(self, path: str) -> Any:
        name = path.removeprefix(DATA).partition("/")[0]
        return self.recipes.get(name) if path.startswith(DATA) else None

    def replace_in(self, tf: Any) -> None:
        """Replace what looks at data or reads from a service."""
        reading: Any = importlib.import_module("tensorflow.python.ops.gen_io_ops")
        slices, matching = tf.data.Dataset.from_tensor_slices, reading.matching_files

        def from_tensor_slices(tensors: Any, name: str | None = None) -> Any:
            parts = _flat(tensors)
            held = any(isinstance(part, Placeholder) for part in parts) and tf.executing_eagerly()
            if not held or any(np.ndim(part) == 0 for part in parts):
                return slices(tensors, name=name)
            counts = sorted({len(part) for part in parts})
            if len(counts) > 1:
                raise ValueError(f"Dimensions {counts[0]} and {counts[1]} are not compatible")
            if name is not None:
                self._sliced[name] = (counts[0], sum(map(_bytes, parts)))
            row = map_leaves(lambda part: part[:1], tensors)
            return slices(row, name=name).repeat(counts[0])

        def matching_files(pattern: Any, name: str | None = None) -> Any:
            # In a function, patterns come with the elements.
            given = [str(one, "utf-8") for one in np.atleast_1d(pattern.numpy())] if tf.executing_eagerly() else []
            if not any(map(self._recipe, given)):
                return matching(pattern, name)
            found = (self._names(text) if self._recipe(text) else _glob(tf, text) for text in given)
            return tf.constant([one for names in found for one in names], tf.string)

        tf.data.Dataset.from_tensor_slices = staticmethod(from_tensor_slices)
        reading.matching_files = matching_files
        tf.data.experimental.service.distribute = lambda *_, **__: lambda before: before.take(-1)

    def sized(self, graph: GraphDict) -> GraphDict:
        """The graph with sources as large as their arrays are, and without what counts their rows."""
        nodes = {node["id"]: node for node in graph["nodes"]}
        counted: dict[str, str] = {}
        for node in graph["nodes"]:
            below = nodes.get(node["inputs"][0]) if node["inputs"] else None
            if family(node["op"]) != "Repeat" or below is None or below["key"] not in self._sliced:
                continue
            if below["id"] in counted.values():
                continue
            counted[node["id"]] = below["id"]
            below["length"], below["held_bytes"] = self._sliced[below["key"] or ""]
        left = [node for node in graph["nodes"] if node["id"] not in counted]
        for node in left:
            node["inputs"] = [counted.get(one, one) for one in node["inputs"]]
            node["bodies"] = [counted.get(one, one) for one in node["bodies"]]
        return {**graph, "nodes": left, "root": counted.get(graph["root"] or "", graph["root"])}


def look(data: Mapping[str, Any], context: LookContext) -> GraphDict:
    """Build a spec's dataset, and read its graph as written.

    Raises:
        BuildError: TensorFlow refuses a stage, or the user's Python raises.
    """
    context.replace_in(importlib.import_module("tensorflow"))
    return context.sized(read_written(build(data, context), in_memory=0))


def _glob(tf: Any, pattern: str) -> list[str]:
    return sorted(tf.io.gfile.glob(pattern))


def _flat(value: Any) -> list[Any]:
    found: list[Any] = []
    map_leaves(found.append, value)
    return found


def _bytes(part: Any) -> int:
    array = np.asarray(part)
    return int(array.nbytes) if array.dtype.kind in "biufc" else 0
