"""Parser of ``tf.data.Options`` from the message of an ``OptionsDataset``; needs no TensorFlow.

The message class is not a public name of TensorFlow. Its fields are numbered and stay so; those used here are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_Fields = Mapping[int, Any]

_AUTOTUNE: Final[_Fields] = {
    1: ("enabled", bool),
    2: ("cpu_budget", int),
    3: ("ram_budget", int),
    5: ("initial_parallelism", int),
    6: ("min_parallelism", int),
}
_OPTIMIZATION: Final[_Fields] = {
    1: ("apply_default_optimizations", bool),
    6: ("filter_fusion", bool),
    9: ("map_and_batch_fusion", bool),
    10: ("map_and_filter_fusion", bool),
    11: ("map_fusion", bool),
    12: ("map_parallelization", bool),
    14: ("noop_elimination", bool),
    15: ("parallel_batch", bool),
    17: ("shuffle_and_repeat_fusion", bool),
    18: ("filter_parallelization", bool),
    19: ("inject_prefetch", bool),
    21: ("seq_interleave_prefetch", bool),
}
_THREADING: Final[_Fields] = {1: ("max_intra_op_parallelism", int), 2: ("private_threadpool_size", int)}
_OPTIONS: Final[_Fields] = {
    1: ("deterministic", bool),
    3: ("experimental_optimization", _OPTIMIZATION),
    4: ("experimental_slack", bool),
    5: ("threading", _THREADING),
    7: ("autotune", _AUTOTUNE),
    8: ("experimental_symbolic_checkpoint", bool),
    9: ("experimental_warm_start", bool),
}


def read_options(message: bytes) -> dict[str, bool | int]:
    """Return the options that are set, by dotted path; those that pipeprof does not use are left out.

    Args:
        message: The attribute ``serialized_options``.
    """
    return dict(_read(message, _OPTIONS, ""))


def _read(message: bytes, fields: _Fields, prefix: str) -> Iterator[tuple[str, bool | int]]:
    for number, value in _wire(message):
        name, kind = fields.get(number, (None, None))
        if name is None or kind is None:
            continue
        if isinstance(value, bytes):
            if isinstance(kind, Mapping):
                yield from _read(value, kind, f"{prefix}{name}.")
        elif not isinstance(kind, Mapping):
            yield f"{prefix}{name}", kind(value)


def _wire(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield field number and value (integer or bytes) of a message; stop at an unknown wire type."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value - (1 << 64) if value >= 1 << 63 else value
        elif key & 7 == 2:
            length, at = _varint(message, at)
            yield key >> 3, message[at : at + length]
            at += length
        elif key & 7 in (1, 5):
            at += 8 if key & 7 == 1 else 4
        else:
            return


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return value, at
