"""Context of a build: folders, seed, arrays in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeprof.pipelines.build.load_arrays import load_array
from pipeprof.pipelines.build.tensors import held_by, make_tensor
from pipeprof.pipelines.ops.values.arrays import RaggedArray, SparseArray
from pipeprof.pipelines.ops.values.structures import Array
from pipeprof.pipelines.spec.paths import expand_all, resolve


@dataclass
class BuildContext:
    """Files of a spec, its seed, and its arrays in memory."""

    base_dir: Path
    data_dirs: dict[str, Path] = field(default_factory=dict)
    seed: int | None = None
    arrays: dict[Array, Any] = field(default_factory=dict)

    def loaded(self, array: Array) -> Any:
        """The array, read or made on the first call."""
        if array not in self.arrays:
            self.arrays[array] = self._load(array)
        return self.arrays[array]

    def held(self) -> list[tuple[str, int]]:
        """Type and bytes of each array: of each column of a table, each part of a ragged or sparse tensor."""
        return [held for array in self.arrays.values() for held in held_by(array)]

    def _load(self, array: Array) -> Any:
        if isinstance(array, RaggedArray | SparseArray):
            return make_tensor(array)
        return load_array(
            array,
            lambda path: resolve(path, self.base_dir, self.data_dirs),
            lambda patterns: expand_all(patterns, self.base_dir, self.data_dirs),
        )
