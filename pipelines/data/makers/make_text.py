"""Writes CSV and text files. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeprof.pipelines.data.makers.progress import DataProgress
from pipeprof.pipelines.data.recipes.models import Csv, Text

_ROWS_AT_A_TIME = 4096
_CSV_VOCABULARY = 1_000


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


def make_csv(recipe: Csv, folder: Path, progress: DataProgress) -> None:
    """Write all files of ``recipe`` into ``folder``; counts rows as progress."""
    words = ZipfWords(_CSV_VOCABULARY, recipe.seed) if recipe.strings else None
    row_format = ",".join(
        ["0.%06d"] * recipe.columns + ["%d"] * recipe.ints + ["%s"] * recipe.strings + ["%d"] * bool(recipe.label)
    )
    for number, name in enumerate(recipe.file_names()):
        rng = np.random.default_rng([recipe.seed, number])
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            if recipe.header:
                file.write(",".join(recipe.column_names()) + "\n")
            for rows in _blocks(recipe.rows, recipe.files, number):
                file.writelines(row_format % row + "\n" for row in _csv_rows(recipe, rng, words, rows))
                progress.advance(rows)


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


def make_text(recipe: Text, folder: Path, progress: DataProgress) -> None:
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
