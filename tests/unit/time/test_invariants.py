"""What must hold of the stages' times whatever was measured: random inputs, no TensorFlow, no clock."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage
from pipeprof.profiles.time.stage_time import CpuUsage, attribute_time
from pipeprof.profiles.time.trace_work import Work

SLACK = 1 + 1e-9
MS = st.floats(0.0, 1e4)
SHARE = st.floats(0.0, 1.0)
OPS = ("map", "batch", "shuffle", "flat_map", "from_generator", "prefetch")


@st.composite
def works(draw: st.DrawFn) -> Work:
    computing = draw(st.none() | SHARE)
    waiting = None if computing is None else draw(st.floats(0.0, 1.0 - computing))
    costs = draw(st.lists(MS, max_size=4))
    return Work(
        ms=draw(MS),
        at_work=draw(MS),
        computing=computing,
        waiting=waiting,
        intra_op=draw(st.floats(0.0, 3.0)),
        ops=[OpCost(op=f"Op{number}" if number else "PyFunc", ms_per_batch=ms) for number, ms in enumerate(costs)],
        python=[
            PythonCost(function="f", parent="PyFunc" if costs else None, ms_per_batch=ms, share=1.0, lock_share=lock)
            for ms, lock in draw(st.lists(st.tuples(MS, st.none() | SHARE), max_size=3))
        ],
        calls=draw(st.floats(0.0, 1e3)),
        calling=draw(MS),
        elements=draw(st.floats(0.0, 1e3)),
        model_ms=draw(st.none() | MS),
    )


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[list[Stage], dict[str, Work]]:
    times = draw(st.lists(st.none() | MS, min_size=1, max_size=6))
    total = sum(ms or 0.0 for ms in times) + draw(MS)
    rows: list[Stage] = []
    for number, ms in enumerate(times):
        more: dict[str, Any] = {}
        if rows and rows[-1].fused_with is None and draw(st.integers(0, 4)) == 0:
            ms, more = None, {"fused_with": rows[-1].id}  # noqa: PLW2901 - its time stands there
        threads = draw(st.none() | st.sampled_from([1.0, 2.0, 16.0]))
        row = Stage(
            id=f"stages.{number}",
            origin="written",
            op=draw(st.sampled_from(OPS)),
            tf_op=draw(st.sampled_from(["MapDataset", "ParallelMapDatasetV2"])),
            time_ms_per_batch=ms,
            share=ms / total if ms is not None and total else None,
            elements=draw(st.none() | st.integers(0, 10**6)),
            calls_per_batch=draw(st.none() | st.floats(0.0, 1e3)),
            threads=threads,
            **more,
        )
        rows.append(row)
    return rows, {row.id: draw(works()) for row in rows if draw(st.booleans())}


USAGES = st.builds(
    CpuUsage,
    total_ms=st.none() | MS,
    loop_ms=st.none() | st.floats(0.0, 10.0),
    pipeprof_ms=st.none() | st.floats(0.0, 10.0),
    waiting_share=st.none() | SHARE,
    interval_ms=st.none() | st.floats(0.01, 1e3),
    batches=st.none() | st.integers(1, 1000),
)


@settings(deadline=None)
@given(pipelines(), USAGES)
def test_no_stage_takes_more_than_its_threads_the_process_and_its_parts_no_more_than_it(pipeline, usage):
    stages, work = pipeline
    rows, account = attribute_time(stages, work, usage)
    for row in rows:
        inside, cpu, blocked = row.time_ms_per_batch, row.cpu_ms_per_batch or 0.0, row.blocked_ms_per_batch or 0.0
        if inside is None:
            continue
        if row.threads is not None and usage.interval_ms is not None:
            assert inside <= row.threads * usage.interval_ms * SLACK
            assert blocked <= inside * SLACK
        fused = [one for one in rows if row.id in (one.id, one.fused_with)]
        ops = sum(one.ms_per_batch for part in fused for one in part.ops or [])
        assert ops <= (cpu + blocked) * SLACK + 1e-9
        for part in fused:
            calling = {one.op: one.ms_per_batch for one in part.ops or []}.get("PyFunc")
            python = sum(one.ms_per_batch for one in part.python or [])
            assert python <= (calling if calling else cpu + blocked) * SLACK + 1e-9
    if usage.total_ms is not None and account is not None:
        assert sum(row.cpu_ms_per_batch or 0.0 for row in rows) <= usage.total_ms * SLACK + 1e-9
    assert sum(row.share or 0.0 for row in rows) <= SLACK
