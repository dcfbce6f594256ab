"""What /proc says, read from made-up folders: also what it does not say, and how it can be nonsense."""

import pytest

from pipeprof.profiles.run import machine, procfs

STATUS = """\
Name:\tpython
VmPeak:\t  900000 kB
VmHWM:\t  204800 kB
VmRSS:\t  102400 kB
Threads:\t3
voluntary_ctxt_switches:\t{voluntary}
nonvoluntary_ctxt_switches:\t{involuntary}
"""


def stat_line(pid, *, parent=1, name="python", state="S", cpu=(150, 50), reaped=(20, 10), threads=3, start=777):
    return (
        f"{pid} ({name}) {state} {parent} {pid} {pid} 0 -1 4194560 1 2 3 4 "
        f"{cpu[0]} {cpu[1]} {reaped[0]} {reaped[1]} 20 0 {threads} 0 {start} 123456 999 184467440\n"
    )


@pytest.fixture
def proc(tmp_path):
    """A process 42 with threads 42 and 43."""
    return make_process(tmp_path, 42)


def make_process(proc, pid, *, pages=1000, threads=2, **stat):
    folder = proc / str(pid)
    for thread in range(pid, pid + threads):
        task = folder / "task" / str(thread)
        task.mkdir(parents=True)
        (task / "schedstat").write_text(f"{thread}000 {thread} 9\n")
        (task / "status").write_text(STATUS.format(voluntary=10, involuntary=3))
    (folder / "stat").write_text(stat_line(pid, threads=threads, **stat))
    (folder / "statm").write_text(f"5000 {pages} 300 1 0 400 0\n")
    (folder / "status").write_text(STATUS.format(voluntary=10, involuntary=3))
    (folder / "io").write_text("rchar: 99\nwchar: 1\nread_bytes: 8192\nwrite_bytes: 5\n")
    (folder / "smaps_rollup").write_text(
        "00-ff ---p 0 00:00 0 [rollup]\nRss:  4000 kB\nPss:  3000 kB\nPss_Anon: 1 kB\n"
    )
    return proc


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_numbers_of_a_process(proc):
    assert procfs.rss_bytes(42, proc) == 1000 * procfs.PAGE_BYTES
    assert procfs.peak_rss_bytes(42, proc) == 204800 * 1024
    assert procfs.pss_bytes(42, proc) == 3000 * 1024
    assert procfs.io_read_bytes(42, proc) == 8192
    assert procfs.thread_times(42, proc) == {42: procfs.ThreadTimes(42000, 42), 43: procfs.ThreadTimes(43000, 43)}
    assert procfs.context_switches(42, proc) == procfs.Switches(voluntary=20, involuntary=6)


def test_stat_in_seconds(proc, monkeypatch):
    monkeypatch.setattr(procfs, "_TICKS", 100)
    assert procfs.stat(42, proc) == procfs.Stat("S", 1, 2.0, 0.3, 777)


@pytest.mark.parametrize("name", ["a b", "x) S 1 (", ")", "tf_data (1)"])
def test_a_name_may_look_like_fields(tmp_path, name):
    make_process(tmp_path, 42, name=name)
    found = procfs.stat(42, tmp_path)
    assert (found.state, found.parent) == ("S", 1)


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_process_that_only_waits_to_be_reaped_is_gone(tmp_path, state):
    make_process(tmp_path, 42, pages=0, state=state)
    assert procfs.stat(42, tmp_path) is None
    assert procfs.rss_bytes(42, tmp_path) is None
    assert procfs.ProcfsReader(tmp_path).read(42) is None


ALL = [
    procfs.stat,
    procfs.rss_bytes,
    procfs.peak_rss_bytes,
    procfs.pss_bytes,
    procfs.io_read_bytes,
    procfs.thread_times,
    procfs.context_switches,
]


@pytest.mark.parametrize("read", ALL)
def test_what_is_not_there_is_none(tmp_path, read):
    assert read(42, tmp_path) is None


@pytest.mark.parametrize("read", ALL)
@pytest.mark.parametrize(
    "text", ["", "\n", "nonsense", "Pss: many kB\nVmHWM:\nread_bytes\n", "42 (x", "a b c d e f g\0"]
)
def test_nonsense_is_none(tmp_path, read, text):
    make_process(tmp_path, 42)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_text(text)
    assert read(42, tmp_path) is None


def test_forbidden_files_are_none(proc):
    # A folder in a file's place cannot be read by anyone, root included.
    for name in ("io", "smaps_rollup"):
        (proc / "42" / name).unlink()
        (proc / "42" / name).mkdir()
    assert procfs.io_read_bytes(42, proc) is None
    assert procfs.pss_bytes(42, proc) is None


def test_reset_peak_writes_five(proc):
    (proc / "42" / "clear_refs").write_text("")
    assert procfs.reset_peak(42, proc) is True
    assert (proc / "42" / "clear_refs").read_text() == "5"


