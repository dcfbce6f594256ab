"""What holds a pipeline up, from named measurements."""

from __future__ import annotations

import pytest

from pipeprof.profiles.document.measured import Disk
from pipeprof.profiles.document.memory import LedgerEntry, Memory
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Contention, Quantiles, Steps
from pipeprof.profiles.document.stages import Causes, OpCost, PythonCost, Service, Stage
from pipeprof.profiles.document.subject import Host, Target, Tool
from pipeprof.profiles.document.time import CpuAccount
from pipeprof.profiles.protocol.messages import Trace
from pipeprof.profiles.time.bottleneck import find_bottleneck
from pipeprof.profiles.time.causes import bound_blocked, collect_causes
from pipeprof.profiles.time.limits.cores import cores_in_use, cores_were_free
from pipeprof.profiles.time.limits.disturbance import find_disturbance
from pipeprof.profiles.time.limits.gil import limited_by_gil
from pipeprof.profiles.time.top_stage import top_groups, unread_note


def quantiles(ms: float) -> Quantiles:
    return Quantiles(mean=ms, p50=ms, p95=ms, p99=ms, max=ms)


def steps(interval: float = 20.0) -> Steps:
    return Steps(
        count=100,
        dispatch="sync",
        seconds=interval / 10,
        interval_ms=quantiles(interval),
        wait_ms=quantiles(interval / 2),
        fetch_ms=quantiles(interval / 2),
        wait_share=0.5,
    )


def stage(ms: float, parallelism: float | None = None, address: str = "stages.0") -> Stage:
    return Stage(id=address, origin="written", op="map", cpu_ms_per_batch=ms, parallelism=parallelism)


def profile(causes: Causes | None, *stages: Stage, cores: float = 2.0, memory: Memory | None = None) -> Profile:
    return Profile(
        tool=Tool(version="1"),
        target=Target(kind="spec", text="a.yaml"),
        host=Host(system="Linux", machine="x86_64", cores=cores, memory_limit_bytes=1000),
        steps=steps(),
        stages=list(stages),
        causes=causes,
        memory=memory or Memory(),
    )


def top_ids(stages: list[Stage], epochs: int = 0, interval_ms: float = 0.0) -> list[str]:
    return [group.stage.id for group in top_groups(stages, epochs, interval_ms)]


@pytest.mark.parametrize(
    ("causes", "parallelism", "expected"),
    [
        (Causes(worker_cores=1.0, demanded_cores=1.0, python_share=0.9, blocked_share=0.0), 1, "gil"),
        (Causes(worker_cores=1.0, demanded_cores=1.0, python_share=0.9, python_lock_share=0.9), 1, "gil"),
        (Causes(worker_cores=1.0, demanded_cores=1.0, python_share=0.9, python_lock_share=0.05), 1, "serial-stage"),
        (Causes(worker_cores=0.1, demanded_cores=0.1, python_share=0.9, blocked_share=0.9), 1, "latency"),
        (Causes(worker_cores=1.9, demanded_cores=1.9, blocked_share=0.1), 4, "cpu"),
        (Causes(worker_cores=1.0, demanded_cores=1.8, blocked_share=0.1), 4, "cpu"),
        (Causes(worker_cores=0.2, demanded_cores=0.2, blocked_share=0.8, disk_bytes_per_second=50e6), 1, "io"),
        (Causes(worker_cores=0.2, demanded_cores=0.2, blocked_share=0.8, disk_bytes_per_second=0.0), 1, "latency"),
        (Causes(worker_cores=1.0, demanded_cores=1.0, blocked_share=0.1), 1, "serial-stage"),
        (Causes(worker_cores=0.8, demanded_cores=2.2, blocked_share=0.0), 1, "serial-stage"),
        (Causes(worker_cores=1.0, demanded_cores=1.0, blocked_share=0.1), 2, None),
        (Causes(), 2, None),
    ],
)
def test_the_first_measurement_that_holds_names_the_limit(
    causes: Causes, parallelism: float, expected: str | None
) -> None:
    found = find_bottleneck(profile(causes, stage(19.0, parallelism), stage(1.0, address="stages.1")))
    assert (found.limit if found else None) == expected
    if found is not None:
        assert found.stage is not None
        assert found.stage.id == "stages.0"


