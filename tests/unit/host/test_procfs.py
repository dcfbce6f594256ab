"""What /proc says, read from made-up folders: also what it does not say, and how it can be nonsense."""

import os
import sys
from pathlib import Path

import psutil
import pytest
from unit.host.fake_proc import make_process

from pipeprof.profiles.host import machine, procfs
from pipeprof.profiles.host.cgroup import Cgroup, CgroupWatch
from pipeprof.profiles.host.host import ContentionProbe, host_facts
from pipeprof.profiles.host.process_readers import ProcfsReader
from pipeprof.profiles.host.run_family import marked


@pytest.fixture
def proc(tmp_path):
    """A process 42 with threads 42 and 43."""
    return make_process(tmp_path, 42)


def test_numbers_of_a_process(proc):
    assert procfs.rss_bytes(42, proc) == 1000 * procfs.PAGE_BYTES
    assert procfs.peak_rss_bytes(42, proc) == 204800 * 1024
    assert procfs.pages(42, proc) == procfs.Pages(1000 * procfs.PAGE_BYTES, 300 * procfs.PAGE_BYTES)
    assert procfs.pages(42, proc).anonymous_bytes == 700 * procfs.PAGE_BYTES
    assert procfs.io_read_bytes(42, proc) == 8192
    assert procfs.thread_times(42, proc) == {42: procfs.ThreadTimes(42000, 42), 43: procfs.ThreadTimes(43000, 43)}


def test_own_memory_is_read_without_giving_the_lock_away(tmp_path):
    assert procfs.own_rss_bytes(tmp_path) is None
    (tmp_path / "self").mkdir()
    statm = tmp_path / "self" / "statm"
    for text, pages in [("5000 1000 300 1 0 900 0\n", 1000), ("0 0 0 0 0 0 0\n", None), ("", None), ("no\n", None)]:
        statm.write_text(text)
        assert procfs.own_rss_bytes(tmp_path) == (pages and pages * procfs.PAGE_BYTES)
    statm.unlink()
    statm.mkdir()
    assert procfs.own_rss_bytes(tmp_path) is None
    descriptors = sorted(Path("/proc/self/fd").iterdir())
    assert (procfs.own_rss_bytes() or 0) > 2**20
    assert sorted(Path("/proc/self/fd").iterdir()) == descriptors


def test_stat_in_seconds(proc, monkeypatch):
    monkeypatch.setattr(procfs, "_TICKS", 100)
    assert procfs.stat(42, proc) == procfs.Stat("S", 1, 2.0, 0.3, 777)


def test_the_words_of_a_command(proc):
    (proc / "42" / "cmdline").write_bytes(b"python\0-c\0import x\0")
    assert procfs.command_line(42, proc) == "python -c import x"
    (proc / "42" / "cmdline").write_bytes(b"")
    assert procfs.command_line(42, proc) is None
    assert procfs.command_line(99, proc) is None


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


ALL = [
    procfs.stat,
    procfs.rss_bytes,
    procfs.peak_rss_bytes,
    procfs.pages,
    procfs.shares,
    procfs.io_read_bytes,
    procfs.thread_times,
]


@pytest.mark.parametrize("read", ALL)
def test_what_is_not_there_is_none(tmp_path, read):
    assert read(42, tmp_path) is None


@pytest.mark.parametrize("read", ALL)
@pytest.mark.parametrize(
    "text", ["", "\n", "nonsense", "Private_Clean: many kB\nVmHWM:\nread_bytes\n", "42 (x", "a b c d e f g\0"]
)
def test_nonsense_is_none(tmp_path, read, text):
    make_process(tmp_path, 42)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_text(text)
    assert read(42, tmp_path) is None


