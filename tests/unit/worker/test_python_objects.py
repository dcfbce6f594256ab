"""Bytes of large Python objects."""

import numpy as np

from pipeprof.profiles.worker.memory.memory_log import python_objects


class Warns:
    """Warns when its class is read, as some objects of libraries do."""

    read = 0

    @property
    def __class__(self):
        type(self).read += 1
        return type(self)


def test_no_object_is_asked_for_its_class():
    held = [Warns() for _ in range(2000)]
    found = python_objects()
    assert Warns.read == 0
    assert found.others > 0
    assert len(held) == 2000


def test_arrays_of_a_source_are_apart_from_other_ones():
    held = [np.zeros(500_000), np.zeros(400_000, np.float32)]
    before = python_objects()
    found = python_objects([("float64", 4_000_000)])
    assert (found.arrays, found.others) == (4_000_000, before.others - 4_000_000)
    assert len(held) == 2
