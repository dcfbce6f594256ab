"""What limits a pipeline: the longest term of the model, and what it is by; no TensorFlow, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.view.views import same

from pipeprof.profiles.document.memory import Disk, Memory
from pipeprof.profiles.document.profile import Host, Profile, Target, Tool
from pipeprof.profiles.document.shared import Contention, Steps
from pipeprof.profiles.document.stages import Causes, CpuAccount, PythonCost, Service, Stage
from pipeprof.profiles.protocol.messages import Trace, TracedFunction
from pipeprof.profiles.time.flow import cores_in_use, cores_were_free
from pipeprof.profiles.time.verdict import bound_blocked, collect_causes, find_limit
from pipeprof.profiles.time.words import describe_limit


def steps(interval: float = 20.0, wait: float | None = None, **more: Any) -> Steps:
    ms = same(interval if wait is None else wait)
    return Steps(
        count=100, seconds=interval / 10, interval_ms=same(interval), wait_ms=ms, fetch_ms=ms,
        wait_share=ms.mean / interval, **{"dispatch": None, **more},
    )  # fmt: skip


def stage(ms: float, address: str = "stages.0", calls: float | None = None, **more: Any) -> Stage:
    """A map that computes for so long per batch, several calls at a time or one."""
    executed = "MapDataset" if calls is None else "ParallelMapDatasetV2"
    given = {"time_ms_per_batch": ms, "cpu_ms_per_batch": ms, "timed_by": "model", "share": ms / 25, "tf_op": executed}
    return Stage.model_validate(
        {"id": address, "origin": "written", "op": "map", "parallelism": calls, **given, **more}
    )


def waits(ms: float, blocked: float, address: str = "stages.0", calls: float | None = None) -> Stage:
    return stage(ms, address, calls, cpu_ms_per_batch=ms - blocked, blocked_ms_per_batch=blocked)


def python(ms: float, calls: float | None = None) -> Stage:
    return stage(ms, calls=calls, python=[PythonCost(function="f", ms_per_batch=ms, share=1.0)])


def profile(*stages: Stage, cores: float = 2.0, **more: Any) -> Profile:
    cpu = sum(one.cpu_ms_per_batch or 0.0 for one in stages)
    return Profile(
        tool=Tool(version="1"),
        target=Target(kind="spec", text="a.yaml"),
        host=Host(system="Linux", machine="x86_64", cores=cores, memory_limit_bytes=1000),
        stages=list(stages),
        **{"steps": steps(), "cpu": CpuAccount(total_ms=cpu, stages_ms=cpu, runtime_ms=0.0), **more},
    )


def called(ms: float, blocked: float, lock: float, calls: float, share: float, **more: Any) -> Profile:
    """Calls of Python, of which so much of the time is blocked, and Python's lock taken for a share of it."""
    cost = PythonCost(function="f", ms_per_batch=ms, share=1.0, lock_share=lock)
    row = waits(ms, blocked, calls=calls).model_copy(update={"python": [cost]})
    return profile(row, causes=Causes(python_share=share, python_lock_share=lock), **more)


