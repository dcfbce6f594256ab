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
    ("total", "held", "available", "reserve"),
    [
        (8 * GIB, None, 7 * GIB, 8 * GIB // 10),
        (2 * GIB, None, GIB, 256 * MIB),
        (64 * GIB, None, 60 * GIB, 2 * GIB),
        (4 * GIB, None, 100 * MIB, 50 * MIB),
        # What the group has.
        (4 * GIB, GIB, 3 * GIB, 4 * GIB // 20),
        (512 * MIB, 0, 512 * MIB, 64 * MIB),
        (100 * GIB, 0, 100 * GIB, GIB),
        (512 * MIB, 500 * MIB, 12 * MIB, 6 * MIB),
    ],
)
def test_what_the_machine_or_the_group_has_less_a_reserve(total, held, available, reserve):
    group, machine = (Group(), MachineMemory(total, available)) if held is None else (Group(total, held), None)
    source = "machine" if held is None else "cgroup"
    assert memory_limit(None, group, machine) == MemoryLimit(available - reserve, source)


def test_the_option_is_taken_at_its_word_and_else_the_smaller_one_counts():
    machine = MachineMemory(64 * GIB, 32 * GIB)
    assert memory_limit(100 * GIB, Group(GIB), machine) == MemoryLimit(100 * GIB, "option")
    assert memory_limit(None, Group(2 * GIB, 0), machine).source == "cgroup"
    assert memory_limit(None, Group(60 * GIB, 0), machine).source == "machine"
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
