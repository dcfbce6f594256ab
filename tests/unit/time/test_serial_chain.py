"""Stages that take turns on one thread."""

from __future__ import annotations

import pytest

from pipeprof.profiles.document.shared import Dispatch, Quantiles, Steps
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.limits.serial_chain import Chain, find_chain

OPS = {
    "range": "RangeDataset",
    "map": "MapDataset",
    "parallel map": "ParallelMapDatasetV2",
    "batch": "BatchDatasetV2",
    "prefetch": "PrefetchDataset",
    "zip": "ZipDataset",
    "flat_map": "FlatMapDataset",
    "interleave": "ParallelInterleaveDatasetV4",
    "shuffle": "ShuffleDatasetV3",
}


def quantiles(ms: float) -> Quantiles:
    return Quantiles(mean=ms, p50=ms, p95=ms, p99=ms)


def steps(dispatch: Dispatch | None = "sync", wait_ms: float = 30.0, restart_share: float | None = None) -> Steps:
    """Of 40 ms."""
    return Steps(
        count=100,
        dispatch=dispatch,
        seconds=4.0,
        interval_ms=quantiles(40.0),
        wait_ms=quantiles(wait_ms),
        fetch_ms=quantiles(wait_ms),
        wait_share=wait_ms / 40.0,
        restart_share=restart_share,
    )


def stages(*rows: str) -> list[Stage]:
    """Stages written as ``address op ms``, with the number of calls after a ``×``."""
    found = []
    for row in rows:
        address, _, rest = row.partition(" ")
        op, _, number = rest.rpartition(" ")
        ms, _, calls = number.partition("×")
        origin = "injected" if address.startswith("injected") else "written"
        found.append(
            Stage(
                id=address,
                origin=origin,
                depth=address.count("stages") + address.count("source") - 1 if origin == "written" else 0,
                op=op.removeprefix("parallel "),
                tf_op=OPS[op],
                time_ms_per_batch=float(ms),
                parallelism=float(calls) if calls else None,
            )
        )
    return found


def names(found: Chain | None) -> list[str] | None:
    return [part.id for part in found.parts] if found is not None else None


def test_stages_before_a_prefetch_whose_sum_is_the_interval() -> None:
    found = find_chain(
        stages("source range 0.5", "stages.0 map 20", "stages.1 map 15", "stages.2 batch 4", "stages.3 prefetch 0"),
        steps(),
    )
    assert found is not None
    assert names(found) == ["stages.0", "stages.1", "stages.2"]
    assert (found.total_ms, found.filled_ms, found.in_turn) == (39.5, 40.0, False)


@pytest.mark.parametrize("added", [True, False])
def test_without_a_prefetch_the_step_takes_turns_with_them(added: bool) -> None:
    rows = ["source range 0", "stages.0 map 20", "stages.1 batch 10", *(["injected.0 prefetch 0"] if added else [])]
    found = find_chain(stages(*rows), steps())
    if added:
        assert found is None
    else:
        assert found is not None
        assert (found.filled_ms, found.in_turn) == (30.0, True)
        assert find_chain(stages(*rows), steps(dispatch=1)) is None


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        pytest.param(
            ["stages.0 parallel map 60×4", "stages.1 map 25", "stages.2 batch 14"], ["stages.1", "stages.2"], id="above"
        ),
        pytest.param(
            ["stages.0 map 20", "stages.1 parallel map 19×1", "stages.2 batch 1"], ["stages.0", "stages.1"], id="own"
        ),
        pytest.param(["stages.0 map 20", "stages.1 parallel map 19×2", "stages.2 batch 1"], None, id="several calls"),
        pytest.param(["stages.0 map 20", "stages.1 prefetch 0", "stages.2 map 19"], None, id="a prefetch between"),
        pytest.param(["stages.0 map 20", "stages.1 map 10"], None, id="too little"),
        pytest.param(["stages.0 map 30", "stages.1 map 20"], None, id="more than one thread can do"),
        pytest.param(["stages.0 map 39", "stages.1 batch 1"], None, id="one alone"),
        pytest.param(
            ["stages.0 flat_map 1", "stages.0.source range 19", "stages.0.stages.0 map 19"],
            ["stages.0.source", "stages.0.stages.0"],
            id="inside a function",
        ),
        pytest.param(
            ["stages.0 interleave 1×4", "stages.0.source range 19", "stages.0.stages.0 map 19"],
            None,
            id="of which several run",
        ),
    ],
)
def test_a_stage_that_runs_ahead_has_threads_of_its_own(rows: list[str], parts: list[str] | None) -> None:
    found = find_chain(stages("source range 0", *rows, "stages.9 prefetch 0"), steps())
    assert names(found) == parts


def test_the_sides_of_a_zip_take_turns() -> None:
    sides = ["source.inputs.0.source range 0", "source.inputs.0.stages.0 map 20"]
    others = ["source.inputs.1.source range 0", "source.inputs.1.stages.0 map 19"]
    found = find_chain(stages("source zip 0.5", *sides, *others, "stages.0 prefetch 0"), steps())
    assert names(found) == ["source.inputs.0.stages.0", "source.inputs.1.stages.0"]


def test_what_restarts_take_is_not_filled() -> None:
    rows = stages("source range 0", "stages.0 map 16", "stages.1 map 14", "stages.2 prefetch 0")
    assert find_chain(rows, steps()) is None
    assert names(find_chain(rows, steps(restart_share=0.25))) == ["stages.0", "stages.1"]
