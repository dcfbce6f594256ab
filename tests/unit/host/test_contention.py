"""What other processes took from a worker, from planted counters."""

from types import SimpleNamespace

import pytest

from pipeprof.profiles.document.shared import Contention
from pipeprof.profiles.host import run_family
from pipeprof.profiles.host.limits import Cgroup
from pipeprof.profiles.host.sampler import ContentionProbe


class World:
    """A worker 42 with threads, a machine and a control group, all made up."""

    def __init__(self, folder):
        self.proc = folder / "proc"
        self.root = folder / "cgroup"
        self.now = 50.0
        self.allowed = frozenset()
        self.worker_seconds = 10.0
        self.family = [42]
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self" / "cgroup").write_text("0::/\n")
        self.root.mkdir()
        (self.root / "cgroup.controllers").write_text("cpu\n")
        self.process(42)

    def process(self, pid):
        task = self.proc / str(pid) / "task" / str(pid)
        task.mkdir(parents=True)

    def thread(self, thread, run_ms, wait_ms, pid=42):
        task = self.proc / str(pid) / "task" / str(thread)
        task.mkdir(exist_ok=True)
        (task / "schedstat").write_text(f"{run_ms * 1_000_000} {wait_ms * 1_000_000} 5\n")

    def cores(self, *busy, idle, waiting=0, steal=0):
        """Ticks of each core: computing, and of all alike with nothing to do, waiting for files, and taken away."""
        idle = [idle] * len(busy) if isinstance(idle, int) else idle
        rows = [f"{ticks} 0 0 {rest} {waiting} 0 0 {steal} 0 0" for ticks, rest in zip(busy, idle, strict=True)]
        count = len(busy)
        whole = f"{sum(busy)} 0 0 {sum(idle)} {count * waiting} 0 0 {count * steal} 0 0"
        lines = [f"cpu {whole}", *(f"cpu{number} {row}" for number, row in enumerate(rows)), "intr 5"]
        (self.proc / "stat").write_text("\n".join(lines))

    def stalled(self, microseconds):
        (self.proc / "pressure").mkdir(exist_ok=True)
        told = f"some avg10=0.00 avg60=1.00 avg300=2.00 total={microseconds}\nfull avg10=0.00 total=7\n"
        (self.proc / "pressure" / "io").write_text(told)

    def throttled(self, seconds):
        (self.root / "cpu.stat").write_text(f"throttled_usec {int(seconds * 1e6)}\n")

    def probe(self):
        cgroup = Cgroup(proc=self.proc, root=self.root)
        return ContentionProbe(
            42,
            cgroup,
            proc=self.proc,
            clock=lambda: self.now,
            own_cpu=lambda: (self.now - 50.0) / 4,
            allowed=lambda: self.allowed,
        )

    def started(self):
        """A probe that was started four seconds ago."""
        probe = self.probe()
        probe.start()
        self.now += 4
        return probe


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path)
    monkeypatch.setattr(run_family, "family", lambda _: [SimpleNamespace(pid=pid) for pid in made.family])
    monkeypatch.setattr(run_family, "cpu_seconds", lambda family: made.worker_seconds if family else None)
    return made


def test_contention_is_what_changed(world):
    world.thread(42, 5000, 900)
    world.thread(43, 100, 0)
    world.cores(0, idle=1000, steal=50)
    world.throttled(2.0)
    probe = world.started()
    world.thread(42, 5600, 1000)
    world.thread(43, 300, 100)
    world.cores(0, idle=1900, steal=150)
    world.throttled(2.5)
    world.worker_seconds = 16.0
    found = probe.stop()
    assert found.runnable_wait_share == pytest.approx(200 / 1000)
    assert found.steal_share == pytest.approx(0.1)
    assert found.throttled_seconds == pytest.approx(0.5)
    assert found.worker_cores == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("allowed", "busy", "idle", "worker", "others"),
    [
        # 3 of 4 cores were busy: 1.5 of them the worker, 0.25 pipeprof.
        ([], [300] * 4, [100] * 4, 6, 1.25),
        # Cores 2 and 3 are busy all of the time, 0 all of it and 1 half of it; the worker used one, pipeprof a quarter.
        ([0, 1], [400, 200, 400, 400], [0, 200, 0, 0], 4, 0.25),
    ],
    ids=["on all cores", "on cores that the worker may use"],
)
def test_others_have_what_neither_the_worker_nor_pipeprof_used(world, allowed, busy, idle, worker, others):
    world.allowed = frozenset(allowed)
    world.cores(0, 0, 0, 0, idle=0)
    probe = world.started()
    world.worker_seconds += worker
    world.cores(*busy, idle=idle)
    found = probe.stop()
    assert (found.others_cores, found.stalled_by_files_share) == (pytest.approx(others), None)


def test_what_nobody_knows_is_none(world):
    probe = world.probe()
    probe.start()
    world.now += 0.004
    found = probe.stop()
    assert (found.worker_cores, found.others_cores) == (None, None), "of a few milliseconds"
    world.now += 4
    world.worker_seconds = 16.0
    assert probe.stop().others_cores is None, "without the machine's times"
    world.thread(42, 10, 10)
    probe.start()
    assert probe.stop().runnable_wait_share is None, "of threads that did nothing"
    world.family = []
    probe.start()
    world.now += 1
    assert probe.stop() == Contention()


def test_threads_that_start_end_or_take_over_an_id_and_children_count(world):
    world.thread(42, 1000, 1000)
    world.thread(43, 5000, 5000)
    world.thread(45, 700, 7)
    probe = world.started()
    world.thread(44, 30, 10)
    world.thread(43, 40, 0)
    (world.proc / "42" / "task" / "45" / "schedstat").unlink()
    world.process(60)
    world.family.append(60)
    world.thread(60, 30, 10, pid=60)
    assert probe.stop().runnable_wait_share == pytest.approx(20 / (30 + 10 + 40 + 30 + 10))
    world.thread(42, 1000, 5000)
    probe.start()
    world.thread(42, 1010, 5000)
    assert probe.stop().runnable_wait_share == 0.0, "since it was started again"


@pytest.mark.parametrize(
    ("user", "waiting", "microseconds", "share"),
    [
        (0, 75, 3_000_000, 0.75),  # one core waits for 3 of 4 s, all others are idle
        (200, 75, 818_182, 0.75),  # and beside it two are busy: the mean is 0.75 * 0.75 / 2.75
        (400, 0, 4_000_000, 1.0),
        (200, 0, 0, 0.0),
    ],
)
def test_waiting_for_files_is_told_also_where_other_cores_are_in_use(world, user, waiting, microseconds, share):
    world.cores(0, 0, 0, 0, idle=0)
    world.stalled(5_000_000)
    probe = world.started()
    world.cores(*[user] * 4, idle=400 - user - waiting, waiting=waiting)
    world.stalled(5_000_000 + microseconds)
    assert probe.stop().stalled_by_files_share == pytest.approx(share, abs=1e-4)
