"""Ten specs whose data three hosts divide, and the files that they read."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeprof.pipelines.data.inspect.records import masked_crc32c

HOSTS = 3
POLICIES = ("AUTO", "FILE", "DATA", "OFF")
LENGTH = 16
"""Bytes of a record."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A spec without its options.

    Attributes:
        files: Records of each file, by its name below the folder of the spec; the ending says what a file is.
    """

    source: Json
    stages: list[Json]
    files: dict[str, int] = field(default_factory=dict)

    def spec(self) -> Json:
        """The spec as data."""
        return {"version": 1, "source": self.source, "stages": self.stages}


def shards(*counts: int, ending: str = "tfrecord") -> dict[str, int]:
    """Files with so many records each."""
    return {f"data/part-{index}.{ending}": count for index, count in enumerate(counts)}


LISTED: Json = {"list_files": {"file_pattern": "data/*.tfrecord"}}
INTERLEAVED: Json = {"interleave": {"source": {"TFRecordDataset": {}}, "cycle_length": 2}}
LENGTHS: Json = {"map": {"ops": ["tf.strings.length"]}}
PREFETCH: Json = {"prefetch": {"buffer_size": 2}}


def batch(size: int, *, drop: bool = False) -> Json:
    """A batch."""
    return {"batch": {"batch_size": size, **({"drop_remainder": True} if drop else {})}}


def shuffle(size: int) -> Json:
    """A shuffle without a seed."""
    return {"shuffle": {"buffer_size": size}}


CASES = {
    "equal": Case(LISTED, [INTERLEAVED, LENGTHS, shuffle(50), batch(30), PREFETCH], shards(*[50] * 6)),
    "skewed": Case(LISTED, [INTERLEAVED, LENGTHS, shuffle(50), batch(30), PREFETCH], shards(10, 10, 10, 250, 10, 10)),
    "seven": Case(LISTED, [shuffle(7), INTERLEAVED, batch(30, drop=True)], shards(40, 41, 42, 43, 44, 45, 46)),
    "two": Case(LISTED, [INTERLEAVED, batch(30), PREFETCH], shards(70, 80)),
    "direct": Case(
        {"TFRecordDataset": {"filenames": [f"data/part-{index}.tfrecord" for index in range(5)]}},
        [LENGTHS, {"cache": {}}, {"repeat": {"count": 2}}, batch(30)],
        shards(20, 30, 40, 50, 60),
    ),
    "lines": Case(
        {"TextLineDataset": {"filenames": "data/*.txt"}},
        [shuffle(20), {"skip": {"count": 3}}, batch(12)],
        shards(33, 34, 35, 36, ending="txt"),
    ),
    "fixed": Case(
        {"FixedLengthRecordDataset": {"filenames": "data/*.bin", "record_bytes": LENGTH, "header_bytes": 4}},
        [{"take": {"count": 50}}, batch(9)],
        shards(21, 22, 23, ending="bin"),
    ),
    "read_in_map": Case(
        {"list_files": {"file_pattern": "data/*.txt", "shuffle": False}},
        [{"map": {"ops": ["tf.io.read_file", "tf.strings.length"]}}, batch(7), PREFETCH],
        shards(*[3] * 20, ending="txt"),
    ),
    "numbers": Case({"range": {"stop": 100}}, [{"map": {"ops": [{"tf.add": {"y": 1}}]}}, batch(31)]),
    "both": Case(
        {
            "zip": {
                "datasets": [
                    {"source": {"TFRecordDataset": {"filenames": "data/*.tfrecord"}}},
                    {"source": {"TextLineDataset": {"filenames": "data/*.txt"}}},
                ]
            }
        },
        [batch(15)],
        shards(30, 30, 30) | shards(20, 40, 60, ending="txt"),
    ),
}


def write(folder: Path, case: Case) -> None:
    """Write the files of a case below a folder."""
    for name, count in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        records = [f"{number:0{LENGTH}d}".encode() for number in range(count)]
        if name.endswith(".tfrecord"):
            path.write_bytes(b"".join(map(_framed, records)))
        elif name.endswith(".txt"):
            path.write_bytes(b"".join(record + b"\n" for record in records))
        else:
            path.write_bytes(b"head" + b"".join(records))


def _framed(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    checks = [struct.pack("<I", masked_crc32c(part)) for part in (length, record)]
    return length + checks[0] + record + checks[1]
