"""The formula of the default limit, and how many cores count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.host import limits
from pipeprof.profiles.host.limits import GIB, MIB, CgroupMemory, MemoryLimit, memory_limit, usable_cores
from pipeprof.profiles.host.machine import MachineMemory


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
    limit = memory_limit(None, None, MachineMemory(total, available))
    assert limit == MemoryLimit(available - reserve, "machine", reserve, available - reserve)


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
    limit = memory_limit(None, CgroupMemory(total, held), None)
    assert limit == MemoryLimit(total - (held or 0) - reserve, "cgroup", reserve, total - (held or 0) - reserve)


def test_the_smaller_one_counts():
    machine = MachineMemory(64 * GIB, 32 * GIB)
    assert memory_limit(None, CgroupMemory(2 * GIB, 0), machine).source == "cgroup"
    assert memory_limit(None, CgroupMemory(60 * GIB, 0), machine).source == "machine"


def test_the_option_is_taken_at_its_word_and_the_default_is_told():
    machine = MachineMemory(8 * GIB, 4 * GIB)
    default = memory_limit(None, None, machine).bytes
    assert memory_limit(100 * GIB, None, machine) == MemoryLimit(100 * GIB, "option", 0, default)
    assert memory_limit(5 * MIB, None, None) == MemoryLimit(5 * MIB, "option", 0, None)


def test_what_the_worker_already_holds_is_its_own():
    machine = MachineMemory(8 * GIB, 4 * GIB)
    before = memory_limit(None, None, machine)
    after = memory_limit(None, None, MachineMemory(8 * GIB, 3 * GIB), own_bytes=GIB)
    assert after == before


def test_nothing_known():
    assert memory_limit(None, None, None) is None


@given(
    total=st.integers(1, 1 << 44),
    available=st.integers(0, 1 << 44),
    limit=st.integers(1, 1 << 44),
    held=st.none() | st.integers(0, 1 << 44),
)
def test_a_limit_is_never_negative_nor_more_than_there_is(total, available, limit, held):
    found = memory_limit(None, CgroupMemory(limit, held), MachineMemory(total, available))
    assert 0 <= found.bytes <= min(limit, available)
    assert found.reserve_bytes >= 0


@pytest.mark.parametrize(
    ("affinity", "quota", "cpuset", "cores"),
    [(8, None, None, 8.0), (8, 1.5, 4, 1.5), (2, 4.0, 4, 2.0), (8, None, 3, 3.0), (None, None, None, 1.0)],
)
def test_usable_cores(affinity, quota, cpuset, cores):
    assert usable_cores(affinity, quota, cpuset) == cores


def test_cores_and_memory_of_a_group(monkeypatch):
    class Group:
        cpuset = staticmethod(lambda: frozenset({0, 1, 2}))
        cpu_quota = staticmethod(lambda: 2.5)
        memory_limit = staticmethod(lambda: 7)
        memory_held = staticmethod(lambda: 3)

    monkeypatch.setattr(limits, "affinity_cores", lambda: 16)
    assert limits.cores(Group()) == 2.5
    assert limits.cgroup_memory(Group()) == CgroupMemory(7, 3)
    Group.memory_limit = staticmethod(lambda: None)
    assert limits.cgroup_memory(Group()) is None
