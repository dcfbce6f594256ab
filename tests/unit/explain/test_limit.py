"""What holds a pipeline up, from named measurements."""

from __future__ import annotations

import pytest

from pipeprof.profiles.explain.limit import causes_of, held_by_python, limit_of, top_stage
from pipeprof.profiles.profile import (
    Causes,
    Contention,
    Disk,
    Host,
    Memory,
    OpCost,
    Profile,
    Quantiles,
    Stage,
    Steps,
    Target,
    Tool,
)


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


@pytest.mark.parametrize(
    ("causes", "parallelism", "expected"),
    [
        (Causes(worker_cores=1.0, demanded_cores=1.0, python_share=0.9, blocked_share=0.0), 1, "gil"),
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
    found = limit_of(profile(causes, stage(19.0, parallelism), stage(1.0, address="stages.1")))
    assert (found.limit if found else None) == expected
    if found is not None:
        assert found.stage is not None
        assert found.stage.id == "stages.0"


def test_memory_at_the_limit_comes_before_all_else() -> None:
    found = limit_of(profile(Causes(demanded_cores=2.0), stage(19.0), memory=Memory(peak_bytes=950)))
    assert found is not None
    assert found.limit == "memory"


def test_a_short_serial_stage_is_no_limit() -> None:
    assert limit_of(profile(Causes(demanded_cores=1.0, blocked_share=0.0), stage(11.0, 1))) is None


def test_without_measurements_nothing_is_said() -> None:
    assert limit_of(profile(None, stage(19.0, 1))) is None


def test_a_disk_that_is_not_counted_is_said_to_be_unknown() -> None:
    found = limit_of(profile(Causes(demanded_cores=0.1, blocked_share=0.9), stage(19.0, 1)))
    assert found is not None
    assert found.limit == "latency"
    assert "not known" in found.because


def test_causes_are_worked_out_from_what_was_observed() -> None:
    found = causes_of(
        Contention(worker_cores=0.5, runnable_wait_share=0.5),
        Disk(bytes=20_000_000, source="proc-io"),
        steps(20.0),
        [stage(70.0), stage(10.0)],
        {"seconds": 0.5, "batches": 10, "python_seconds": 0.4, "python_ms": 500.0},
    )
    assert found == Causes(
        worker_cores=0.5,
        demanded_cores=1.0,
        blocked_share=0.75,
        disk_bytes_per_second=10e6,
        python_share=0.8,
        python_ms_per_batch=50.0,
    )


def test_causes_of_nothing_are_none() -> None:
    assert causes_of(None, None, steps(), [], None) is None
    found = causes_of(Contention(), None, steps(), [stage(5.0)], {"seconds": 0.0})
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
    assert held_by_python(share, worker, demanded) is held


def unseen(address: str = "stages.0") -> Stage:
    return Stage(id=address, origin="written", op="map")


def test_the_only_stage_of_unknown_cost_has_what_the_others_leave() -> None:
    found = limit_of(profile(Causes(), unseen(), stage(1.0, address="stages.1")))
    assert found is not None
    assert (found.limit, found.stage and found.stage.id) == (None, "stages.0")
    assert "all the others take only 1.00 ms of each batch" in found.because


def test_it_is_named_with_the_limit_that_is_known_otherwise() -> None:
    causes = Causes(worker_cores=1.0, demanded_cores=1.0, python_share=0.9)
    found = limit_of(profile(causes, unseen(), stage(1.0, address="stages.1")))
    assert found is not None
    assert (found.limit, found.stage and found.stage.id) == ("gil", "stages.0")


@pytest.mark.parametrize(
    "stages",
    [
        pytest.param([unseen(), stage(4.0, address="stages.1")], id="the others take a good part"),
        pytest.param([unseen(), unseen("stages.1"), stage(1.0, address="stages.2")], id="two of them"),
        pytest.param([unseen()], id="no cost is known"),
        pytest.param(
            [
                unseen().model_copy(update={"executed": "removed: it has no effect"}),
                stage(1.0, address="stages.1"),
            ],
            id="TensorFlow took it out",
        ),
    ],
)
def test_else_nothing_is_named(stages: list[Stage]) -> None:
    assert limit_of(profile(Causes(), *stages)) is None


def test_traced_ops_tell_what_the_model_did_not() -> None:
    traced = unseen().model_copy(update={"ops": [OpCost(op="DecodeJpeg", ms_per_batch=15.0)]})
    found = top_stage([traced, stage(4.0, address="stages.1")])
    assert found is not None
    assert found.id == "stages.0"


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param(1.0, "because others use 1.0 of the 2 (it gets 1.0)", id="others have them"),
        pytest.param(0.1, "because more of them want one at once than the 2 there are", id="it is in its own way"),
        pytest.param(None, "(it gets 1.0 of 2); whose work is in the way is not known", id="not known"),
    ],
)
def test_who_is_in_the_way_of_threads_that_wait_for_a_core(others: float | None, expected: str) -> None:
    causes = Causes(worker_cores=1.0, demanded_cores=1.8, python_share=0.0, blocked_share=0.0)
    found = profile(causes, stage(10.0, 2.0))
    found.contention = Contention(worker_cores=1.0, others_cores=others)
    held = limit_of(found)
    assert held is not None
    assert held.limit == "cpu"
    assert held.because == f"its threads wait for a core 44 % of the time{',' if others is not None else ''} {expected}"


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
    found = top_stage([*listed, stage(1.0, address="stages.9")], epochs)
    assert (found.id if found is not None else None) == top
