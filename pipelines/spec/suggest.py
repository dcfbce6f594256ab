"""What was probably meant by a name that does not exist."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

CUTOFF: Final = 0.7
_LONGEST: Final = 80
_SEPARATORS = re.compile(r"[\s_.\-]+")

# Words of other libraries and of everyday speech, without separators and in lower case; only what is a candidate at
# the place is ever suggested.
_SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    "numworkers": ("num_parallel_calls", "num_parallel_reads"),
    "workers": ("num_parallel_calls", "num_parallel_reads"),
    "parallel": ("num_parallel_calls", "num_parallel_reads"),
    "parallelism": ("num_parallel_calls", "num_parallel_reads"),
    "numthreads": ("num_parallel_calls", "num_parallel_reads", "private_threadpool_size"),
    "threads": ("num_parallel_calls", "num_parallel_reads", "threading", "private_threadpool_size"),
    "buffer": ("buffer_size",),
    "size": ("batch_size", "buffer_size", "size"),
    "n": ("count", "batch_size", "buffer_size"),
    "num": ("count",),
    "times": ("count",),
    "epochs": ("count",),
    "dropremainder": ("drop_remainder",),
    "droplast": ("drop_remainder",),
    "deterministic": ("deterministic",),
    "ordered": ("deterministic",),
    "sloppy": ("deterministic",),
    "path": ("file_pattern", "filenames", "filename", "npy"),
    "paths": ("file_pattern", "filenames"),
    "file": ("file_pattern", "filenames", "filename"),
    "files": ("file_pattern", "filenames"),
    "pattern": ("file_pattern",),
    "glob": ("file_pattern",),
    "func": ("ops", "map_func", "python"),
    "function": ("ops", "map_func", "python"),
    "fn": ("ops", "python"),
    "pipeline": ("stages",),
    "steps": ("stages", "step"),
    "transforms": ("stages",),
    "transformations": ("stages",),
    "operations": ("stages", "ops"),
    "dataset": ("source",),
    "input": ("source",),
    "inputs": ("source",),
    "reader": ("source",),
    "type": ("dtype",),
    "end": ("stop",),
    "limit": ("take", "count", "stop"),
    "head": ("take",),
    "drop": ("skip",),
    "rebatch": ("batch",),
    "auto": ("AUTOTUNE",),
    "tf.data.autotune": ("AUTOTUNE",),
    "tfdataautotune": ("AUTOTUNE",),
    "-1": ("AUTOTUNE",),
    "tfrecord": ("TFRecordDataset",),
    "tfrecords": ("TFRecordDataset",),
    "csv": ("CsvDataset",),
    "text": ("TextLineDataset",),
    "images": ("image_folder",),
    "reason": ("reason",),
}


def suggest(got: object, candidates: Iterable[str]) -> str | None:
    """Return the candidate that ``got`` probably meant, or ``None``.

    Letter case and separators count for nothing; of a dotted name (``tf.io.read_file``) the last part alone is enough
    if only one candidate ends with it; common words of other libraries are known; else the spelling decides.

    Example:
        >>> suggest("num_paralel_calls", ["name", "num_parallel_calls", "deterministic"])
        'num_parallel_calls'
    """
    names = list(dict.fromkeys(candidates))
    text = str(got)[:_LONGEST]
    plain = _plain(text)
    if not plain or text in names:
        return None
    by_plain = {_plain(name): name for name in reversed(names)}
    if plain in by_plain:
        return by_plain[plain]
    last = _plain(text.rsplit(".", 1)[-1])
    same_end = [name for name in names if "." in name and _plain(name.rsplit(".", 1)[-1]) == last]
    if len(same_end) == 1:
        return same_end[0]
    for synonym in _SYNONYMS.get(plain, ()):
        if synonym in names:
            return synonym
    close = difflib.get_close_matches(plain, list(by_plain), n=1, cutoff=CUTOFF)
    return by_plain[close[0]] if close else None


def _plain(text: str) -> str:
    return _SEPARATORS.sub("", text).lower()
