"""What a path of the user's holds, for `init`: ``look(path)`` gives one of the ``…Found`` classes.

TensorFlow reads records, and is started for nothing else.
"""

from __future__ import annotations

import csv
import fnmatch
import glob
import io
import itertools
import math
import os
import re
import tokenize
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from pipeprof.pipelines.errors import UsageError

_KINDS = {
    ".jpg": "image", ".jpeg": "image", ".png": "image", ".csv": "csv", ".tsv": "csv", ".npy": "array", ".npz": "array",
}  # fmt: skip
_RECORDS = re.compile(r"\.tfrec|-\d+-of-\d+$", re.IGNORECASE)
"""Names of TFRecord files: TensorFlow numbers shards as ``train-00000-of-00008``."""
_OP = re.compile(r"\{\{[^}]*\}\} ?| \[Op:.*")
"""The names of ops in an error of TensorFlow."""
_KNOWN = "init reads a folder of JPEG or PNG images, TFRecord files, CSV files, or a .npy or .npz file"
_DEEPEST = 3
_RECORDS_LOOKED_AT = 20
_TEXT_LOOKED_AT = 1 << 18
_ROWS_LOOKED_AT = 1_000
_MOST_CLASSES = 1000
"""More folders are rather those of persons or days than classes."""
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"})
_JPEG, _PNG, _PNG_START = "tf.io.decode_jpeg", "tf.io.decode_png", b"\x89PNG\r\n\x1a\n"
_DTYPES = {"bytes_list": "string", "float_list": "float32", "int64_list": "int64"}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?(nan|inf)", re.IGNORECASE)
_NUMBERS = ("bool", "complex64", "complex128", *(f"float{n}" for n in (16, 32, 64)))
_NUMBERS += tuple(f"{kind}{n}" for kind in ("int", "uint") for n in (8, 16, 32, 64))
_DAMAGE = (
    ValueError, SyntaxError, TypeError, EOFError, RuntimeError, OverflowError, tokenize.TokenError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
"""What NumPy raises for a header that is none, and the standard library for an archive or a table."""


@dataclass(frozen=True)
class ImagesFound:
    """Images.

    Attributes:
        classes: Names of the folders that hold the images, where these are the classes: all images are in one of
            several folders of the folder that was given, or of its splits.
    """

    patterns: tuple[str, ...]
    count: int
    decoder: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feature:
    """One feature of records.

    Attributes:
        length: Number of values if it is the same in all records looked at, else None.
        decoder: TensorFlow's function that decodes it, if each value is an image.
    """

    name: str
    dtype: str
    length: int | None
    decoder: str | None = None


@dataclass(frozen=True)
class RecordsFound:
    """TFRecord files; no features if the records are no ``tf.train.Example``."""

    patterns: tuple[str, ...]
    files: int
    compression: str
    features: tuple[Feature, ...]
    looked_at: int


@dataclass(frozen=True)
class CsvColumn:
    """One column; without gaps int64, float32 or string, with gaps the type of TensorFlow's default for them."""

    name: str
    dtype: str
    gaps: bool


@dataclass(frozen=True)
class CsvFound:
    """CSV files of one form."""

    patterns: tuple[str, ...]
    files: int
    delimiter: str
    header: bool
    columns: tuple[CsvColumn, ...]


@dataclass(frozen=True)
class SavedArray:
    """One saved array; the key is that of an archive."""

    key: str | None
    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True)
class ArraysFound:
    """A file of saved arrays: those that can be sliced together, whose first dimensions are equal, and the others."""

    path: Path
    arrays: tuple[SavedArray, ...]
    left_out: tuple[str, ...] = ()


Found = ImagesFound | RecordsFound | CsvFound | ArraysFound