LOCKED = Causes(python_share=0.95, python_lock_share=0.95)
FREE = Causes(python_share=0.95, python_lock_share=0.05)
NO_DISK, DISK = Causes(disk_bytes_per_second=0.0), Causes(disk_bytes_per_second=50e6)
BUSY = Contention(worker_cores=0.6, others_cores=1.4, runnable_wait_share=0.7)
ALONE = Contention(worker_cores=1.9, others_cores=0.0, runnable_wait_share=0.1)
BATCH = stage(1.0, "stages.1", op="batch", tf_op="BatchDatasetV2")
CASES: dict[str, tuple[Profile, str | None, str | None]] = {
    "one call at a time fills the step": (profile(stage(19.0), BATCH), "serial-stage", "stages.0"),
    "too short to fill it": (profile(stage(11.0), BATCH), None, None),
    "two in turn fill it": (profile(stage(9.0), stage(8.0, "stages.1")), "serial-stage", "stages.0"),
    "two on threads of their own do not": (
        profile(stage(12.0), stage(0.0, "stages.1", op="prefetch", tf_op="PrefetchDataset"), stage(9.0, "stages.2")),
        None, None),
    "in turn with the step, all of its wait": (
        profile(stage(9.5), steps=steps(20.0, 10.0, dispatch="sync", busy_ms=same(10.0))), "serial-stage", "stages.0"),
    "all cores": (profile(stage(38.0, calls=4.0), BATCH), "cpu", "stages.0"),
    "half of the cores": (profile(stage(20.0, calls=4.0), BATCH), None, None),
    "all of the cores between restarts": (
        profile(stage(31.0, calls=4.0), steps=steps(restart_share=0.2, epochs=4)), "cpu", "stages.0"),
    "Python that holds its lock": (profile(python(18.0, 4.0), BATCH, causes=LOCKED), "gil", "stages.0"),
    "Python that holds its lock, one call at a time": (profile(python(19.5), causes=LOCKED), "gil", "stages.0"),
    "calls of Python of which NumPy gives the lock back for moments": (
        called(32.0, 8.0, 0.72, 3.0, 1.0), "gil", "stages.0"),
    "calls of Python that sleep for most of their time": (called(40.0, 26.0, 0.7, 2.0, 0.95), "latency", "stages.0"),
    "calls of Python that wait for its lock while the step does not run": (
        called(56.0, 42.0, 0.95, 4.0, 0.7, steps=steps(20.0, 14.0, dispatch="sync", busy_ms=same(6.0))), None, None),
    "Python with its lock free": (profile(python(19.0), BATCH, causes=FREE), "serial-stage", "stages.0"),
    "calls of Python in turn, with its lock": (called(35.0, 15.0, 0.69, 2.0, 0.55), "gil", "stages.0"),
    "calls of Python in turn, with a lock of a library": (called(35.0, 15.0, 0.2, 2.0, 0.55), "latency", "stages.0"),
    "a sleep": (profile(waits(19.0, 18.0), BATCH, causes=NO_DISK), "latency", "stages.0"),
    "a sleep in several calls": (profile(waits(38.0, 36.0, calls=2.0), causes=NO_DISK), "latency", "stages.0"),
    "calls in turn behind a lock of a library": (
        profile(waits(76.0, 57.0, calls=4.0), cores=8.0), "latency", "stages.0"),
    "files": (profile(waits(19.0, 18.0), causes=DISK), "io", "stages.0"),
    "files, by the kernel's count": (
        profile(waits(19.0, 18.0), causes=Causes(), contention=Contention(stalled_by_files_share=0.9)),
        "io", "stages.0"),
    "few files, by the kernel's count": (
        profile(waits(19.0, 18.0), causes=DISK, contention=Contention(stalled_by_files_share=0.1)),
        "latency", "stages.0"),
    "half of the wait of a step is blocked": (
        profile(waits(14.0, 13.0), steps=steps(20.0, 7.0, dispatch=2), causes=NO_DISK), "latency", "stages.0"),
    "too few calls that compute": (profile(stage(38.0, calls=2.0), cores=8.0), None, "stages.0"),
    "a service": (
        profile(stage(0.5), waits(19.0, 19.0, "source").model_copy(update={"service": Service()})), "remote", "source"),
    "memory before all else": (profile(stage(19.0), memory=Memory(peak_bytes=950)), "memory", None),
    "other processes": (profile(stage(11.0), BATCH, contention=BUSY), "cpu", "stages.0"),
    "others, and a stage that wants no core": (
        profile(waits(19.0, 18.5), contention=BUSY, causes=NO_DISK), "latency", "stages.0"),
    "nobody else": (profile(stage(11.0), BATCH, contention=ALONE), None, None),
    "one of unknown cost": (
        profile(Stage(id="stages.0", origin="written", op="map"), stage(1.0, "stages.1")), None, "stages.0"),
    "no steps": (profile(stage(19.0), steps=None), None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_limits(name: str) -> None:
    made, limit, named = CASES[name]
    found = find_limit(made)
    assert (found.limit if found else None, found.stage.id if found and found.stage else None) == (limit, named)
    if name == "two in turn fill it":
        assert (found.term.resource, found.term.ms) == ("serial", pytest.approx(17.0))
        assert [part.held_ms for part in found.parts] == [9.0, 8.0]


def test_causes_are_worked_out_from_what_was_observed() -> None:
    found = collect_causes(
        Contention(worker_cores=0.5, runnable_wait_share=0.5),
        Disk(bytes=20_000_000, source="proc-io"),
        steps(20.0),
        [stage(70.0), stage(10.0)],
        Trace(seconds=0.5, batches=10, python_seconds=0.4),
    )
    assert found == Causes(worker_cores=0.5, blocked_share=0.75, disk_bytes_per_second=10e6, python_share=0.8)
    assert collect_causes(None, None, steps(), [], None) is None
    assert collect_causes(Contention(), None, steps(), [stage(5.0)], Trace(seconds=0.0)) == Causes()


@pytest.mark.parametrize(
    ("interval_ms", "share"),
    [
        pytest.param(20.0, 0.1, id="a step of which Python is a tenth"),
        pytest.param(2.5, 0.8, id="no step"),
        pytest.param(1.8, 0.8, id="tracing slows the pipeline down"),
    ],
)
def test_pythons_share_is_of_the_measured_time_though_the_trace_has_no_step(interval_ms: float, share: float) -> None:
    measured = replace(steps(interval_ms), interval_ms=replace(same(interval_ms), mean=2 * interval_ms))
    functions = [
        TracedFunction("a", "f", None, None, seconds=0.3, taken_seconds=0.03),
        TracedFunction("b", "g", None, None, seconds=0.1, taken_seconds=0.09),
    ]
    traced = Trace(seconds=0.5, batches=200, python_seconds=0.4, functions=functions)
    found = collect_causes(Contention(worker_cores=1.0, runnable_wait_share=0.0), None, measured, [], traced)
    assert found is not None
    assert found.python_share == pytest.approx(share)
    assert found.python_lock_share == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("share", "more", "blocked", "cpu"),
    [
        pytest.param(0.8, {}, [48.0, 16.0], [10.0, 4.0], id="most of the time"),
        pytest.param(0.4, {}, [None, None], [10.0, 10.0], id="no more than the model may be off by"),
        pytest.param(0.8, {"blocked_ms_per_batch": 1.0}, [None, 1.0], [10.0, 10.0], id="a trace has seen some"),
        pytest.param(0.8, {"service": Service()}, [None, None], [10.0, 10.0], id="a service"),
    ],
)
def test_without_a_trace_the_cpu_time_left_bounds_how_long_stages_were_blocked(share, more, blocked, cpu):
    stages = [stage(60.0, cpu_ms_per_batch=10.0), stage(20.0, cpu_ms_per_batch=10.0).model_copy(update=more)]
    bound_blocked(stages, Causes(blocked_share=share))
    assert [one.blocked_ms_per_batch for one in stages] == blocked
    assert [one.cpu_ms_per_batch for one in stages] == pytest.approx(cpu)


@pytest.mark.parametrize(
    ("found", "share", "free"),
    [
        (None, None, False),
        (Contention(worker_cores=0.1), None, False),
        (Contention(worker_cores=0.1, others_cores=0.1, runnable_wait_share=0.9), 0.1, True),
        (Contention(worker_cores=0.1, others_cores=0.9), 0.5, False),
        (Contention(worker_cores=0.5, others_cores=2.0), 1.0, False),
        (Contention(worker_cores=0.1, others_cores=0.1, throttled_seconds=0.1), 1.0, False),
        (Contention(worker_cores=0.1, others_cores=0.1, throttled_seconds=0.0, steal_share=0.04), 0.1, True),
        (Contention(worker_cores=0.1, others_cores=0.1, steal_share=0.05), 1.0, False),
    ],
)
def test_cores_are_in_use_or_taken_away(found: Contention | None, share: float | None, free: bool) -> None:
    assert cores_in_use(found, 2.0) == (share if share is None else pytest.approx(share))
    assert cores_were_free(found, 2.0) is free


def test_golden(golden: Callable[[str, str], None]) -> None:
    texts = []
    for name, (made, *_) in CASES.items():
        found = find_limit(made)
        texts.append(f"{name}:\n  {describe_limit(made, found) if found is not None else 'no limit'}\n")
    golden("verdict/limits.txt", "".join(texts))
