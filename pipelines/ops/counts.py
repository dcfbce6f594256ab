"""Numbers of elements after stages, as TensorFlow counts them; ``None`` for unknown."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.ops.constants import INFINITE


def repeated(count: int | None, times: int | None) -> int | None:
    """Elements after ``repeat``; without end if `times` is not given."""
    if count == 0 or times == 0:
        return 0
    if times is None or times < 0:
        return INFINITE
    return count if count in (None, INFINITE) else count * times


def taken(count: int | None, most: int) -> int | None:
    """Elements after ``take``; a negative number takes all."""
    if most < 0:
        return count
    return most if count == INFINITE else None if count is None else min(count, most)


def skipped(count: int | None, first: int, *, strict: bool) -> int | None:
    """Elements after ``skip``; a negative number leaves out all."""
    if first < 0 and not (strict and count in (None, INFINITE)):
        # TensorFlow says that all but all of an endless dataset has no end either.
        return 0
    return count if count in (None, INFINITE) else max(0, count - first)


def batches(count: int | None, size: int, *, drop: bool) -> int | None:
    """Batches of `size` elements."""
    if count is None or count == INFINITE:
        return count
    return count // size if drop else -(-count // size)


def windows(count: int | None, size: int, shift: int, stride: int, *, drop: bool) -> int | None:
    """Windows of `size` elements, `stride` apart, each `shift` further on."""
    if count is None or count == INFINITE:
        return count
    if not drop:
        return -(-count // shift)
    rest = count - ((size - 1) * stride + 1)
    return 0 if rest < 0 else rest // shift + 1


def sharded(count: int | None, shards: int, index: int) -> int | None:
    """Elements of one shard."""
    if count is None or count == INFINITE:
        return count
    return count // shards + (index < count % shards)


def shortest(counts: Iterable[int | None]) -> int | None:
    """Elements of pipelines side by side: those of the shortest."""
    known = list(counts)
    if None in known:
        return None
    finite = [count for count in known if count is not None and count != INFINITE]
    return min(finite) if finite else INFINITE


def added(counts: Iterable[int | None]) -> int | None:
    """Elements of pipelines one after the other."""
    known = list(counts)
    if INFINITE in known:
        return INFINITE
    return None if None in known else sum(count for count in known if count is not None)


def drawn(counts: Iterable[int | None]) -> int | None:
    """Cardinality of `sample_from_datasets`: infinite if any input is, else unknown."""
    return INFINITE if INFINITE in list(counts) else None