@pytest.mark.parametrize(
    ("wanted", "restart_share", "expected"),
    [(2.4, 0.083, "cpu"), (2.4, None, None), (1.7, 0.083, None), (None, 0.083, None)],
)
def test_cores_that_restarts_leave_idle_were_full_between_them(
    wanted: float | None, restart_share: float | None, expected: str | None
) -> None:
    """1.58 of 2 cores in all; the threads have to have wanted all of them."""
    busy = profile(Causes(worker_cores=1.58, demanded_cores=wanted), stage(19.0, 4))
    assert busy.steps is not None
    busy.steps.restart_share, busy.steps.epochs = restart_share, 4
    busy.contention = Contention(worker_cores=1.58, others_cores=0.0, runnable_wait_share=0.3)
    found = find_bottleneck(busy)
    assert (found.limit if found else None) == expected
    if found is not None:
        assert found.text.startswith("CPU: 1.6 of 2 cores in use, about 1.7 between restarts")


@pytest.mark.parametrize(("used", "limit"), [(1.80, "serial-stage"), (1.83, "cpu")])
def test_stages_in_turn_are_no_limit_where_the_cores_are_as_good_as_full(used: float, limit: str) -> None:
    found = find_bottleneck(profile(Causes(worker_cores=used, demanded_cores=used), stage(19.0, 1)))
    assert found is not None
    assert found.limit == limit
    assert "or more cores" not in found.text


def test_memory_at_the_limit_comes_before_all_else() -> None:
    found = find_bottleneck(profile(Causes(demanded_cores=2.0), stage(19.0), memory=Memory(peak_bytes=950)))
    assert found is not None
    assert found.limit == "memory"


def test_a_short_serial_stage_is_no_limit() -> None:
    assert find_bottleneck(profile(Causes(demanded_cores=1.0, blocked_share=0.0), stage(11.0, 1))) is None


def test_without_measurements_nothing_is_said() -> None:
    assert find_bottleneck(profile(None, stage(19.0, 1))) is None


def test_causes_are_worked_out_from_what_was_observed() -> None:
    found = collect_causes(
        Contention(worker_cores=0.5, runnable_wait_share=0.5),
        Disk(bytes=20_000_000, source="proc-io"),
        steps(20.0),
        [stage(70.0), stage(10.0)],
        Trace(seconds=0.5, batches=10, python_seconds=0.4, python_ms=500.0),
    )
    assert found == Causes(
        worker_cores=0.5,
        demanded_cores=1.0,
        blocked_share=0.75,
        disk_bytes_per_second=10e6,
        python_share=0.8,
        python_ms_per_batch=50.0,
    )


@pytest.mark.parametrize(("lock", "limit"), [(0.49, None), (0.51, "gil")])
def test_the_gil_is_held_for_half_of_the_time_where_it_is_the_limit(lock: float, limit: str | None) -> None:
    causes = Causes(worker_cores=1.2, demanded_cores=1.54, python_share=0.99, python_lock_share=lock)
    found = find_bottleneck(profile(causes, stage(19.0, 4)))
    assert (found.limit if found else None) == limit


@pytest.mark.parametrize(
    ("ms", "seen", "blocked", "cpu"),
    [
        pytest.param([95.0, 5.0], None, 75.0, 20.0, id="without the others' part"),
        pytest.param([89.0, 11.0], None, None, 50.0, id="not alone"),
        pytest.param([95.0, 5.0], 1.0, None, 50.0, id="a trace has seen it"),
        pytest.param([], None, None, None, id="no stages"),
    ],
)
def test_without_a_trace_the_cpu_time_left_bounds_how_long_a_stage_was_blocked(
    ms: list[float], seen: float | None, blocked: float | None, cpu: float | None
) -> None:
    stages = [stage(one) for one in ms]
    for one in stages:
        one.time_ms_per_batch, one.cpu_ms_per_batch = one.cpu_ms_per_batch, 50.0
    for one in stages[1:]:
        one.blocked_ms_per_batch = seen
    remote = [one.model_copy(update={"service": Service()}) for one in stages]
    bound_blocked(stages, Causes(blocked_share=0.8))
    bound_blocked(remote, Causes(blocked_share=0.8))
    assert all(one.cpu_ms_per_batch == 50.0 for one in remote)
    found = [(one.blocked_ms_per_batch, one.cpu_ms_per_batch) for one in stages[:1]]
    assert found == ([pytest.approx((blocked, cpu))] if stages else [])


