"""Inspection of TFRecord files: compression, and features of ``tf.train.Example`` records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.data.inspect.records import (
    Compression,
    FeatureValues,
    RecordError,
    compression_of,
    read_example,
    read_records,
)
from pipeprof.pipelines.errors import UsageError

_RECORDS_LOOKED_AT = 10


@dataclass(frozen=True)
class Feature:
    """One feature of the records.

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
    """TFRecord files."""

    patterns: tuple[str, ...]
    files: int
    compression: Compression
    features: tuple[Feature, ...]
    looked_at: int


def image_decoder(start: bytes) -> str | None:
    """TensorFlow's function for an encoded image that begins with these bytes, or None if it is not one we know."""
    if start.startswith(b"\xff\xd8\xff"):
        return "tf.io.decode_jpeg"
    return "tf.io.decode_png" if start.startswith(b"\x89PNG\r\n\x1a\n") else None


def look_at_records(files: Sequence[Path], patterns: tuple[str, ...]) -> RecordsFound:
    """Inspect TFRecord files by the first records of the first and the last non-empty file.

    Raises:
        UsageError: A file is damaged, compressed differently from the others, or there are no records.
    """
    filled = [file for file in files if file.stat().st_size > 0]
    if not filled:
        raise UsageError(f"{files[0]} holds no records")
    compression: Compression | None = None
    records: list[bytes] = []
    for file in dict.fromkeys((filled[0], filled[-1])):
        try:
            found = compression_of(file)
            if compression is not None and found not in {None, compression}:
                raise UsageError(f"{file} is compressed differently from {filled[0]}: select one kind with a glob")
            # Where even the first checksum is wrong, reading says so.
            compression = found or ""
            records += read_records(file, compression, _RECORDS_LOOKED_AT)
        except (RecordError, OSError) as error:
            raise UsageError(f"{file}: not a valid TFRecord file: {error}") from error
    examples = [read_example(record) for record in records]
    parsed = [example for example in examples if example is not None]
    # Records of another kind (a SequenceExample, text, images) are read, not parsed.
    features = _features(parsed) if parsed and len(parsed) == len(examples) else ()
    return RecordsFound(patterns, len(files), compression or "", features, len(records))


def _features(examples: Sequence[dict[str, FeatureValues]]) -> tuple[Feature, ...]:
    features = []
    for name in sorted({name for example in examples for name in example}):
        values = [example.get(name, FeatureValues(None, 0)) for example in examples]
        kinds = sorted({value.kind for value in values if value.kind is not None})
        if len(kinds) > 1:
            raise UsageError(f"feature {name!r} has different types in different records: {' and '.join(kinds)}")
        if kinds:
            counts = {value.count for value in values}
            fixed = len(counts) == 1 and counts != {0}
            first = [value.first for value in values if value.first is not None]
            features.append(Feature(name, kinds[0], counts.pop() if fixed else None, _common_decoder(first)))
    return tuple(features)


def _common_decoder(values: Sequence[bytes]) -> str | None:
    decoders = {image_decoder(value) for value in values}
    if not decoders or None in decoders:
        return None
    return "tf.io.decode_png" if decoders == {"tf.io.decode_png"} else "tf.io.decode_jpeg"
