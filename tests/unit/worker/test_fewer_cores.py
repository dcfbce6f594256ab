"""The same pipeline with half of the cores: which cores, which threads, and when it is measured at all."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
from unit.worker.fakes import MS, FakeTime

from pipeprof.profiles.document.shared import Contention, CoreScaling
from pipeprof.profiles.worker.steps import fewer_cores, loop
from pipeprof.profiles.worker.steps.statistics import Floor, StepReading, StepStatistics


@pytest.fixture
def siblings(tmp_path):
    """The kernel's list of the threads of each core."""

    def write(texts):
        for number, text in enumerate(texts):
            folder = tmp_path / f"cpu{number}" / "topology"
            folder.mkdir(parents=True)
            (folder / "thread_siblings_list").write_text(f"{text}\n")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("texts", "allowed", "usable", "chosen"),
    [
        ([], range(4), 4.0, {0, 1}),
        (["0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"], range(8), 8.0, {0, 1, 4, 5}),
        (["0-1", "0-1", "2-3", "2-3"], range(4), 4.0, {0, 1}),
        (["0-1", "0-1", "2-3", "2-3", "4-5", "4-5"], range(6), 6.0, {0, 1}),
        (["0-1", "0-1"], range(2), 2.0, set()),
        (["0-1", "0-1", "2-3", "2-3"], range(4), 3.9, {0}),
        (["0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"], range(8), 4.0, {0, 1}),
        ([], range(64), 4.0, {0, 1}),
        ([], range(5), 5.0, {0, 1}),
        ([], [3, 7], 2.0, {3}),
        ([], range(2), 1.5, set()),
        ([], [0], 1.0, set()),
        ([], [], 2.0, set()),
    ],
)
def test_half_of_the_cores_are_whole_cores(siblings, texts, allowed, usable, chosen):
    assert fewer_cores.half_of(allowed, usable, siblings(texts)) == chosen


@pytest.fixture
def threads(tmp_path, monkeypatch):
    """Threads of a process by number, each with the cores that it may run on."""
    affinity = {}

    def put(task, cores):
        affinity[task] = set(cores)
        (tmp_path / "self" / "task" / str(task)).mkdir(parents=True, exist_ok=True)

    def get(task):
        if task not in affinity:
            raise ProcessLookupError
        return affinity[task]

    monkeypatch.setattr(fewer_cores.os, "sched_getaffinity", get)
    monkeypatch.setattr(fewer_cores.os, "sched_setaffinity", put)
    return SimpleNamespace(affinity=affinity, put=put, proc=tmp_path)


def test_all_threads_move_and_come_back_those_that_began_meanwhile_too(threads):
    for task, cores in {10: {0, 1}, 11: {0, 1}, 12: {1}, 15: {0}}.items():
        threads.put(task, cores)
    (threads.proc / "self" / "task" / "13").mkdir()  # It ended after it was listed.
    with fewer_cores.only_on({0}, {0, 1}, threads.proc):
        assert threads.affinity == {10: {0}, 11: {0}, 12: {1}, 15: {0}}
        threads.put(14, {0})
    assert threads.affinity == {10: {0, 1}, 11: {0, 1}, 12: {1}, 14: {0, 1}, 15: {0}}


def test_they_come_back_after_an_error(threads):
    threads.put(10, {0, 1})
    with pytest.raises(RuntimeError), fewer_cores.only_on({0}, {0, 1}, threads.proc):
        raise RuntimeError
    assert threads.affinity == {10: {0, 1}}


class Batches:
    """A dataset whose batches take as long as the cores make them, and the first of an epoch longer."""

    def __init__(self, host):
        self._host = host

    def __iter__(self):
        for n in range(self._host.epoch):
            late = self._host.start_ms if n == 0 else 0.0
            self._host.time.pass_ms(self._host.ms[self._host.running_on] + late)
            yield n


class Consumer:
    """A step that takes no time."""

    def __init__(self, time):
        self._time = time

    def wait(self):
        return self._time.ns, self._time.ns

    def submit(self, _batch):
        return self._time.ns, self._time.ns

    def shift(self, _pause):
        pass


