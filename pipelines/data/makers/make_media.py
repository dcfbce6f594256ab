"""Writes WAV files, folders of texts, vocabularies and binary records. No TensorFlow."""

from __future__ import annotations

import gzip
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipeprof.pipelines.data.makers.make_text import ZipfWords as Words
from pipeprof.pipelines.data.makers.progress import DataProgress
from pipeprof.pipelines.data.recipes.media import AudioFolder, FixedRecords, RecordField, TextFolder, Vocabulary

_LOUDNESS = 12_000
_LOWEST_PITCH = 90.0
_OVERTONES = 6
_RECORDS_AT_A_TIME = 1024
_LARGEST_RANDOM_INTEGER = 999


def between(rng: np.random.Generator, span: list[int]) -> int:
    """A number from the first to the last of ``span``."""
    return int(rng.integers(span[0], span[1], endpoint=True))


def make_folders(names: list[str], folder: Path) -> None:
    """The folders of relative file names."""
    for parent in sorted({str(Path(name).parent) for name in names}):
        (folder / parent).mkdir(exist_ok=True)


def make_audio_folder(recipe: AudioFolder, folder: Path, progress: DataProgress) -> None:
    """Write all files of ``recipe`` into ``folder``; counts one file at a time as progress."""
    names = recipe.file_names()
    make_folders(names, folder)
    for index, name in enumerate(names):
        with (folder / name).open("wb") as file, wave.open(file, "wb") as sound:
            sound.setnchannels(recipe.channels)
            sound.setsampwidth(2)
            sound.setframerate(recipe.sample_rate)
            sound.writeframes(samples(recipe, index).tobytes())
        progress.advance()


def samples(recipe: AudioFolder, index: int) -> NDArray[np.int16]:
    """Sound number ``index``, shape (samples, channels): a voice of the class's pitch that swells, over some noise."""
    rng = np.random.default_rng([recipe.seed, 4, index])
    count = between(rng, recipe.sample_range)
    pitch = _LOWEST_PITCH * 2 ** (index % recipe.classes / 5) * rng.uniform(0.97, 1.03)
    time = np.arange(count) / recipe.sample_rate
    # A voice is never quite steady.
    phase = 2 * np.pi * pitch * (time + 0.0005 * np.sin(2 * np.pi * rng.uniform(3, 6) * time))
    voice = np.sin(phase)
    for number in range(2, _OVERTONES + 1):
        voice += rng.uniform(0.3, 1) / number * np.sin(number * phase)
    swelling = 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(1, 4) * time + rng.uniform(0, 2 * np.pi))
    sound = (voice * swelling)[:, None] / 2 + rng.normal(0, 0.05, (count, recipe.channels))
    rounded: NDArray[np.int16] = np.clip(_LOUDNESS * sound, -32_768, 32_767).astype("<i2")
    return rounded


def make_text_folder(recipe: TextFolder, folder: Path, progress: DataProgress) -> None:
    """Write all files of ``recipe`` into ``folder``; counts one file at a time as progress."""
    names = recipe.file_names()
    make_folders(names, folder)
    words = Words(recipe.vocabulary, recipe.seed)
    for index, name in enumerate(names):
        rng = np.random.default_rng([recipe.seed, 5, index])
        (folder / name).write_text(words.line(rng, recipe.words) + "\n", encoding="utf-8")
        progress.advance()


def make_vocabulary(recipe: Vocabulary, folder: Path, progress: DataProgress) -> None:
    """Write the words of ``recipe`` into ``folder``; counts words as progress."""
    lines = [*recipe.special, *Words(recipe.size, recipe.seed).words]
    (folder / recipe.file_names()[0]).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    progress.advance(recipe.size)


def make_fixed_records(recipe: FixedRecords, folder: Path, progress: DataProgress) -> None:
    """Write all files of ``recipe`` into ``folder``; counts records as progress."""
    for number, name in enumerate(recipe.file_names()):
        rng = np.random.default_rng([recipe.seed, 6, number])
        left = recipe.records // recipe.files + (number < recipe.records % recipe.files)
        with _opened(folder / name, packed=recipe.compression_type is not None) as file:
            file.write(bytes(recipe.header_bytes))
            while left > 0:
                count = min(left, _RECORDS_AT_A_TIME)
                file.write(_records(recipe, rng, count))
                progress.advance(count)
                left -= count


@contextmanager
def _opened(path: Path, *, packed: bool) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if not packed:
            yield file
            return
        # Without the time in its header, the same recipe gives the same bytes.
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed:
            yield compressed  # type: ignore[misc]  # it writes bytes as any file does


def _records(recipe: FixedRecords, rng: np.random.Generator, count: int) -> bytes:
    parts = [
        np.ascontiguousarray(random_array(field, rng, [count, *field.shape])).view(np.uint8).reshape(count, field.bytes)
        for field in recipe.fields.values()
        if field.bytes
    ]
    return np.concatenate(parts, axis=1).tobytes()


def random_array(field: RecordField | Any, rng: np.random.Generator, shape: list[int]) -> NDArray[Any]:
    """Values of a field with ``dtype`` and ``max``, little-endian: floats in [0, 1), integers below their limit."""
    dtype = np.dtype(field.dtype).newbyteorder("<")
    if dtype.kind == "f":
        below_one = np.nextafter(np.dtype(field.dtype).type(1), np.dtype(field.dtype).type(0))
        floats: NDArray[Any] = np.minimum(rng.random(shape).astype(dtype), below_one).astype(dtype)
        return floats
    limit = 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)
    largest = min(limit, _LARGEST_RANDOM_INTEGER if field.max is None else field.max - 1)
    whole: NDArray[Any] = np.asarray(rng.integers(0, largest, shape, dtype=np.int64, endpoint=True)).astype(dtype)
    return whole
