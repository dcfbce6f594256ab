"""A process with its descendants, on made-up folders."""

import itertools
import shutil

import psutil
import pytest
from unit.host.fake_proc import end, holds, make_process, proc

from pipeprof.profiles.host import procfs, run_family
from pipeprof.profiles.host.run_family import FamilyReader, bytes_read, cpu_seconds, family

__all__ = ["proc"]


@pytest.fixture(autouse=True)
def ticks(monkeypatch):
    """CPU time from the made-up files, not from the process that has the number here."""
    monkeypatch.setattr(run_family, "process_cpu_clock", lambda _: None)


class Reading:
    """Readings of process 10 in pages, on a clock that goes on by 0.6 s from look to look."""

    def __init__(self, cpu=lambda: 0.0, **options):
        self.now = 100.0
        self.reader = FamilyReader(10, clock=lambda: self.now, cpu=cpu, **options)

    def read(self, seconds=0.6):
        self.now += seconds
        reading = self.reader.read()
        return reading and (reading.bytes // procfs.PAGE_BYTES, reading.children)


def test_a_family_is_a_process_with_all_its_descendants(proc):
    for pid, parent in {10: 1, 20: 10, 30: 10, 40: 20, 50: 1}.items():
        make_process(proc, pid, parent=parent)
    assert {process.pid for process in family(10)} == {10, 20, 30, 40}
    assert family(10)[0].pid == 10
    assert [process.pid for process in family(50)] == [50]
    assert family(99) == []
    end(proc, 50)
    assert family(50) == []


def test_cpu_time_counts_what_has_been_reaped(proc, monkeypatch):
    make_process(proc, 10)
    make_process(proc, 20, parent=10, reaped=(0, 0))
    assert cpu_seconds(family(10)) == pytest.approx(2.3 + 2.0)
    assert cpu_seconds([]) is None
    monkeypatch.setattr(run_family, "process_cpu_clock", lambda pid: pid / 4)
    assert cpu_seconds(family(20)) == pytest.approx(5.0)


def test_bytes_read_of_the_family_and_none_where_they_are_unknown(proc):
    make_process(proc, 10)
    make_process(proc, 20, parent=10)
    assert bytes_read(10, proc) == 16384
    for pid in (10, 20):
        (proc / str(pid) / "io").unlink()
    assert bytes_read(10, proc) is None


def test_a_process_is_what_it_has_resident_and_nothing_once_it_has_ended(proc):
    make_process(proc, 10, pages=700, share=500)
    reading = Reading()
    assert reading.read() == (700, 0)
    make_process(proc, 10, start=99999)
    assert reading.read() is None, "the id is another one's now"
    reading = Reading()
    assert reading.read() == (1000, 0)
    end(proc, 10)
    assert [reading.read(seconds) for seconds in (0.0, 0.6)] == [None, None]


@pytest.mark.parametrize(
    ("parent", "children", "held"),
    [
        # A fork that touched nothing adds nothing.
        ({"pages": 600, "share": 300}, [{"pages": 600, "alone": 1, "share": 301}], 601),
        # What the parent let go of, its children may still share.
        ({"pages": 100, "share": 100}, [{"alone": 0, "share": 200}, {"alone": 0, "share": 200}], 500),
        # The libraries that strangers map too are the parent's.
        ({"pages": 500, "share": 300}, [{"pages": 120, "alone": 30, "share": 60}], 530),
    ],
)
def test_shared_pages_are_counted_once(proc, parent, children, held):
    make_process(proc, 10, **parent)
    for pid, memory in enumerate(children, start=20):
        make_process(proc, 2 * pid, parent=10, **memory)
    reading = Reading()
    reading.read()
    assert reading.read() == (held, len(children))


@pytest.mark.parametrize(("has_ended", "held"), [(False, 1200), (True, 1000)])
def test_a_child_whose_shares_are_forbidden_counts_with_all_it_has(proc, monkeypatch, has_ended, held):
    make_process(proc, 10)
    make_process(proc, 20, parent=10, pages=200)
    plain = psutil.Process.memory_info

    def forbid(self):
        raise psutil.AccessDenied(self.pid)

    def read(self):
        if has_ended and self.pid == 20:
            raise psutil.NoSuchProcess(self.pid)
        return plain(self)

    monkeypatch.setattr(psutil.Process, "memory_full_info", forbid)
    monkeypatch.setattr(psutil.Process, "memory_info", read)
    reading = Reading()
    reading.read()
    assert reading.read() == (held, 1)


def test_children_are_looked_for_twice_a_second_and_the_parent_is_read_each_time(proc):
    make_process(proc, 10)
    reading = Reading()
    assert reading.read() == (1000, 0)
    make_process(proc, 20, parent=10)
    holds(proc, 10, pages=1100)
    # A child counts from the second look on: until it starts its program, it may run in its parent's memory.
    assert [reading.read(seconds) for seconds in (0.4, 0.2, 0.6)] == [(1100, 0), (1100, 1), (2100, 1)]
    shutil.rmtree(proc / "20")
    assert reading.read(0.01) == (1100, 0), "it takes its memory with it"


def test_a_look_that_costs_much_is_put_off(proc):
    spent = itertools.count(step=0.01)
    make_process(proc, 10)
    reading = Reading(look_share=0.001, cpu=lambda: next(spent))
    reading.read()
    make_process(proc, 20, parent=10)
    assert [reading.read(seconds)[1] for seconds in (9.9, 0.2)] == [0, 1]