@pytest.fixture
def host(monkeypatch):
    """Two cores; a batch takes 10 ms with them, and 14 ms with one."""
    host = SimpleNamespace(
        time=FakeTime(),
        cores={0, 1},
        usable=2.0,
        children=(),
        stopped=False,
        seen=Contention(steal_share=0.01, others_cores=0.05),
        ms={2: 10.0, 1: 14.0},
        again=None,
        epoch=10**6,
        start_ms=0.0,
        running_on=2,
        alive=[],
    )
    for module in (fewer_cores, loop):
        monkeypatch.setattr(module, "time", host.time)
    monkeypatch.setattr(fewer_cores, "allowed_cores", lambda: frozenset(host.cores))
    monkeypatch.setattr(fewer_cores, "cores", lambda _cgroup: host.usable)
    monkeypatch.setattr(fewer_cores.procfs, "descendants", lambda _pid: host.children)
    probe = SimpleNamespace(start=lambda: None, stop=lambda: host.seen)
    monkeypatch.setattr(fewer_cores, "ContentionProbe", lambda *_args, **_own_cpu: probe)

    def move(_before, after, *_):
        host.running_on = min(2, len(after))
        if host.running_on == 2 and host.again is not None:
            host.ms[2] *= host.again[0]
            host.again = host.again[1:] or None

    monkeypatch.setattr(fewer_cores, "_move_threads", move)

    def measure(seconds=3.0, cores_used=1.5, step=False):
        seen, feed = StepStatistics(Floor()), loop.Feed(Batches(host))
        at, epoch = 0, feed.ended
        while at < seconds * 1e9:
            began = host.time.ns
            feed.next()
            took = host.time.ns - began
            restarted, epoch = feed.ended != epoch, feed.ended
            if step:
                seen.fold_device([StepReading(at, at, at, at + took, at + took, at + took)], [0] if restarted else [])
            else:
                seen.fold_drain(at, [at + took], restarted=restarted)
            at += took
        consumer = Consumer(host.time) if step else None
        steps = fewer_cores.Loop(feed, consumer, lambda: host.stopped, lambda: host.alive.append(host.time.ns))
        return fewer_cores.on_fewer_cores(steps, seen, round(seconds * cores_used * 1e9))

    host.measure = measure
    return host


def test_the_rate_with_one_core_is_compared_with_that_of_two(host):
    found = host.measure()
    assert isinstance(found, CoreScaling)
    assert (found.cores, found.fewer_ms, found.all_ms) == (1, pytest.approx(14.0), pytest.approx(10.0))
    assert 0.7 <= found.fewer_steps * 0.014 <= 0.75
    assert 3.7 <= found.all_steps * 0.010 <= 3.75


def test_few_steps_are_counted_for_longer(host):
    host.ms = {2: 60.0, 1: 100.0}
    found = host.measure()
    assert (found.fewer_ms, found.all_ms) == (pytest.approx(100.0), pytest.approx(60.0))
    assert 1.8 <= found.fewer_steps * 0.1 <= 2.0


def test_steps_that_begin_an_epoch_are_left_out(host):
    host.epoch, host.start_ms = 20, 25.0
    found = host.measure()
    assert (found.fewer_ms, found.all_ms) == (pytest.approx(14.0), pytest.approx(10.0, rel=0.01))


def test_the_same_with_a_step(host):
    host.epoch, host.start_ms = 20, 25.0
    found = host.measure(step=True)
    assert (found.fewer_ms, found.all_ms) == (pytest.approx(14.0), pytest.approx(10.0))


@pytest.mark.parametrize(
    ("change", "measured"),
    [
        pytest.param({}, {"cores_used": 0.9}, id="less than half of the cores were in use"),
        pytest.param({}, {"seconds": 1.5}, id="the measurement was too short"),
        pytest.param({"usable": 1.0}, {}, id="there is one core only"),
        pytest.param({"cores": set()}, {}, id="the system does not let a process choose its cores"),
        pytest.param({"children": (7,)}, {}, id="child processes compute"),
        pytest.param({"ms": {2: 300.0, 1: 600.0}}, {"seconds": 9.0}, id="steps are too long"),
        pytest.param({"again": (1.4, 1.4)}, {}, id="it is slower each time with all cores"),
        pytest.param({"again": (1.8, 1.0)}, {}, id="threads stay on few cores"),
        pytest.param({"again": (1.4, 1.0), "ms": {2: 60.0, 1: 100.0}}, {}, id="steps are too long for another try"),
        pytest.param({"seen": Contention(steal_share=0.06)}, {}, id="the hypervisor took cores"),
        pytest.param({"seen": Contention(others_cores=0.2)}, {}, id="others used cores"),
        pytest.param({"stopped": True}, {}, id="the user wants an end"),
    ],
)
def test_it_is_not_measured_where_it_would_say_nothing(host, change, measured):
    vars(host).update(change)
    assert host.measure(**measured) is None


def test_a_rate_that_changed_is_measured_once_more(host):
    """From 10 ms to 14 after the first block: AUTOTUNE has chosen another number of calls."""
    host.ms, host.again = {2: 10.0, 1: 20.0}, (1.4, 1.0)
    found = host.measure()
    assert (found.fewer_ms, found.all_ms) == (pytest.approx(20.0), pytest.approx(14.0))
    assert 1.4 <= found.all_steps * 0.014 <= 1.5


@pytest.mark.usefixtures("host")
def test_a_step_that_does_not_wait_needs_no_more_cores():
    seen = StepStatistics(Floor())
    seen.fold_drain(0, [n * 10 * MS for n in range(1, 301)])
    step = SimpleNamespace()
    assert fewer_cores.on_fewer_cores(fewer_cores.Loop(loop.Feed([]), step, lambda: False), seen, 10**10) is None


def test_signs_of_life_come_each_second_while_steps_pass(host):
    """Two blocks of two seconds are longer than a short --timeout."""
    host.ms = {2: 150.0, 1: 250.0}
    host.measure()
    assert len(host.alive) >= 4
    assert max(after - before for before, after in pairwise(host.alive)) <= 1.5e9
