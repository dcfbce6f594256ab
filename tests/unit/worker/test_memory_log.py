"""Readings of the worker's memory: glibc's heap by its own count, and the arrays of sources in memory."""

import ctypes
import gc

import numpy as np

from pipeprof.profiles.worker.memory_log import array_bytes, heap


def test_the_heap_in_use_grows_with_what_is_allocated() -> None:
    before = heap()
    if before is None:
        return
    kept = [ctypes.create_string_buffer(50_000) for _ in range(200)]
    after = heap()
    assert after is not None
    assert 9_000_000 < after[0] - before[0] < 30_000_000
    assert kept


class Warns:
    """Warns when its class is read, as some objects of libraries do."""

    read = 0

    @property
    def __class__(self):
        type(self).read += 1
        return type(self)


def test_no_object_is_asked_for_its_class():
    held = [Warns() for _ in range(2000)]
    array_bytes([("float64", 4_000_000)])
    assert Warns.read == 0
    assert len(held) == 2000


def test_only_arrays_of_a_source_count_and_views_as_the_whole_of_them():
    held = [np.zeros(500_000), np.zeros(400_000, np.float32), np.zeros((2, 300_000))]
    views = [held[2][1], held[0].reshape(-1)]
    assert array_bytes([("float64", 4_000_000), ("float64", 2_400_000)]) == 4_000_000 + 4_800_000
    # A dictionary that holds nothing else is not tracked by the garbage collector.
    held.append(type("Context", (), {})())
    held[-1].arrays = {"table": np.zeros(700_000)}
    assert not gc.is_tracked(held[-1].arrays)
    assert array_bytes([("float64", 5_600_000)]) == 5_600_000
    assert array_bytes([]) == 0
    assert len(views) == 2
