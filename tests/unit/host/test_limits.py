"""The formula of the default limit, and how many cores count."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.host import limits
from pipeprof.profiles.host.limits import GIB, MIB, MachineMemory, MemoryLimit, memory_limit


@dataclass
class Group:
    """A control group with a limit, and what it holds."""

    limit: int | None = None
    held: int | None = None
    quota: float | None = None
    cores: int | None = None

    def memory_limit(self):
        return self.limit

    def memory_held(self):
        return self.held

    def cpuset(self):
        return frozenset(range(self.cores)) if self.cores else None

    def cpu_quota(self):
        return self.quota


@pytest.mark.parametrize(
    ("total", "available", "reserve"),
    [
        (8 * GIB, 7 * GIB, 8 * GIB // 10),
        (2 * GIB, GIB, 256 * MIB),
        (64 * GIB, 60 * GIB, 2 * GIB),
        (4 * GIB, 100 * MIB, 50 * MIB),
    ],
)
def test_what_the_machine_has_less_a_reserve(total, available, reserve):
    assert memory_limit(None, Group(), MachineMemory(total, available)) == MemoryLimit(available - reserve, "machine")


@pytest.mark.parametrize(
    ("total", "held", "reserve"),
    [
        (4 * GIB, GIB, 4 * GIB // 20),
        (512 * MIB, 0, 64 * MIB),
        (100 * GIB, 0, GIB),
        (512 * MIB, 500 * MIB, 6 * MIB),
        (4 * GIB, None, 4 * GIB // 20),
    ],
)
def test_what_the_group_has_less_a_reserve(total, held, reserve):
    limit = memory_limit(None, Group(total, held), None)
    assert limit == MemoryLimit(total - (held or 0) - reserve, "cgroup")


def test_the_smaller_one_counts():
    machine = MachineMemory(64 * GIB, 32 * GIB)
    assert memory_limit(None, Group(2 * GIB, 0), machine).source == "cgroup"
    assert memory_limit(None, Group(60 * GIB, 0), machine).source == "machine"


def test_the_option_is_taken_at_its_word():
    assert memory_limit(100 * GIB, Group(GIB), MachineMemory(8 * GIB, 4 * GIB)) == MemoryLimit(100 * GIB, "option")


def test_nothing_known():
    assert memory_limit(None, Group(), None) is None


@given(
    total=st.integers(1, 1 << 44),
    available=st.integers(0, 1 << 44),
    limit=st.integers(1, 1 << 44),
    held=st.none() | st.integers(0, 1 << 44),
)
def test_a_limit_is_never_negative_nor_more_than_there_is(total, available, limit, held):
    found = memory_limit(None, Group(limit, held), MachineMemory(total, available))
    assert 0 <= found.bytes <= min(limit, available)


@pytest.mark.parametrize(
    ("affinity", "quota", "cpuset", "cores"),
    [(8, None, None, 8.0), (8, 1.5, 4, 1.5), (2, 4.0, 4, 2.0), (8, None, 3, 3.0), (None, None, None, 1.0)],
)
def test_the_smallest_limit_of_cores_counts(affinity, quota, cpuset, cores, monkeypatch):
    monkeypatch.setattr(limits, "affinity_cores", lambda: affinity)
    assert limits.cores(Group(quota=quota, cores=cpuset)) == cores
