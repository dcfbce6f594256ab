"""Readers of a process and its descendants, on made-up folders."""

import itertools

import pytest
from unit.host.fake_proc import make_process, stat_line

from pipeprof.profiles.host import process_readers as readers
from pipeprof.profiles.host import procfs


@pytest.fixture
def proc(tmp_path):
    """A process 42 with threads 42 and 43."""
    return make_process(tmp_path, 42)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class TestReader:
    def test_one_process(self, proc):
        held = procfs.Pages(1000 * procfs.PAGE_BYTES, 300 * procfs.PAGE_BYTES)
        assert readers.ProcfsReader(proc).read(42) == readers.FamilyReading(
            rss_bytes=held.rss_bytes, cpu_seconds=2.3, pages={42: held}
        )

    def test_a_process_that_only_waits_to_be_reaped_is_gone(self, tmp_path):
        make_process(tmp_path, 42, pages=0, state="Z")
        assert readers.ProcfsReader(tmp_path).read(42) is None

    def test_shares_only_when_asked_for(self, proc):
        assert readers.ProcfsReader(proc).shares(42) == procfs.shares(42, proc)
        assert readers.ProcfsReader(proc).shares(43) is None

    def test_a_family_is_summed(self, tmp_path):
        make_process(tmp_path, 10)
        make_process(tmp_path, 20, parent=10, pages=200, threads=4, reaped=(0, 0))
        reading = readers.ProcfsReader(tmp_path).read(10)
        assert (reading.rss_bytes, reading.cpu_seconds, reading.children) == (1200 * procfs.PAGE_BYTES, 4.3, 1)
        assert {pid: one.rss_bytes // procfs.PAGE_BYTES for pid, one in reading.pages.items()} == {10: 1000, 20: 200}
        assert next(iter(reading.pages)) == 10

    def test_a_child_in_its_parents_memory_has_none_until_it_starts_its_program(self, tmp_path):
        make_process(tmp_path, 10)
        make_process(tmp_path, 20, parent=10, pages=1000)
        make_process(tmp_path, 30, parent=20, pages=200)
        same, asked = {(20, 10), (30, 20)}, []

        def same_memory(one, other):
            asked.append((one, other))
            return (one, other) in same

        reader = readers.ProcfsReader(tmp_path, Clock(), same_memory=same_memory)
        first = reader.read(10)
        assert (list(first.pages), first.children) == ([10], 2)
        same.clear()
        assert list(reader.read(10).pages) == [10, 20, 30]
        asked.clear()
        assert list(reader.read(10).pages) == [10, 20, 30]
        assert asked == []

    def test_new_children_are_looked_for_now_and_then_and_dead_ones_dropped_at_once(self, tmp_path):
        clock = Clock()
        reader = readers.ProcfsReader(make_process(tmp_path, 10), clock, look_every=0.5)
        assert reader.read(10).children == 0
        make_process(tmp_path, 20, parent=10)
        clock.now += 0.4
        assert reader.read(10).children == 0
        clock.now += 0.2
        assert reader.read(10).children == 1
        (tmp_path / "20" / "stat").write_text(stat_line(20, parent=10, state="Z"))
        (tmp_path / "20" / "statm").write_text("0 0 0 0 0 0 0\n")
        (tmp_path / "10" / "stat").write_text(stat_line(10, reaped=(300, 100)))
        reading = reader.read(10)
        assert (reading.children, reading.rss_bytes) == (0, 1000 * procfs.PAGE_BYTES)
        assert reading.cpu_seconds == pytest.approx(2.0 + 4.0)

    def test_a_look_that_costs_much_is_put_off(self, tmp_path):
        clock, spent = Clock(), itertools.count(step=0.01)
        reader = readers.ProcfsReader(
            make_process(tmp_path, 10), clock, look_every=0.5, look_share=0.001, cpu=lambda: next(spent)
        )
        reader.read(10)
        make_process(tmp_path, 20, parent=10)
        for seconds, children in ((9.9, 0), (0.2, 1)):
            clock.now += seconds
            assert reader.read(10).children == children

    def test_without_a_new_id_nobody_was_born_and_a_look_is_put_off(self, tmp_path):
        clock = Clock()
        reader = readers.ProcfsReader(make_process(tmp_path, 10), clock, look_every=0.5)
        (tmp_path / "loadavg").write_text("0.20 0.70 1.13 3/146 10\n")
        assert reader.read(10).children == 0
        make_process(tmp_path, 20, parent=10)
        clock.now += 0.6
        assert reader.read(10).children == 0
        (tmp_path / "loadavg").write_text("0.20 0.70 1.13 3/146 20\n")
        clock.now += 0.1
        assert reader.read(10).children == 1
        (tmp_path / "10" / "stat").write_text(stat_line(10, reaped=(300, 100)))
        clock.now += 1.9
        assert reader.read(10).cpu_seconds == pytest.approx(2 * 2.3)
        clock.now += 0.1
        assert reader.read(10).cpu_seconds > 2 * 2.3

    @pytest.mark.parametrize("loadavg", ["0.00 0.00 0.00 0/0 0\n", "0.1 0.2 0.3\n", ""])
    def test_where_the_newest_id_is_not_told_it_is_always_looked(self, tmp_path, loadavg):
        clock = Clock()
        reader = readers.ProcfsReader(make_process(tmp_path, 10), clock, look_every=0.5)
        (tmp_path / "loadavg").write_text(loadavg)
        reader.read(10)
        make_process(tmp_path, 20, parent=10)
        clock.now += 0.6
        assert reader.read(10).children == 1

    def test_a_reused_id_is_not_the_same_process(self, proc):
        clock = Clock()
        reader = readers.ProcfsReader(proc, clock)
        assert reader.read(42) is not None
        clock.now += 1
        (proc / "42" / "stat").write_text(stat_line(42, start=778))
        assert reader.read(42) is None

    def test_a_finer_clock_where_there_is_one(self, proc):
        assert readers.ProcfsReader(proc, cpu_clock=lambda pid: pid / 4).read(42).cpu_seconds == pytest.approx(10.8)
        assert readers.ProcfsReader(proc, cpu_clock=lambda _: None).read(42).cpu_seconds == pytest.approx(2.3)

    def test_unknown_bytes_are_none_not_zero(self, proc):
        (proc / "42" / "io").unlink()
        assert readers.ProcfsReader(proc).bytes_read(42) is None

    def test_bytes_read_of_the_family(self, tmp_path):
        make_process(tmp_path, 10)
        make_process(tmp_path, 20, parent=10)
        assert readers.ProcfsReader(tmp_path).bytes_read(10) == 16384