def test_collect_causes_nothing_are_none() -> None:
    assert collect_causes(None, None, steps(), [], None) is None
    found = collect_causes(Contention(), None, steps(), [stage(5.0)], Trace(seconds=0.0))
    assert found == Causes()


@pytest.mark.parametrize(
    ("share", "worker", "demanded", "held"),
    [
        (0.9, 1.0, 1.0, True),
        (0.5, 1.0, 1.0, False),
        (0.9, 0.1, 0.2, False),
        (0.9, 0.7, 2.1, True),
        (0.8, 0.7, 2.1, False),
        (0.95, 0.2, 2.1, False),
        (0.95, 1.9, 2.0, False),
        (None, 1.0, 1.0, False),
        (0.9, None, None, False),
    ],
)
def test_pythons_lock_is_told_also_where_others_use_the_cores(
    share: float | None, worker: float | None, demanded: float | None, *, held: bool
) -> None:
    assert limited_by_gil(share, worker, demanded) is held


def unseen(address: str = "stages.0") -> Stage:
    return Stage(id=address, origin="written", op="map")


def test_the_only_stage_of_unknown_cost_has_what_the_others_leave() -> None:
    found = find_bottleneck(profile(Causes(), unseen(), stage(1.0, address="stages.1")))
    assert found is not None
    assert (found.limit, found.stage and found.stage.id) == (None, "stages.0")
    assert found.text.startswith("map: all other stages take only 1.00 ms of each batch")


def test_several_of_unknown_cost_have_it_together_with_the_starts_of_epochs() -> None:
    found = find_bottleneck(profile(Causes(), unseen(), unseen("stages.1"), stage(1.0, address="stages.2")))
    assert found is not None
    assert (found.limit, found.stage) == (None, None)
    assert found.text == (
        "map ×2 together take up to 9.00 ms of each batch: all other stages take only 1.00 ms of each batch "
        "(their own costs could not be read)"
    )


def test_it_is_named_with_the_limit_that_is_known_otherwise() -> None:
    causes = Causes(worker_cores=1.0, demanded_cores=1.0, python_share=0.9)
    found = find_bottleneck(profile(causes, unseen(), stage(1.0, address="stages.1")))
    assert found is not None
    assert (found.limit, found.stage and found.stage.id) == ("gil", "stages.0")


@pytest.mark.parametrize(
    "stages",
    [
        pytest.param([unseen(), stage(4.0, address="stages.1")], id="the others take a good part"),
        pytest.param([unseen(), unseen("stages.1"), stage(4.0, address="stages.2")], id="two of them, as above"),
        pytest.param([unseen()], id="no cost is known"),
        pytest.param(
            [unseen().model_copy(update={"executed": "removed: it has no effect"}), stage(1.0, address="stages.1")],
            id="TensorFlow took it out",
        ),
    ],
)
def test_else_nothing_is_named(stages: list[Stage]) -> None:
    assert find_bottleneck(profile(Causes(), *stages)) is None


def test_traced_ops_tell_what_the_model_did_not() -> None:
    traced = unseen().model_copy(update={"ops": [OpCost(op="DecodeJpeg", ms_per_batch=15.0)]})
    assert top_ids([traced, stage(4.0, address="stages.1")]) == ["stages.0"]


def crowded(used: float, others: float, calls: float | None, stolen: float = 0.0) -> str | None:
    found = profile(Causes(worker_cores=used, demanded_cores=2.5, blocked_share=0.0), stage(10.0, calls))
    found.contention = Contention(
        worker_cores=used, others_cores=others, runnable_wait_share=1 - used / 2.5, steal_share=stolen
    )
    held = find_bottleneck(found)
    return held.text if held is not None else None