def test_reset_peak_that_is_forbidden(proc):
    assert procfs.reset_peak(42, proc) is False
    assert not (proc / "42" / "clear_refs").exists()
    (proc / "42" / "clear_refs").mkdir()
    assert procfs.reset_peak(42, proc) is False


def test_descendants_from_the_threads_lists(tmp_path):
    for pid in (10, 20, 30, 40):
        make_process(tmp_path, pid)
    listed = {(10, 10): "20 ", (10, 11): "30 \n", (20, 20): "40", (20, 21): "", (30, 30): ""}
    for (pid, thread), text in listed.items():
        (tmp_path / str(pid) / "task" / str(thread) / "children").write_text(text)
    assert procfs.descendants(10, tmp_path) == (20, 30, 40)


def test_descendants_by_parents_where_the_kernel_keeps_no_lists(tmp_path):
    parents = {10: 1, 20: 10, 30: 10, 40: 20, 50: 1}
    for pid, parent in parents.items():
        make_process(tmp_path, pid, parent=parent)
    (tmp_path / "self").mkdir()
    assert procfs.descendants(10, tmp_path) == (20, 30, 40)
    assert procfs.descendants(50, tmp_path) == ()
    assert procfs.descendants(99, tmp_path) == ()


def test_system_times_leave_guests_out(tmp_path):
    (tmp_path / "stat").write_text("cpu  10 2 30 400 5 0 7 46 1000 1000\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    assert machine.system_times(tmp_path) == machine.SystemTimes(total=500, steal=46, idle=405, cores=1, waiting=5)


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8\n", "cpu a b c d e f g h\n"])
def test_system_times_unknown(tmp_path, text):
    (tmp_path / "stat").write_text(text)
    assert machine.system_times(tmp_path) is None


def test_machine_memory(tmp_path):
    assert machine.machine_memory(tmp_path) is None
    (tmp_path / "meminfo").write_text(
        "MemTotal:  1000 kB\nMemFree:  1 kB\nMemAvailable:  600 kB\nHugePages_Total:  3\n"
    )
    assert machine.machine_memory(tmp_path) == machine.MachineMemory(1024000, 614400)
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemFree:  1 kB\n")
    assert machine.machine_memory(tmp_path) is None


def test_kernel_oom_kills(tmp_path):
    assert machine.kernel_oom_kills(tmp_path) is None
    (tmp_path / "vmstat").write_text("pgfault 5\noom_kill 3\n")
    assert machine.kernel_oom_kills(tmp_path) == 3


class TestReader:
    def test_one_process(self, proc):
        assert procfs.ProcfsReader(proc).read(42) == procfs.Reading(rss_bytes=1000 * procfs.PAGE_BYTES, cpu_seconds=2.3)

    def test_pss_only_when_asked_for(self, proc):
        assert procfs.ProcfsReader(proc).read(42, pss=True).pss_bytes == 3000 * 1024

    def test_a_family_is_summed(self, tmp_path):
        make_process(tmp_path, 10)
        make_process(tmp_path, 20, parent=10, pages=200, threads=4, reaped=(0, 0))
        reading = procfs.ProcfsReader(tmp_path).read(10, pss=True)
        assert reading == procfs.Reading(
            rss_bytes=1200 * procfs.PAGE_BYTES,
            pss_bytes=6000 * 1024,
            cpu_seconds=4.3,
            children=1,
        )

    def test_new_children_are_looked_for_now_and_then_and_dead_ones_dropped_at_once(self, tmp_path):
        clock = Clock()
        reader = procfs.ProcfsReader(make_process(tmp_path, 10), clock, look_every=0.5)
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

    def test_a_reused_id_is_not_the_same_process(self, proc):
        clock = Clock()
        reader = procfs.ProcfsReader(proc, clock)
        assert reader.read(42) is not None
        clock.now += 1
        (proc / "42" / "stat").write_text(stat_line(42, start=778))
        assert reader.read(42) is None

    def test_a_finer_clock_where_there_is_one(self, proc):
        assert procfs.ProcfsReader(proc, cpu_clock=lambda pid: pid / 4).read(42).cpu_seconds == pytest.approx(10.8)
        assert procfs.ProcfsReader(proc, cpu_clock=lambda _: None).read(42).cpu_seconds == pytest.approx(2.3)

    def test_unknown_parts_are_none_not_zero(self, proc):
        (proc / "42" / "io").unlink()
        (proc / "42" / "smaps_rollup").unlink()
        reading = procfs.ProcfsReader(proc).read(42, pss=True)
        assert reading.pss_bytes is None
        assert procfs.ProcfsReader(proc).bytes_read(42) is None

    def test_bytes_read_of_the_family(self, tmp_path):
        make_process(tmp_path, 10)
        make_process(tmp_path, 20, parent=10)
        assert procfs.ProcfsReader(tmp_path).bytes_read(10) == 16384
