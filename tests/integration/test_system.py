"""The system itself: real processes, memory, locks and files. Processes wait for a line, never for a time."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeprof.profiles.harness.process import LockTimeoutError, measuring_lock
from pipeprof.profiles.host import limits, procfs
from pipeprof.profiles.host.host import host_facts
from pipeprof.profiles.host.limits import Cgroup, CgroupWatch, memory_limit
from pipeprof.profiles.host.page_cache import Eviction, evict, resident_bytes
from pipeprof.profiles.host.run_family import FamilyReader, cpu_seconds, family
from pipeprof.profiles.host.sampler import ContentionProbe, MemorySample, Sampler, SamplerThread

MB = 1_000_000
LINUX = sys.platform == "linux"
PATIENCE = 300.0


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
    if not LINUX:
        assert procfs.peak_rss_bytes(process.pid) is None
        return
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
    if LINUX:  # the fork shares its memory, so it is there only once
        assert alone.bytes <= both.bytes < alone.bytes + 50 * MB
    process.kill()
    assert reader.read() is None


def test_cpu_time_agrees_with_psutil(child):
    process = child("sum(range(3 * 10**6))\nstep()")
    assert process.ready() == "ready"
    times = psutil.Process(process.pid).cpu_times()
    assert cpu_seconds(family(process.pid)) == pytest.approx(times.user + times.system, abs=0.05)


def test_a_worker_that_outgrows_its_limit_is_caught_on_its_way(child):
    process = child("step()\nx = []\nfor _ in range(300): x.append(bytearray(b'x') * 10_000_000)\nstep()")
    assert process.ready() == "ready"
    reader = FamilyReader(process.pid)
    start = reader.read().bytes
    sampler = Sampler(reader, limit_bytes=start + 500 * MB)
    caught: list[MemorySample] = []
    seen = threading.Event()

    def over(sample: MemorySample) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        caught.append(sample)
        seen.set()

    thread = SamplerThread(sampler, over)
    thread.start()
    sampler.enter_phase("measure")
    process.go_on()
    assert seen.wait(PATIENCE)
    process.process.wait(PATIENCE)
    thread.stop()
    assert len(caught) == 1
    assert caught[0].used_bytes > start + 500 * MB
    assert sampler.peaks()["measure"] >= caught[0].used_bytes
    assert sampler.growth() is None or sampler.growth() > 0
    assert sampler.seconds_to_limit() == 0.0
    assert thread.cpu_seconds > 0
    assert sampler.sample() is None


def test_what_ends_the_sampling_is_raised_where_it_is_stopped():
    class Broken:
        def __init__(self) -> None:
            self.asked = threading.Event()

        def read(self) -> None:
            self.asked.set()
            msg = "planted"
            raise ValueError(msg)

    broken = Broken()
    thread = SamplerThread(Sampler(broken))
    thread.start()
    assert broken.asked.wait(PATIENCE)
    with pytest.raises(ValueError, match="planted"):
        thread.stop()


def test_a_sampler_may_be_stopped_before_it_starts_and_twice(child):
    process = child("step()")
    SamplerThread(Sampler(FamilyReader(process.pid))).stop()
    thread = SamplerThread(Sampler(FamilyReader(process.pid)))
    thread.start()
    thread.stop()
    thread.stop()
    assert thread.sampler.last is not None


def test_threads_that_share_a_core_wait_for_it(child):
    pin = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" if LINUX else ""
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
    if not LINUX:
        assert (found.runnable_wait_share, found.steal_share) == (None, None)
        return
    assert found.runnable_wait_share > 0  # the other one never leaves the core by itself
    assert 0 <= found.steal_share < 1


def test_the_lock_is_held_by_a_process_and_goes_with_it(tmp_path, child):
    process = child(
        "from pathlib import Path\nfrom pipeprof.profiles.harness.process import measuring_lock\n"
        f"with measuring_lock(print, 60.0, folder=Path({str(tmp_path)!r})): step()"
    )
    assert process.ready() == "ready"
    with (
        pytest.raises(LockTimeoutError, match=rf"another pipeprof \(pid {process.pid}\) is measuring; waited \d+ s"),
        measuring_lock(print, 0.1, folder=tmp_path),
    ):
        pytest.fail("two have the lock")
    with measuring_lock(lambda _: process.kill(), PATIENCE, folder=tmp_path) as warning:
        assert warning is None


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
