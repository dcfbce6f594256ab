"""What /proc says, read from made-up folders: also what it does not say, and how it can be nonsense."""

import os
import sys
from pathlib import Path

import psutil
import pytest
from unit.host.fake_proc import make_process

from pipeprof.profiles.host import limits, procfs
from pipeprof.profiles.host.host import host_facts
from pipeprof.profiles.host.limits import Cgroup, CgroupWatch
from pipeprof.profiles.host.run_family import family
from pipeprof.profiles.host.sampler import ContentionProbe


@pytest.fixture
def proc(tmp_path):
    """A process 42 with threads 42 and 43."""
    make_process(tmp_path, 42)
    return tmp_path


def test_numbers_of_a_process(proc):
    assert procfs.rss_bytes(42, proc) == 1000 * procfs.PAGE_BYTES
    assert procfs.peak_rss_bytes(42, proc) == 204800 * 1024
    assert procfs.io_read_bytes(42, proc) == 8192
    assert procfs.thread_times(42, proc) == {42: procfs.ThreadTimes(42000, 42), 43: procfs.ThreadTimes(43000, 43)}


def test_own_memory_is_read_without_giving_the_lock_away(tmp_path):
    assert procfs.own_rss_bytes(tmp_path) is None
    (tmp_path / "self").mkdir()
    statm = tmp_path / "self" / "statm"
    for text, pages in [("5000 1000 300 1 0 900 0\n", 1000), ("0 0 0 0 0 0 0\n", None), ("", None), ("no\n", None)]:
        statm.write_text(text)
        assert procfs.own_rss_bytes(tmp_path) == (pages and pages * procfs.PAGE_BYTES)
        size = procfs.PAGE_BYTES
        assert procfs.own_pages(tmp_path) == (procfs.Pages(1000 * size, 300 * size) if pages else None)
    statm.unlink()
    statm.mkdir()
    assert procfs.own_rss_bytes(tmp_path) is None
    descriptors = sorted(Path("/proc/self/fd").iterdir())
    assert (procfs.own_rss_bytes() or 0) > 2**20
    assert sorted(Path("/proc/self/fd").iterdir()) == descriptors


def test_the_words_of_a_command(proc):
    (proc / "42" / "cmdline").write_bytes(b"python\0-c\0import x\0")
    assert procfs.command_line(42, proc) == "python -c import x"
    (proc / "42" / "cmdline").write_bytes(b"")
    assert procfs.command_line(42, proc) is None
    assert procfs.command_line(99, proc) is None


ALL = [procfs.rss_bytes, procfs.peak_rss_bytes, procfs.io_read_bytes]


@pytest.mark.parametrize("read", ALL)
def test_nonsense_and_what_is_not_there_is_none(tmp_path, read):
    assert (read(42, tmp_path), procfs.thread_times(42, tmp_path)) == (None, {})
    for text in ("", "\n", "nonsense", "Private_Clean: many kB\nVmHWM:\nread_bytes\n", "42 (x", "a b c d e f g\0"):
        make_process(tmp_path, 42)
        for path in tmp_path.rglob("*"):
            if path.is_file():
                path.write_text(text)
        assert read(42, tmp_path) is None, text


def test_forbidden_files_are_none(proc):
    # A folder in a file's place cannot be read by anyone, root included.
    (proc / "42" / "io").unlink()
    (proc / "42" / "io").mkdir()
    assert procfs.io_read_bytes(42, proc) is None
    assert procfs.reset_peak(42, proc) is False
    assert not (proc / "42" / "clear_refs").exists()
    (proc / "42" / "clear_refs").mkdir()
    assert procfs.reset_peak(42, proc) is False


def test_reset_peak_writes_five(proc):
    (proc / "42" / "clear_refs").write_text("")
    assert procfs.reset_peak(42, proc) is True
    assert (proc / "42" / "clear_refs").read_text() == "5"


