"""The system itself: real processes, memory, locks and files. Processes wait for a line, never for a time."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeprof.profiles.harness.process import measuring_lock
from pipeprof.profiles.host import limits, procfs
from pipeprof.profiles.host.host import host_facts
from pipeprof.profiles.host.limits import Cgroup, CgroupWatch, memory_limit
from pipeprof.profiles.host.page_cache import Eviction, evict, resident_bytes
from pipeprof.profiles.host.run_family import FamilyReader
from pipeprof.profiles.host.sampler import ContentionProbe

MB = 1_000_000


class Child:
    """A Python process that says a line when it is ready and goes on when told."""

    def __init__(self, code: str) -> None:
        text = f"import os, sys\ndef step():\n    print('ready', flush=True)\n    sys.stdin.readline()\n{code}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self.process.pid

    def ready(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def child() -> Iterator[Callable[[str], Child]]:
    made: list[Child] = []

    def make(code: str) -> Child:
        made.append(Child(code))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def test_the_peak_is_kept_until_it_is_reset(child):
    process = child("step()\nx = bytearray(b'x') * 200_000_000\ndel x\nstep()\nstep()")
    assert process.ready() == "ready"
    before = procfs.rss_bytes(process.pid)
    process.go_on()
    assert process.ready() == "ready"
    assert procfs.peak_rss_bytes(process.pid) > before + 190 * MB
    assert procfs.rss_bytes(process.pid) < before + 50 * MB
    # Where the kernel forbids it, the peak stays, and the answer says so.
    expected_peak = before + 50 * MB if procfs.reset_peak(process.pid) else float("inf")
    assert procfs.peak_rss_bytes(process.pid) < expected_peak


def test_children_are_read_with_their_parent(child):
    process = child(
        "x = bytearray(b'x') * 100_000_000\nstep()\n"
        "r, w = os.pipe()\n"
        "if os.fork() == 0:\n    sum(range(10**7)); os.write(w, b'.'); os.read(0, 1); os._exit(0)\n"
        "os.read(r, 1)\nstep()"
    )
    assert process.ready() == "ready"
    now = itertools.count()
    reader = FamilyReader(process.pid, clock=lambda: next(now), cpu=lambda: 0.0)
    alone = reader.read()
    assert alone.children == 0
    process.go_on()
    assert process.ready() == "ready"
    reader.read()
    both = reader.read()
    assert both.children == 1
    # The fork shares its memory, so it is there only once.
    assert alone.bytes <= both.bytes < alone.bytes + 50 * MB
    process.kill()
    assert reader.read() is None


def test_threads_that_share_a_core_wait_for_it(child):
    pin = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    first = child(pin + "step()\nsum(range(3 * 10**7))\nstep()")
    other = child(pin + "step()\nprint('ready', flush=True)\nwhile True: pass")
    probe = ContentionProbe(first.pid, Cgroup())
    for process in (first, other):
        assert process.ready() == "ready"
    other.go_on()
    assert other.ready() == "ready"
    probe.start()
    first.go_on()
    assert first.ready() == "ready"
    found = probe.stop()
    assert found.worker_cores > 0
    assert found.runnable_wait_share > 0  # the other one never leaves the core by itself
    assert 0 <= found.steal_share < 1


def test_a_process_started_under_the_lock_does_not_keep_it(tmp_path, child):
    with measuring_lock(print, 60.0, folder=tmp_path):
        process = child("step()")
        assert process.ready() == "ready"
    with measuring_lock(print, 0.0, folder=tmp_path) as warning:
        assert warning is None


def in_memory(folder: Path) -> bool:
    mounts = [one for one in psutil.disk_partitions(all=True) if folder.is_relative_to(one.mountpoint)]
    return max(mounts, key=lambda one: len(one.mountpoint)).fstype in {"tmpfs", "ramfs"}


def test_evicted_files_come_from_the_disk_again(tmp_path, child):
    path = tmp_path / "data"
    path.write_bytes(os.urandom(8 * MB))
    assert resident_bytes(path) in {8 * MB, None}
    found = evict([path])
    if not hasattr(os, "posix_fadvise") or in_memory(tmp_path):
        assert found.lacking
        return
    assert found == Eviction(cold=True)
    process = child(f"step()\nopen({str(path)!r}, 'rb').read()\nstep()")
    assert process.ready() == "ready"
    before = procfs.io_read_bytes(process.pid)
    process.go_on()
    assert process.ready() == "ready"
    after = procfs.io_read_bytes(process.pid)
    assert (before is None) == (after is None)
    # Virtual disks may not count what they fetch; then it says nothing at all, not something small.
    assert after is None or after - before in {0} or after - before >= 8 * MB
    assert resident_bytes(path) == 8 * MB


def test_this_machine():
    cgroup = Cgroup()
    limit = memory_limit(None, cgroup, limits.machine_memory())
    facts = host_facts(limit)
    assert 0 < facts.cores <= os.cpu_count()
    assert 0 < facts.memory_limit_bytes < facts.memory_bytes == psutil.virtual_memory().total
    assert facts.memory_limit_source in {"cgroup", "machine"}
    assert CgroupWatch(cgroup).report().killed in {False, None}