def look(text: str, note: Callable[[str], None] = lambda _note: None) -> Found:
    """Find out what the path or glob ``text`` stands for.

    Args:
        note: Receives a sentence about what was left out or may surprise.

    Raises:
        UsageError: Nothing is there, it may not be read, is of no known kind, of several kinds, or damaged.
    """
    path = Path(text)
    try:
        if path.is_dir():
            return _look_at_folder(path, note)
        is_pattern = not os.path.lexists(path)
        files = [Path(name) for name in sorted(glob.glob(text, recursive=True))] if is_pattern else [path]  # noqa: PTH207
        if not files:
            # A glob finds nothing in a folder that may not be read.
            list(path.parent.iterdir())
            raise UsageError(f"{text}: no such file or folder ({_KNOWN})")
        odd = next((file for file in files if file.exists() and not file.is_file()), None)
        if odd is not None:
            raise UsageError(f"{odd} is {'a folder' if odd.is_dir() else 'a device or a pipe'}: {_KNOWN}")
        by_kind = {_kind(file.name) or "record" for file in files}
        return _look_at(text, dict.fromkeys(by_kind, files), (text if is_pattern else glob.escape(text),))
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise UsageError(f"{error.filename or text}: cannot be read ({said})") from error


def _kind(name: str) -> str | None:
    return _KINDS.get(Path(name).suffix.lower()) or ("record" if _RECORDS.search(name) else None)


def _look_at(text: str, by_kind: Mapping[str, Sequence[Path]], patterns: tuple[str, ...]) -> Found:
    if len(by_kind) > 1:
        raise UsageError(f"{text} holds files of several kinds ({', '.join(sorted(by_kind))}): select one with a glob")
    ((kind, files),) = by_kind.items()
    if kind == "image":
        # Either function decodes both formats.
        return ImagesFound(patterns, len(files), _PNG if {file.suffix.lower() for file in files} == {".png"} else _JPEG)
    if kind == "record":
        return _look_at_records(files, patterns)
    if kind == "csv":
        return _look_at_csv(files, patterns)
    if len(files) > 1:
        raise UsageError(f"{len(files)} saved arrays match: name a single .npy or .npz file")
    return _look_at_arrays(files[0])