def test_system_times_leave_guests_out(tmp_path):
    (tmp_path / "stat").write_text("cpu  10 2 30 400 5 0 7 46 1000 1000\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    assert limits.system_times(tmp_path) == limits.SystemTimes(
        total=500, steal=46, idle=405, cores=1, waiting=5, busy={0: 27}
    )


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8\n", "cpu a b c d e f g h\n"])
def test_system_times_unknown(tmp_path, text):
    (tmp_path / "stat").write_text(text)
    assert limits.system_times(tmp_path) is None


def test_without_a_process_file_system_nothing_is_known_and_nothing_fails(tmp_path, monkeypatch):
    nowhere = tmp_path / "proc"
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(nowhere))
    monkeypatch.setattr(limits, "PROC", nowhere)
    assert limits.machine_memory(nowhere) is None
    assert host_facts(proc=nowhere, cgroup=Cgroup(proc=nowhere, root=nowhere)).memory_bytes is None
    assert procfs.is_missing(nowhere) == (sys.platform == "linux")
    assert not procfs.is_missing()
    assert family(os.getpid()) == []
    probe = ContentionProbe(os.getpid(), Cgroup(proc=nowhere, root=nowhere), proc=nowhere)
    probe.start()
    found = probe.stop()
    assert (found.worker_cores, found.others_cores, found.runnable_wait_share) == (None, None, None)
    assert CgroupWatch(Cgroup(proc=nowhere, root=nowhere), nowhere).report().killed is None


def test_memory_and_kills_of_the_machine(tmp_path):
    assert limits.kernel_oom_kills(tmp_path) is None
    (tmp_path / "vmstat").write_text("pgfault 5\noom_kill 3\n")
    assert limits.kernel_oom_kills(tmp_path) == 3
    (tmp_path / "meminfo").write_text(
        "MemTotal:  1000 kB\nMemFree:  1 kB\nMemAvailable:  600 kB\nHugePages_Total:  3\n"
    )
    assert limits.machine_memory(tmp_path) == limits.MachineMemory(1024000, 614400)
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemFree:  1 kB\n")
    assert limits.machine_memory(tmp_path) is None


MOUNTS = r"""
/dev/vda / ext4 rw,relatime 0 0
bucket /mnt/my\040bucket fuse.gcsfuse rw 0 0
server:/ /nfs nfs4 rw 0 0
/dev/vdb /nfs/local xfs rw 0 0
server:/ /twice nfs rw 0 0
/dev/vdb /twice xfs rw 0 0
"""


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A made-up /proc with one process 42 that has files open, by path and the mode they were opened in."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mounts").write_text(MOUNTS.lstrip())

    def proc(*files):
        for name in ("fd", "fdinfo"):
            (tmp_path / "42" / name).mkdir(parents=True)
        for number, (path, flags) in enumerate(files):
            (tmp_path / "42" / "fd" / str(number)).symlink_to(path)
            (tmp_path / "42" / "fdinfo" / str(number)).write_text(f"pos:\t0\nflags:\t{flags}\nmnt_id:\t30\n")
        return tmp_path

    return proc


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/data/a.tfrecord", set()),
        ("/mnt/my bucket/deep/a.tfrecord", {"fuse.gcsfuse"}),
        ("/mnt/my bucketful", set()),
        ("/nfs/a", {"nfs4"}),
        ("/nfs/local/a", set()),
        ("/twice/a", set()),
        ("pipe:[1234]", set()),
    ],
)
def test_file_systems_of_userspace_and_of_networks_do_not_count(opened, path, found):
    assert procfs.uncounted(42, opened((path, "0100000"))) == found


def test_files_that_are_written_say_nothing_about_what_is_read(opened):
    proc = opened(("/nfs/log", "0102001"), ("/nfs/both", "0100002"))
    assert procfs.uncounted(42, proc) == procfs.uncounted(99, proc) == set()