def test_threads_are_too_many_only_where_the_cores_are_in_use() -> None:
    too_many = "wait for a core 40 % of the time (more of them are runnable at once than the 2 there are)"
    assert too_many in (crowded(1.5, 0.1, 2.0) or "")
    # Woken on a core that was free, a thread waits as well.
    assert crowded(1.5, 0.0, 2.0) is None
    # One call at a time cannot want more than one.
    assert crowded(1.5, 0.1, 1.0) is None
    assert crowded(1.5, 0.1, None) is None
    # The hypervisor took what they waited for.
    assert too_many in (crowded(1.5, 0.1, 2.0, 0.04) or "")
    assert crowded(1.5, 0.1, 2.0, 0.05) is None
    assert "CPU: other programs use it" in (crowded(1.0, 1.0, 1.0) or "")


def test_of_threads_that_wait_mostly_for_each_other_both_users_are_named() -> None:
    text = crowded(1.6, 0.4, 2.0) or ""
    assert text.startswith("CPU: the pipeline uses 1.6 of 2 cores, other processes 0.4; the pipeline's threads wait")


@pytest.mark.parametrize(
    ("found", "share", "free"),
    [
        (None, None, False),
        (Contention(), None, False),
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


def looked_at(ms: float, blocked: float, calls: float = 1.0, share: float = 0.9, address: str = "stages.0") -> Stage:
    return stage(ms - blocked, calls, address).model_copy(
        update={"time_ms_per_batch": ms, "blocked_ms_per_batch": blocked, "share": share}
    )


def latency(*stages: Stage, blocked: float | None = None, disk: float | None = 0.0) -> tuple[str | None, str]:
    causes = Causes(worker_cores=0.5, demanded_cores=0.5, blocked_share=blocked, disk_bytes_per_second=disk)
    held = find_bottleneck(profile(causes, *stages))
    return (held.limit, held.text) if held is not None else (None, "")


def test_a_stage_waits_where_its_own_threads_were_seen_to() -> None:
    waits = "map spends 80 % of its time waiting"
    not_disk = f"{waits}, not computing, and not for the disk: perhaps for a network, a lock or a sleep"
    assert latency(looked_at(10.0, 8.0)) == ("latency", not_disk)
    assert latency(looked_at(10.0, 8.0), disk=50e6) == ("io", f"{waits} for files (48 MiB/s come from the disk)")
    unknown = f"{waits}, not computing; unknown whether for the disk"
    assert latency(looked_at(10.0, 8.0), disk=None) == ("latency", unknown)


@pytest.mark.parametrize(
    ("disk", "stalled", "limit", "words"),
    [
        (2.4e6, 0.35, "io", " for files (2.3 MiB/s come from the disk)"),
        (50e6, 0.35, "io", " for files (48 MiB/s come from the disk)"),
        (50e6, 0.1, "latency", ", not computing (48 MiB/s come from the disk), for files at most 25 % of it"),
        (None, 0.35, "io", " for files"),
        (None, 0.1, "latency", ", not computing; unknown whether for the disk"),
        (2.4e6, None, "latency", ", not computing (2.3 MiB/s come from the disk); unknown whether for the disk"),
        (5e4, 0.9, "latency", ", not computing, and not for the disk: perhaps for a network, a lock or a sleep"),
    ],
)
def test_blocked_threads_wait_for_files_where_the_kernel_saw_somebody_wait(
    disk: float | None, stalled: float | None, limit: str, words: str
) -> None:
    """8 of 20 ms are blocked."""
    causes = Causes(worker_cores=0.5, demanded_cores=0.5, disk_bytes_per_second=disk)
    made = profile(causes, looked_at(10.0, 8.0))
    made.contention = Contention(stalled_by_files_share=stalled)
    held = find_bottleneck(made)
    assert held is not None
    assert held.limit == limit
    assert held.text == f"map spends 80 % of its time waiting{words}"


def test_what_its_own_threads_did_comes_before_what_is_left_of_all() -> None:
    assert latency(looked_at(10.0, 1.0), blocked=0.9) == (None, "")
    assert latency(stage(10.0, 2.0), blocked=0.9)[0] == "latency"


def test_a_short_wait_explains_no_long_one() -> None:
    # The device waits 10 ms.
    assert latency(looked_at(5.1, 5.0))[0] == "latency"
    assert latency(looked_at(4.9, 4.8))[0] is None


def test_one_of_several_that_run_inside_a_function_is_not_serial() -> None:
    causes = Causes(worker_cores=1.0, demanded_cores=1.0, blocked_share=0.1)
    inner = stage(19.0, None, "stages.0.source")
    assert (held := find_bottleneck(profile(causes, inner))) is not None
    assert held.limit == "serial-stage"
    assert find_bottleneck(profile(causes, inner.model_copy(update={"ceiling_resource": "threads"}))) is None


def test_several_datasets_on_threads_of_their_own_are_not_said_to_be_one_call_at_a_time() -> None:
    causes = Causes(worker_cores=1.0, demanded_cores=1.0, blocked_share=0.1)
    source = stage(19.0).model_copy(update={"timed_by": "model", "ceiling_batches_per_second": 50.0})
    assert (held := find_bottleneck(profile(causes, source))) is not None
    assert held.limit == "serial-stage"
    assert find_bottleneck(profile(causes, source.model_copy(update={"ceiling_batches_per_second": None}))) is None


def test_no_written_stage_is_the_largest_where_an_injected_one_is() -> None:
    injected = Stage(id="injected.0", origin="injected", op="prefetch", cpu_ms_per_batch=4.0)
    assert top_ids([stage(3.0), injected]) == []
    assert top_ids([stage(5.0), injected]) == ["stages.0"]


def unread(*stages: Stage, epochs: int = 3, told: str = "") -> str:
    notes = [Message(code="stages-unseen", message="So.", stages=told.split())] if told else []
    note = unread_note(list(stages), epochs, notes)
    return note.message if note is not None else ""


def executed(op: str, address: str, **more: object) -> Stage:
    return Stage(id=address, origin="written", op=op, tf_op=op, **more)


def test_stages_that_had_ended_before_they_were_read_are_told() -> None:
    source, decode = executed("list_files", "source"), executed("map", "stages.0")
    rest = stage(1.0, address="stages.1")
    assert unread(source, decode, rest) == (
        "The costs of list_files and map are unknown: they finished before they could be read. The shares of the other "
        "stages leave them out."
    )
    decode.ops = [OpCost(op="DecodeJpeg", ms_per_batch=40.0), OpCost(op="Resize", ms_per_batch=5.0)]
    assert unread(source, decode, rest).endswith("By the trace, the ops of map take 45.0 ms per batch.")
    assert unread(source, decode, rest, told="source").startswith("The cost of map is unknown: it finished before ")
    assert unread(source, decode, rest, told="source stages.0") == ""


@pytest.mark.parametrize(
    ("stages", "epochs"),
    [
        pytest.param([executed("range", "source"), stage(1.0)], 0, id="it ended once, and took nothing since"),
        pytest.param([executed("range", "source")], 3, id="no cost is known at all"),
        pytest.param([Stage(id="source", origin="written", op="range"), stage(1.0)], 3, id="not in the graph"),
        pytest.param([executed("map", "stages.1", fused_with="stages.0"), stage(1.0)], 3, id="fused"),
        pytest.param([executed("map", "stages.1", executed="removed: no effect"), stage(1.0)], 3, id="removed"),
        pytest.param(
            [executed("map", "stages.0"), executed("cache", "stages.1", cpu_ms_per_batch=1.0)],
            3,
            id="served by a cache",
        ),
    ],
)
def test_else_nothing_is_missing(stages: list[Stage], epochs: int) -> None:
    assert unread(*stages, epochs=epochs) == ""


def test_a_source_below_repeat_ends_without_the_dataset() -> None:
    repeat = executed("repeat", "stages.1", cpu_ms_per_batch=1.0)
    assert unread(executed("range", "source"), repeat, epochs=0).startswith("The cost of range is unknown: ")


@pytest.mark.parametrize(
    ("stages", "epochs", "top"),
    [
        pytest.param(["stages.0", "cache stages.1"], 2, "stages.9", id="full"),
        pytest.param(["stages.0", "cache stages.1"], 1, None, id="being filled"),
        pytest.param(["cache stages.0", "stages.1"], 2, None, id="below the map"),
        pytest.param(["stages.0", "stages.0.source", "cache stages.1"], 2, "stages.9", id="and what is inside of it"),
        pytest.param(["stages.0", "cache stages.1", "take stages.2"], 2, None, id="never read to its end"),
        pytest.param(["source.inputs.0.stages.0", "cache source.inputs.0.stages.1"], 2, "stages.9", id="in a side"),
        pytest.param(["source.inputs.1.stages.0", "cache source.inputs.0.stages.1"], 2, None, id="in the other side"),
    ],
)
def test_what_a_full_cache_serves_costs_nothing(stages: list[str], epochs: int, top: str | None) -> None:
    listed = []
    for one in stages:
        op, _, address = one.rpartition(" ")
        listed.append(Stage(id=address, origin="written", op=op or "map"))
    assert top_ids([*listed, stage(1.0, address="stages.9")], epochs) == ([top] if top else [])


def test_of_parallel_calls_that_nobody_read_it_is_not_said_that_they_run_one_at_a_time() -> None:
    causes = Causes(worker_cores=1.0, demanded_cores=1.0, blocked_share=0.1)
    traced = stage(19.0, None).model_copy(update={"timed_by": "trace", "tf_op": "MapDataset"})
    assert (held := find_bottleneck(profile(causes, traced))) is not None
    assert held.text == "map runs one call at a time, on 1 of 2 cores (estimated from the trace)"
    assert find_bottleneck(profile(causes, traced.model_copy(update={"tf_op": "ParallelMapDatasetV2"}))) is None


def test_a_pipeline_that_computes_on_a_core_or_more_does_not_wait() -> None:
    """The time inside the stages may count twice what waits for another thread."""
    causes = Causes(worker_cores=1.4, demanded_cores=1.5, blocked_share=0.66)
    slow = stage(30.0, parallelism=2.0)
    found = find_bottleneck(profile(causes, slow, cores=4.0))
    assert found is None or found.limit not in ("latency", "io")
    found = find_bottleneck(profile(causes.model_copy(update={"worker_cores": 0.5}), slow, cores=4.0))
    assert found is not None
    assert found.limit == "latency"


@pytest.mark.parametrize(("blocked", "limit"), [(12.0, None), (19.9, "latency")])
def test_a_stage_that_is_blocked_all_the_time_sets_the_pace_while_others_compute(
    blocked: float, limit: str | None
) -> None:
    waiting = Stage(
        id="stages.0", origin="written", op="map", time_ms_per_batch=20.0, timed_by="model", cpu_ms_per_batch=0.0,
        blocked_ms_per_batch=blocked, threads=1.0, parallelism=2.0, ceiling_batches_per_second=100.0,
    )  # fmt: skip
    found = find_bottleneck(profile(Causes(worker_cores=1.4, demanded_cores=1.4), waiting, cores=4.0))
    assert (found.limit if found is not None else None) == limit


def test_a_stage_with_most_of_all_work_is_named_whatever_others_cost() -> None:
    known = stage(14.0, address="stages.1").model_copy(update={"share": 0.6})
    assert top_ids([unseen(), known], 0, 20.0) == [known.id]
    assert top_ids([unseen(), known.model_copy(update={"share": 0.4})], 0, 20.0) == []
    # A stage that mostly waits has no CPU time: it may be the one that is not known.
    assert top_ids([unseen(), known], 0, 40.0) == []


def test_readers_inside_of_parallel_calls_are_not_one_call_at_a_time() -> None:
    """Compressed records in a parallel interleave: each reader has a thread, and together they fill the cores."""
    causes = Causes(worker_cores=1.8, demanded_cores=1.8, blocked_share=0.0)
    reader = Stage(
        id="stages.0.source", origin="written", op="TFRecordDataset", tf_op="TFRecordDataset", depth=1, threads=4.0,
        time_ms_per_batch=19.0, cpu_ms_per_batch=19.0, timed_by="model", ceiling_batches_per_second=60.0, share=0.9,
    )  # fmt: skip
    found = find_bottleneck(profile(causes, reader))
    assert found is not None
    assert found.limit == "cpu"
    alone = find_bottleneck(
        profile(causes.model_copy(update={"worker_cores": 1.0}), reader.model_copy(update={"threads": 1.0}))
    )
    assert alone is not None
    assert alone.limit == "serial-stage"


def test_what_takes_longer_than_passes_is_not_one_call_at_a_time() -> None:
    causes = Causes(worker_cores=1.0, demanded_cores=1.0, blocked_share=0.0)
    found = find_bottleneck(profile(causes, stage(48.0)))
    assert found is None or found.limit != "serial-stage"


def test_rows_that_hold_too_little_name_no_stage() -> None:
    """Of a transformation that runs a part of the pipeline twice, the second copy was in no row."""
    causes = Causes(worker_cores=1.9, demanded_cores=1.9, blocked_share=0.0)
    rows = [
        stage(8.0, 2, "stages.0").model_copy(update={"share": 0.11}),
        stage(18.0, 2, "stages.1").model_copy(update={"share": 0.25, "op": "rejection_resample"}),
    ]
    account = CpuAccount(total_ms=74.0, stages_ms=26.0, unattributed_ms=46.0, runtime_ms=2.0)
    found = find_bottleneck(profile(causes, *rows).model_copy(update={"cpu": account}))
    assert found is not None
    assert (found.limit, found.stage) == ("cpu", None)
    assert found.text == (
        "CPU: 1.9 of 2 cores in use; which stage has most of the work is unknown: 64 % of it is in no stage's row, "
        "25 % in rejection_resample"
    )
    enough = account.model_copy(update={"unattributed_ms": 17.0})
    named = find_bottleneck(profile(causes, *rows).model_copy(update={"cpu": enough}))
    assert named is not None
    assert named.stage is not None


@pytest.mark.parametrize(
    ("changes", "locked"),
    [
        ({}, True),
        ({"blocked_ms_per_batch": 1.0}, False),
        ({"cpu_ms_per_batch": 30.0}, False),
        ({"parallelism": 1.0}, False),
        ({"python": None}, False),
    ],
)
def test_calls_that_wait_for_each_other_wait_for_a_lock(changes: dict[str, object], locked: bool) -> None:
    """``h5py`` has a lock of its own: with two calls at a time the rate is that of one, and Python's lock is free."""
    causes = Causes(worker_cores=1.05, demanded_cores=1.1, blocked_share=0.42, python_share=0.3, python_lock_share=0.22)
    reader = Stage(
        id="stages.0", origin="written", op="map", name="read_row", parallelism=2.0, time_ms_per_batch=35.0,
        cpu_ms_per_batch=20.0, blocked_ms_per_batch=15.0, share=0.95, timed_by="model",
        ceiling_batches_per_second=100.0, ceiling_resource="threads",
        python=[PythonCost(function="read_row", ms_per_batch=20.0, share=1.0)],
    )  # fmt: skip
    found = find_bottleneck(profile(causes, reader.model_copy(update=changes)))
    assert ("of 2 calls at a time one computes" in (found.text if found is not None else "")) is locked
    if locked and found is not None:
        assert (found.limit, found.stage is not None) == ("latency", True)


@pytest.mark.parametrize(("lock", "limit"), [(0.69, "gil"), (None, "gil"), (0.35, "latency")])
def test_calls_that_wait_for_each_other_with_the_gil_held_wait_for_it(lock: float | None, limit: str) -> None:
    """Short calls of Python ran 55 % of the traced time: too little to limit the pipeline by that alone."""
    causes = Causes(
        worker_cores=1.05, demanded_cores=1.1, blocked_share=0.3, python_share=0.55, python_lock_share=lock
    )  # fmt: skip
    rows = Stage(
        id="stages.0", origin="written", op="map", name="get_row", parallelism=2.0, time_ms_per_batch=35.0,
        cpu_ms_per_batch=20.0, blocked_ms_per_batch=15.0, share=0.95, timed_by="model",
        ceiling_batches_per_second=100.0, ceiling_resource="threads",
        python=[PythonCost(function="dense_row", ms_per_batch=8.0, share=1.0)],
    )  # fmt: skip
    found = find_bottleneck(profile(causes, rows))
    assert found is not None
    assert found.limit == limit


@pytest.mark.parametrize(("blocked", "limit"), [(6.3, "cpu"), (9.5, "latency")])
def test_where_others_take_the_cores_a_stage_that_computes_does_not_wait_for_something_else(
    blocked: float, limit: str
) -> None:
    """Its calls wait for ops on threads that wait for a core."""
    causes = Causes(worker_cores=0.33, demanded_cores=1.9, disk_bytes_per_second=0.0)
    disturbed = profile(causes, looked_at(10.0, blocked))
    disturbed.contention = Contention(worker_cores=0.33, others_cores=1.66, runnable_wait_share=0.9)
    found = find_bottleneck(disturbed)
    assert found is not None
    assert found.limit == limit


@pytest.mark.parametrize(
    ("calls", "worker", "waited", "limit"),
    [
        pytest.param(1.0, 1.1, 0.33, "serial-stage", id="one call at a time"),
        pytest.param(2.0, 1.1, 0.33, "cpu", id="several calls at a time"),
        pytest.param(1.0, 0.7, 0.6, "cpu", id="it waits for a core most of the time"),
        pytest.param(1.0, 1.9, 0.33, "cpu", id="the worker itself fills the cores"),
    ],
)
def test_one_call_at_a_time_is_the_limit_also_where_others_use_some_of_the_cores(
    calls: float, worker: float, waited: float, limit: str
) -> None:
    """A map that fills all of the time alone gained 2 times by parallel calls, beside others on 0.6 of 2 cores."""
    found = profile(Causes(worker_cores=worker, demanded_cores=worker / (1 - waited)), looked_at(20.0, 1.0, calls))
    others = 2.0 - worker if limit == "cpu" else 0.6
    found.contention = Contention(worker_cores=worker, others_cores=max(others, 0.5), runnable_wait_share=waited)
    bottleneck = find_bottleneck(found)
    assert bottleneck is not None
    assert bottleneck.limit == limit
    if limit == "serial-stage":
        assert bottleneck.text == (
            "map runs one call at a time, on 1 of 2 cores; other processes used 0.6 of 2 cores, and the pipeline's "
            "threads wait for a core 33 % of the time"
        )


def test_a_stage_that_waits_while_child_processes_work_may_wait_for_them() -> None:
    waiting = profile(Causes(worker_cores=0.5, demanded_cores=0.5, disk_bytes_per_second=0.0), looked_at(10.0, 8.0))
    waiting.memory.ledger = [LedgerEntry(owner="python", bytes=1 << 20, how="measured", what="child processes")]
    found = find_bottleneck(waiting)
    assert found is not None
    assert found.text.endswith(": probably for its child processes")


def test_where_cores_are_free_others_are_not_what_a_pipeline_waits_for() -> None:
    """Threads that other processes wake wait for a core as well; with 1.4 of 2 in use that is no lack of them."""
    causes = Causes(worker_cores=1.2, demanded_cores=2.9, disk_bytes_per_second=0.0)
    for others, limit in ((0.2, None), (0.8, "cpu")):
        found = profile(causes, looked_at(10.0, 4.0))
        found.contention = Contention(worker_cores=1.2, others_cores=others, runnable_wait_share=0.58)
        assert find_disturbance(found.contention, found.host) is not None
        bottleneck = find_bottleneck(found)
        assert (bottleneck.limit if bottleneck is not None else None) == limit


@pytest.mark.parametrize(("blocked", "own", "limit"), [(9.0, 9.0, "remote"), (None, 9.0, "remote"), (2.0, 9.0, None)])
def test_what_waits_for_a_service_is_limited_elsewhere(blocked: float | None, own: float, limit: str | None) -> None:
    """However busy this machine is: its cores are not what the service waits for."""
    reads = Stage(
        id="stages.2",
        origin="written",
        op="distribute",
        tf_op="DataServiceDatasetV4",
        time_ms_per_batch=own,
        cpu_ms_per_batch=own - (blocked or 0.0),
        blocked_ms_per_batch=blocked,
        service=Service(address="h1:5000", workers=1),
    )
    found = find_bottleneck(profile(Causes(worker_cores=0.5, demanded_cores=0.5), reads, stage(1.0)))
    assert (found.limit if found else None) == limit
    if found is not None:
        assert found.text == "waits for the tf.data service at h1:5000 (1 worker) 45 % of the time"
