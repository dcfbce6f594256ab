"""Writes CSV and text files, and arrays. Runs in the making process, without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeprof.pipelines.data.make import Progress
from pipeprof.pipelines.data.recipes import Csv, Npy, Text

_ROWS_AT_A_TIME = 4096
_CSV_VOCABULARY = 1_000
_ITEMS_AT_A_TIME = 1 << 20
_LARGEST_RANDOM_INTEGER = 999
# Largest runs of whole numbers that the small types count without rounding or overflow.
_WRAP_AT = {"bool": 2, "float16": 2**11, "float32": 2**24}


class ZipfWords:
    """Pronounceable words, drawn by Zipf's law: the first far more often than the last."""

    def __init__(self, size: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 7])
        syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
        words: dict[str, None] = {}
        length = 1
        while len(words) < size:
            # Frequent words are short; a length that has run out of new words gives way to the next.
            drawn = rng.integers(0, len(syllables), (max(16, size // 3), length))
            for row in drawn.tolist():
                words.setdefault("".join(syllables[i] for i in row), None)
            length += 1
        self._words = list(words)[:size]
        weights = np.cumsum(1.0 / np.arange(1, size + 1))
        self._cumulative = weights / weights[-1]

    def draw(self, rng: np.random.Generator, count: int) -> list[str]:
        """``count`` words."""
        places = np.searchsorted(self._cumulative, rng.random(count), side="right")
        return [self._words[min(place, len(self._words) - 1)] for place in places.tolist()]

    def line(self, rng: np.random.Generator, words: list[int]) -> str:
        """Words separated by spaces; ``words`` is the smallest and the largest number of them."""
        return " ".join(self.draw(rng, int(rng.integers(words[0], words[1], endpoint=True))))


def _blocks(items: int, files: int, file: int) -> Iterator[int]:
    """Sizes of the blocks in which file number ``file`` of ``files`` writes its even share of ``items``."""
    left = items // files + (file < items % files)
    while left > 0:
        block = min(left, _ROWS_AT_A_TIME)
        yield block
        left -= block


def make_csv(recipe: Csv, folder: Path, progress: Progress) -> None:
    """Write all files of ``recipe`` into ``folder``; counts rows as progress."""
    words = ZipfWords(_CSV_VOCABULARY, recipe.seed) if recipe.strings else None
    row_format = ",".join(
        ["0.%06d"] * recipe.columns + ["%d"] * recipe.ints + ["%s"] * recipe.strings + ["%d"] * bool(recipe.label)
    )
    for number, name in enumerate(recipe.file_names()):
        rng = np.random.default_rng([recipe.seed, number])
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            if recipe.header:
                file.write(",".join(_column_names(recipe)) + "\n")
            for rows in _blocks(recipe.rows, recipe.files, number):
                file.writelines(row_format % row + "\n" for row in _csv_rows(recipe, rng, words, rows))
                progress.advance(rows)


def _column_names(recipe: Csv) -> list[str]:
    counted = (("x", recipe.columns), ("i", recipe.ints), ("s", recipe.strings))
    return [f"{letter}{i}" for letter, count in counted for i in range(count)] + ["label"] * bool(recipe.label)


def _csv_rows(
    recipe: Csv, rng: np.random.Generator, words: ZipfWords | None, rows: int
) -> Iterator[tuple[int | str, ...]]:
    columns: list[list[int] | list[str]] = []
    columns += [rng.integers(0, 1_000_000, rows).tolist() for _ in range(recipe.columns)]
    columns += [rng.integers(0, 1_000, rows).tolist() for _ in range(recipe.ints)]
    if words is not None:
        columns += [words.draw(rng, rows) for _ in range(recipe.strings)]
    if recipe.label:
        columns.append(rng.integers(0, recipe.label, rows).tolist())
    return zip(*columns, strict=True)


def make_text(recipe: Text, folder: Path, progress: Progress) -> None:
    """Write all files of ``recipe`` into ``folder``; counts lines as progress."""
    vocabulary = ZipfWords(recipe.vocabulary, recipe.seed)
    for number, name in enumerate(recipe.file_names()):
        rng = np.random.default_rng([recipe.seed, number])
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            for lines in _blocks(recipe.lines, recipe.files, number):
                lengths = rng.integers(recipe.words[0], recipe.words[1], lines, endpoint=True).tolist()
                words = iter(vocabulary.draw(rng, sum(lengths)))
                file.writelines(" ".join(next(words) for _ in range(length)) + "\n" for length in lengths)
                progress.advance(lines)


def make_npy(recipe: Npy, folder: Path, progress: Progress) -> None:
    """Write all arrays of ``recipe`` into ``folder``; counts elements as progress."""
    items = math.prod(recipe.shape)
    header = {
        "descr": np.dtype(recipe.dtype).newbyteorder("<").str,
        "fortran_order": False,
        "shape": tuple(recipe.shape),
    }
    for number, name in enumerate(recipe.file_names()):
        rng = np.random.default_rng([recipe.seed, number])
        with (folder / name).open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, items, _ITEMS_AT_A_TIME):
                count = min(_ITEMS_AT_A_TIME, items - start)
                file.write(_fill(recipe, rng, start, count).tobytes())
                progress.advance(count)


def _fill(recipe: Npy, rng: np.random.Generator, start: int, count: int) -> NDArray[Any]:
    """Elements ``start`` … ``start + count - 1`` of the flat array, little-endian."""
    dtype = np.dtype(recipe.dtype).newbyteorder("<")
    if recipe.fill == "zeros":
        return np.zeros(count, dtype)
    if recipe.fill == "arange":
        numbers = np.arange(start, start + count, dtype=np.int64)
        return (numbers % _WRAP_AT[recipe.dtype] if recipe.dtype in _WRAP_AT else numbers).astype(dtype)
    if dtype.kind == "f":
        uniform: NDArray[Any] = rng.random(count, dtype=np.float64 if dtype.itemsize == 8 else np.float32).astype(dtype)
        # Rounding to half precision could reach 1.0; the largest number below it is as random.
        below_one: NDArray[Any] = np.minimum(uniform, np.nextafter(dtype.type(1), dtype.type(0)))
        return below_one
    largest = 1 if dtype.kind == "b" else min(_LARGEST_RANDOM_INTEGER, int(np.iinfo(dtype).max))
    return rng.integers(0, largest, count, dtype=np.int64, endpoint=True).astype(dtype)