def _look_at_folder(folder: Path, note: Callable[[str], None]) -> Found:
    """Images may lie a few levels below; all else lies in the folder itself."""
    by_kind = defaultdict[str, list[Path]](list)
    visible = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    closed = lambda error: note(f"{error.filename} could not be read ({error.strerror.lower()})")  # noqa: E731
    for where, folders, names in os.walk(folder, followlinks=True, onerror=closed):
        depth = len(Path(where).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < _DEEPEST - 1 else []
        for file in (Path(where, name) for name in sorted(names) if not name.startswith(".")):
            kind = _kind(file.name)
            # A pipe has no beginning that could be looked at.
            if kind is not None and (kind == "image" or depth == 0) and os.path.isfile(file):  # noqa: PTH113
                by_kind[kind].append(file)
    if not by_kind:
        raise UsageError(f"{folder}: no file of a kind that init knows ({_KNOWN})")
    prefix = glob.escape(str(folder))
    found = _look_at(str(folder), by_kind, tuple(f"{prefix}/{one}" for one in _patterns(by_kind, visible)))
    if not isinstance(found, ImagesFound):
        return found
    images = by_kind["image"]
    shapes = sorted({(len(file.relative_to(folder).parts), file.suffix) for file in images})
    patterns = tuple(f"{prefix}/" + "*/" * (depth - 1) + "*" + suffix for depth, suffix in shapes)
    splits = sorted({file.relative_to(folder).parts[0] for file in images})
    if len(splits) > 1 and _are_splits(splits):
        one = next((split for split in splits if split.lower().startswith("train")), splits[0])
        note(f"the spec reads all of {', '.join(splits)}: --from {folder / one}/ reads one of them")
    return replace(found, patterns=patterns, classes=_classes(images, folder))


def _patterns(by_kind: Mapping[str, Sequence[Path]], visible: Sequence[str]) -> list[str]:
    """Globs that match exactly the files among the visible names of a folder; their names if need be."""
    names = sorted(file.name for files in by_kind.values() for file in files)
    escaped = [glob.escape(name) for name in names]
    numbered = sorted({re.sub(r"\d+", "*", name) for name in escaped})
    for patterns in ([f"*{glob.escape(Path(names[0]).suffix)}"], numbered):
        matched = [name for pattern in patterns for name in fnmatch.filter(visible, pattern)]
        if len(names) > 1 and sorted(matched) == names:
            return patterns
    return escaped


def _classes(images: Sequence[Path], folder: Path) -> tuple[str, ...]:
    """The folders of images; none where images lie at several depths, in one folder, or in others as well.

    They are one level below the folder, or in each of its splits the same ones.
    """
    below = defaultdict[Path, set[str]](set)
    for image in images:
        below[image.parent.parent].add(image.parent.name)
    names, *others = below.values()
    one_level = set(below) == {folder} or (
        {split.parent for split in below} == {folder} and (not others or _are_splits(split.name for split in below))
    )
    alike = all(other == names for other in others)
    return tuple(sorted(names)) if one_level and alike and 1 < len(names) <= _MOST_CLASSES else ()


def _are_splits(names: Iterable[str]) -> bool:
    """Whether folders are named as the parts of a data set are."""
    return all(name.lower() in _SPLITS for name in names)


def _look_at_records(files: Sequence[Path], patterns: tuple[str, ...]) -> RecordsFound:
    """Look at the first records of the first file that is not empty."""
    filled = next((file for file in files if file.stat().st_size > 0), None)
    if filled is None:
        raise UsageError(f"{files[0]} holds no records")
    compression, records = _read_records(filled)
    return RecordsFound(patterns, len(files), compression, _features(records), len(records))


@contextmanager
def _silent() -> Iterator[None]:
    """What TensorFlow says when it starts is of no interest, and a GPU is of no use."""
    os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3")
    stderr = os.dup(2)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _read_records(file: Path) -> tuple[str, list[bytes]]:
    # What may not be read is told as for all other files.
    with file.open("rb"), _silent():
        import tensorflow as tf

    said = ""
    for compression in ("", "GZIP", "ZLIB"):
        try:
            dataset = tf.data.TFRecordDataset(str(file), compression).take(_RECORDS_LOOKED_AT)
            # Of a file that ends within its first record, TensorFlow reads none, and says nothing.
            if (records := list(dataset.as_numpy_iterator())) or not file.stat().st_size:
                return compression, records
            said = "it ends within its first record"
        except (tf.errors.DataLossError, tf.errors.OutOfRangeError) as error:
            said = said or _OP.sub("", " ".join(str(error.message).split()))[:200]
    raise UsageError(f"{file}: not a TFRecord file ({said}; {_KNOWN})")


def _features(records: Sequence[bytes]) -> tuple[Feature, ...]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    found = defaultdict[str, list[Any]](list)
    for record in records:
        try:
            example = tf.train.Example.FromString(record)
            # The context of a sequence looks like an example.
            if not example.features.feature or tf.train.SequenceExample.FromString(record).feature_lists.feature_list:
                return ()
        except DecodeError:
            return ()
        for name, feature in example.features.feature.items():
            if feature.WhichOneof("kind") is not None:
                found[name].append((feature.WhichOneof("kind"), getattr(feature, feature.WhichOneof("kind")).value))
    features = []
    for name, values in sorted(found.items()):
        kinds = sorted({_DTYPES[kind] for kind, _ in values})
        if len(kinds) > 1:
            raise UsageError(f"feature {name!r} has different types in different records: {' and '.join(kinds)}")
        counts = {len(value) for _, value in values} | ({0} if len(values) < len(records) else set())
        decoder = _decoder([value[0] for _, value in values if value]) if kinds == ["string"] else None
        features.append(Feature(name, kinds[0], counts.pop() if len(counts) == 1 and counts != {0} else None, decoder))
    return tuple(features)


def _decoder(values: Sequence[bytes]) -> str | None:
    """TensorFlow's function for encoded images; None if they are none."""
    if values and all(value.startswith(_PNG_START) for value in values):
        return _PNG
    return _JPEG if values and all(value.startswith((_PNG_START, b"\xff\xd8\xff")) for value in values) else None


def _look_at_csv(files: Sequence[Path], patterns: tuple[str, ...]) -> CsvFound:
    """Look at the first file; the others are expected to be alike."""
    path = files[0]
    try:
        with path.open("rb") as file:
            data = file.read(_TEXT_LOOKED_AT)
        # A row that is cut off does not count.
        data = data[: data.rfind(b"\n") + 1] if len(data) == _TEXT_LOOKED_AT else data
        text = data.decode("utf-8-sig", errors="replace")
        delimiter, rows = max(((one, _rows(text, one)) for one in ",;\t|"), key=lambda found: _merit(found[1]))
    except (csv.Error, *_DAMAGE) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    widths = {len(row) for row in rows}
    if len(widths) != 1 or "\0" in text:
        counted = f" (they have {min(widths)} to {max(widths)})" if len(widths) > 1 else ""
        raise UsageError(f"{path}: expected rows of text with the same number of fields in all{counted}")
    header = _has_header(rows)
    names = rows[0] if header else [f"column {number}" for number in range(len(rows[0]))]
    body = rows[1:] if header and len(rows) > 1 else rows
    columns = tuple(_column(name, values) for name, values in zip(names, zip(*body, strict=True), strict=True))
    return CsvFound(patterns, len(files), delimiter, header, columns)


def _rows(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return list(itertools.islice((row for row in reader if row), _ROWS_LOOKED_AT))


def _merit(rows: Sequence[Sequence[str]]) -> tuple[bool, int]:
    """How well a delimiter fits: rows of the same number of fields, and many of them."""
    widths = {len(row) for row in rows}
    return len(widths) == 1 and widths != {1}, min(widths, default=0)


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """A first row of words above a column of numbers is a header; where all is words, a row that never comes back."""
    first, columns = rows[0], list(zip(*rows[1:], strict=True))
    if not columns or not all(first) or any(map(_NUMBER.fullmatch, first)) or len(set(first)) < len(first):
        return False
    numeric = any(all(_NUMBER.fullmatch(field) for field in column if field) for column in columns)
    return numeric or all(field not in column for field, column in zip(first, columns, strict=True))


def _column(name: str, values: Sequence[str]) -> CsvColumn:
    filled = [value for value in values if value]
    gaps = len(filled) < len(values)
    if filled and all(map(_INTEGER.fullmatch, filled)):
        # A default of 0 is an int32; numbers that need more have to be floats where fields are empty.
        small = all(-(2**31) <= int(value) < 2**31 for value in filled)
        return CsvColumn(name, "int64" if not gaps else "int32" if small else "float32", gaps)
    return CsvColumn(name, "float32" if filled and all(map(_NUMBER.fullmatch, filled)) else "string", gaps)


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of a saved array; the file is left at the first row.

    Raises:
        ValueError: It has no header, or a damaged one. NumPy raises other errors, too, for nonsense in a header.
    """
    import numpy as np

    version = np.lib.format.read_magic(file)
    read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return tuple(shape), dtype


def _look_at_arrays(path: Path) -> ArraysFound:
    found: dict[str | None, tuple[tuple[int, ...], Any]] = {}
    try:
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as archive:
                for member in (name for name in archive.namelist() if name.endswith(".npy") and name != ".npy"):
                    with archive.open(member) as file:
                        found[member.removesuffix(".npy")] = read_header(file)
        else:
            with path.open("rb") as file:
                shape, dtype = found[None] = read_header(file)
                if path.stat().st_size < file.tell() + dtype.itemsize * math.prod(shape):
                    raise ValueError("truncated")
    except _DAMAGE as error:
        raise UsageError(f"{path}: not a valid {path.suffix} file ({' '.join(str(error).split())[:200]})") from error
    arrays = [
        SavedArray(key, shape, dtype.name, dtype.itemsize * math.prod(shape))
        for key, (shape, dtype) in found.items()
        if dtype.name in _NUMBERS and dtype.isnative and min(shape, default=0) > 0
    ]
    if not arrays:
        got = ", ".join(f"{dtype} of shape {list(shape)}" for shape, dtype in found.values()) or "none"
        raise UsageError(f"{path}: got {got}, expected an array of numbers with at least one row")
    length = Counter(array.shape[0] for array in arrays).most_common(1)[0][0]
    chosen = tuple(array for array in arrays if array.shape[0] == length)
    return ArraysFound(path, chosen, tuple(key or "" for key in found if key not in {one.key for one in chosen}))