class TestShares:
    """What a process's pages are, as the kernel's sums over its maps tell it."""

    def told(self, proc, **kb):
        (proc / "42" / "smaps_rollup").write_text("".join(f"{name}: {size} kB\n" for name, size in kb.items()))
        return procfs.shares(42, proc)

    def test_private_pages_beyond_those_of_no_file_are_files(self, proc):
        assert procfs.shares(42, proc) == procfs.Shares(
            private=3000 * 1024,
            private_files=(300 + 500) * 1024,
            anonymous=1200 * 1024,
            shared_memory=1000 * 1024,
            resident_shared_memory=2000 * 1024,
        )

    def test_anonymous_pages_that_are_written_are_no_files(self, proc):
        found = self.told(proc, Pss_Anon=900, Pss_Shmem=0, Private_Clean=40, Private_Dirty=800)
        assert found.private_files == 40 * 1024

    def test_old_kernels_tell_what_is_private_only(self, proc):
        assert self.told(proc, Pss=900, Private_Clean=40, Private_Dirty=800) == procfs.Shares(private=840 * 1024)

    def test_without_private_pages_nothing_is_known(self, proc):
        assert self.told(proc, Pss=900) is None


SMAPS = """\
55d0-55d9 r--p 00000000 fe:00 4711                       /usr/bin/python3.11
Size:                 36 kB
Rss:                  20 kB
Pss:                   4 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
55d9-55e0 r-xp 00009000 fe:00 4711                       /usr/bin/python3.11
Rss:                 400 kB
Anonymous:             0 kB
55e0-55f0 rw-p 00010000 fe:00 4711                       /usr/bin/python3.11
Rss:                  60 kB
Anonymous:            50 kB
7f00-7f10 rw-s 00000000 00:01 9                          /dev/shm/wnsm (deleted)
Rss:                3000 kB
Anonymous:             0 kB
7f10-7f20 r-xp 00000000 00:2a 4711                       /opt/some lib.so.6
Rss:                  30 kB
Anonymous:             0 kB
7f20-7f30 r-xp 00000000 00:00 0                          [vdso]
Rss:                   4 kB
Anonymous:             0 kB
7f30-7f40 rwxp 00000000 00:00 0
Rss:                 800 kB
Anonymous:           800 kB
"""


def test_libraries_are_files_that_run(proc):
    (proc / "42" / "smaps").write_text(SMAPS)
    assert procfs.libraries(42, proc) == {"fe:00 4711": 430 * 1024, "00:2a 4711": 30 * 1024}
    assert procfs.libraries(43, proc) == {}


def test_forbidden_files_are_none(proc):
    # A folder in a file's place cannot be read by anyone, root included.
    for name in ("io", "smaps_rollup"):
        (proc / "42" / name).unlink()
        (proc / "42" / name).mkdir()
    assert procfs.io_read_bytes(42, proc) is None
    assert procfs.shares(42, proc) is None


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
    assert machine.system_times(tmp_path) == machine.SystemTimes(
        total=500, steal=46, idle=405, cores=1, waiting=5, busy={0: 27}
    )


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8\n", "cpu a b c d e f g h\n"])
def test_system_times_unknown(tmp_path, text):
    (tmp_path / "stat").write_text(text)
    assert machine.system_times(tmp_path) is None


def test_without_a_process_file_system_nothing_is_known_and_nothing_fails(tmp_path, monkeypatch):
    def missing(*_arguments):
        raise FileNotFoundError(2, "No such file or directory", "/proc/meminfo")

    nowhere = tmp_path / "proc"
    monkeypatch.setattr(psutil, "virtual_memory", missing)
    monkeypatch.setattr(machine, "PROC", nowhere)
    assert machine.machine_memory(nowhere) is None
    assert host_facts(proc=nowhere, cgroup=Cgroup(proc=nowhere, root=nowhere)).memory_bytes is None
    assert procfs.processes(nowhere) == []
    assert procfs.is_missing(nowhere) == (sys.platform == "linux")
    assert not procfs.is_missing()
    assert marked("mark", nowhere) == set()
    probe = ContentionProbe(os.getpid(), ProcfsReader(nowhere), Cgroup(proc=nowhere, root=nowhere), proc=nowhere)
    probe.start()
    found = probe.stop()
    assert (found.worker_cores, found.others_cores, found.runnable_wait_share) == (None, None, None)
    assert CgroupWatch(Cgroup(proc=nowhere, root=nowhere), nowhere).report().killed is None


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
