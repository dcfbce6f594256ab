"""Views for the tests of rules: ``measured(pipeline(stage("source", "range"), stage("stages.0", "map", ms=4.0)))``.

What a test does not say is neutral: nothing is expensive, a prefetch stands at the end, half of each step is waiting
and all of it could be won.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeprof.pipelines.meaning.executed_ops import family
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.memory import Device, Memory, Throughput
from pipeprof.profiles.document.profile import Host, Profile, Target, Tool
from pipeprof.profiles.document.shared import Contention, Dispatch, Quantiles, Steps
from pipeprof.profiles.document.stages import Headspace, OpCost, Stage
from pipeprof.profiles.view.view import ComponentView, FunctionView, MeasuredFacts, PipelineView, StageView

BATCHES = 100
"""Batches in the measured window of `measured`."""

_STATEFUL = ("PyFunc", "EagerPyFunc", "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "Print")
_PYTHON = frozenset({"PyFunc", "EagerPyFunc"})
_EXECUTED = {
    "batch": "BatchDatasetV2",
    "cache": "CacheDatasetV2",
    "filter": "FilterDataset",
    "flat_map": "FlatMapDataset",
    "from_generator": "FlatMapDataset",
    "from_tensor_slices": "TensorSliceDataset",
    "interleave": "InterleaveDataset",
    "list_files": "ShuffleDatasetV3",
    "map": "MapDataset",
    "padded_batch": "PaddedBatchDatasetV2",
    "prefetch": "PrefetchDataset",
    "range": "RangeDataset",
    "repeat": "RepeatDataset",
    "shuffle": "ShuffleDatasetV3",
    "zip": "ZipDataset",
}
_ASYNCHRONOUS_END = frozenset({"Prefetch", "ParallelMap", "MapAndBatch", "ParallelInterleave", "ParallelBatch"})


@dataclass(frozen=True)
class Built(PipelineView):
    """A view that remembers what `stage` said of costs, for `measured`."""

    given: tuple[StageView, ...] = ()


def tensor(dtype: str = "float32", *shape: int | None) -> ComponentView:
    """``tensor("uint8", 32, 32, 3)``."""
    return ComponentView(dtype, shape)


def function(*ops: str, **facts: Any) -> FunctionView:
    """A function of these TensorFlow ops; state, Python and randomness follow from them unless given."""
    found: dict[str, Any] = {
        "ops": frozenset(ops),
        "stateful_op": next((op for op in ops if op in _STATEFUL), None),
        "python": bool(_PYTHON.intersection(ops)),
        "random": any(op.startswith("Random") for op in ops),
        "constant_bytes": 0,
    }
    return FunctionView(**(found | facts))


def stage(
    id: str,
    op: str,
    *,
    tf_op: str | None = None,
    ms: float | None = None,
    blocked_ms: float | None = None,
    ops: Mapping[str, float] | None = None,
    parallelism: float | None = None,
    tunable: bool | None = None,
    share: float | None = None,
    count: int | None = None,
    bytes_per_element: float | None = None,
    buffered_bytes: int | None = None,
    buffered_elements: float | None = None,
    fused_with: str | None = None,
    line: int | None = None,
    **facts: Any,
) -> StageView:
    """One stage, costs per batch in milliseconds.

    Inputs, depth and owner follow from its address unless given in `facts`, other fields of StageView; `measured` works
    out what is not given of `blocked_ms`, `share` of all stages' time and `count`, the elements in the window.
    """
    base, last = re.fullmatch(r"(?:(.*)\.)?(source|stages\.\d+|injected\.\d+)", id).groups()
    measured_by_hand = facts.pop("measured", None)
    found: dict[str, Any] = {
        "inputs": (_before(base, last),) if last.startswith("stages") else (),
        "depth": len(re.findall(r"source|stages\.\d+", base)) if base else 0,
        "owner": _owner(base),
        "injected": last.startswith("injected"),
        "location": Location(file="spec.yaml", line=line) if line is not None else None,
        "executed_op": tf_op,
        "measured": measured_by_hand
        or Stage(
            id=id,
            name=facts.get("name"),
            origin="injected" if last.startswith("injected") else "written",
            op=op,
            tf_op=tf_op,
            fused_with=fused_with,
            time_ms_per_batch=ms,
            timed_by="model" if ms is not None else None,
            blocked_ms_per_batch=blocked_ms,
            ops=[OpCost(op=op, ms_per_batch=each) for op, each in ops.items()] if ops else None,
            parallelism=parallelism,
            tunable=tunable,
            share=share,
            elements=count,
            bytes_per_element=bytes_per_element,
            buffered_bytes=buffered_bytes,
            buffered_elements=buffered_elements,
        ),
    }
    return StageView(id=id, op=op, **(found | facts))


def _owner(base: str | None) -> str | None:
    """The stage whose function a pipeline stands in; the sides of a zip stand where the zip does."""
    while base is not None and (side := re.fullmatch(r"(.*)\.inputs\.\d+", base)):
        base = side[1].rpartition(".stages.")[0] if ".stages." in side[1] else side[1].rpartition(".")[0]
    return base or None


def _before(base: str | None, last: str) -> str:
    index = int(last.split(".")[1])
    name = f"stages.{index - 1}" if index else "source"
    return f"{base}.{name}" if base else name


def pipeline(
    *stages: StageView,
    static: bool = True,
    options: Mapping[str, Any] | None = None,
    cores: float = 4.0,
    memory_limit_bytes: int | None = None,
) -> Built:
    """A pipeline nothing of which ran; with ``static=False`` one that ran but has no profile."""
    given = tuple(replace(one, measured=None, executed_op=None) for one in stages) if static else stages
    return Built(
        kind="static" if static else "measured",
        stages=given,
        options=dict(options or {}),
        cores=cores,
        memory_limit_bytes=memory_limit_bytes,
        given=stages,
    )


def measured(
    view: Built,
    *,
    wait_share: float = 0.5,
    headspace: float | None = 0.5,
    dispatch: Dispatch | None = "sync",
    interval_ms: float = 20.0,
    worker_cores: float | None = 1.0,
    others_cores: float | None = 0.0,
    blocked_share: float | None = 0.0,
    cores: float | None = None,
    runnable_wait_share: float | None = 0.0,
    python_share: float | None = 0.0,
    python_lock: float | None = None,
    prefetched: bool = True,
    baseline_bytes: int | None = 400 * 1024**2,
    peak_bytes: int | None = 500 * 1024**2,
    restart_share: float | None = 0.0,
) -> PipelineView:
    """The same pipeline measured over `BATCHES` batches.

    Args:
        headspace: Share of the step that could be won at most; ``None`` where it was not measured.
        dispatch: ``sync``, steps in flight, or ``None`` for no step.
        blocked_share: Part of the time inside the stages in which their threads are blocked; ``None``: not sampled.
        prefetched: Let TensorFlow add a prefetch where the end is synchronous, as it does by default.
    """
    stages = [_run(one) for one in view.given]
    if prefetched and stages and not _ends_asynchronously(stages):
        added = stage("injected.0", "prefetch", tf_op="PrefetchDataset", ms=0.01, tunable=True)
        stages.append(replace(added, inputs=(_last(stages).id,)))
    stages = _blocked(_shares(_counts(stages)), blocked_share)
    host_cores = view.cores if cores is None else cores
    rows = [one.measured for one in stages if one.measured is not None]
    return PipelineView(
        kind="measured",
        stages=tuple(stages),
        options=view.options,
        cores=host_cores,
        memory_limit_bytes=view.memory_limit_bytes,
        profile=Profile(
            tool=Tool(version="0"),
            target=Target(kind="spec", text="spec.yaml"),
            complete=True,
            exit_code=0,
            host=Host(system="Linux", machine="x86_64", cores=host_cores, memory_limit_bytes=view.memory_limit_bytes),
            throughput=Throughput(batches_per_second=1000 / interval_ms),
            steps=_steps(wait_share, dispatch, interval_ms, restart_share),
            device=Device(kind="none" if dispatch is None else "simulate"),
            memory=Memory(baseline_bytes=baseline_bytes, peak_bytes=peak_bytes),
            stages=rows,
            headspace=None if headspace is None else Headspace.of(interval_ms, interval_ms * (1 - headspace), 4),
            contention=Contention(
                worker_cores=worker_cores, others_cores=others_cores, runnable_wait_share=runnable_wait_share
            ),
        ),
        facts=MeasuredFacts(
            worker_cores=worker_cores,
            others_cores=others_cores,
            runnable_wait_share=runnable_wait_share,
            python_share=python_share,
            python_lock_share=python_lock,
        ),
    )


def unnamed(view: PipelineView) -> PipelineView:
    """The same view without any name of the user's."""
    stages = tuple(
        replace(
            one, name=None, measured=None if one.measured is None else one.measured.model_copy(update={"name": None})
        )
        for one in view.stages
    )
    return replace(view, stages=stages)


def same(ms: float) -> Quantiles:
    """Times that are all the same."""
    return Quantiles(mean=ms, p50=ms, p95=ms, p99=ms, max=ms)


def _steps(wait_share: float, dispatch: Dispatch | None, interval_ms: float, restart_share: float | None) -> Steps:
    wait = wait_share * interval_ms
    return Steps(
        count=BATCHES,
        dispatch=dispatch,
        seconds=BATCHES * interval_ms / 1000,
        interval_ms=same(interval_ms),
        wait_ms=same(wait),
        fetch_ms=same(wait + 0.02),
        busy_ms=None if dispatch is None else same(interval_ms - wait),
        wait_share=wait_share,
        restart_share=restart_share,
    )


def _run(one: StageView) -> StageView:
    tf_op = one.executed_op or _EXECUTED.get(one.op) or f"{one.op.title().replace('_', '')}Dataset"
    row = one.measured
    if row is None:
        row = Stage(id=one.id, name=one.name, origin="injected" if one.injected else "written", op=one.op)
    if row.time_ms_per_batch is None and row.fused_with is None:
        row = row.model_copy(update={"time_ms_per_batch": 0.01})
    row = row.model_copy(update={"tf_op": tf_op, "depth": one.depth, "location": one.location})
    made_parallel = one.made_parallel
    if made_parallel is None and one.op == "map":
        made_parallel = family(tf_op) == "ParallelMap" and "num_parallel_calls" not in one.arguments
    return replace(one, executed_op=tf_op, made_parallel=made_parallel, measured=row)


def _last(stages: Sequence[StageView]) -> StageView:
    return [one for one in stages if one.depth == 0 and not one.injected][-1]


def _ends_asynchronously(stages: Sequence[StageView]) -> bool:
    if any(one.injected and one.op == "prefetch" for one in stages):
        return True
    return family(_last(stages).executed_op or "") in _ASYNCHRONOUS_END


def _counts(stages: list[StageView]) -> list[StageView]:
    """Elements in the window: a batch takes as many as its size of what it reads, all else as many as it gives."""
    readers: dict[str, StageView] = {source: one for one in stages for source in one.inputs}
    known: dict[str, int] = {}

    def of(one: StageView) -> int:
        if one.id not in known:
            above = readers.get(one.id)
            size = above.arguments.get("batch_size", 1) if above is not None and above.op.endswith("batch") else 1
            owner = next((other for other in stages if other.id == one.owner), None)
            known[one.id] = BATCHES if above is None and owner is None else of(above or owner) * int(size)
        return known[one.id]

    return [
        one
        if one.measured is None or one.measured.elements is not None
        else replace(one, measured=one.measured.model_copy(update={"elements": of(one)}))
        for one in stages
    ]


def _blocked(stages: list[StageView], share: float | None) -> list[StageView]:
    def of(row: Stage) -> Stage:
        if share is None or row.time_ms_per_batch is None or row.blocked_ms_per_batch is not None:
            return row
        return row.model_copy(update={"blocked_ms_per_batch": share * row.time_ms_per_batch})

    return [one if one.measured is None else replace(one, measured=of(one.measured)) for one in stages]


def _shares(stages: list[StageView]) -> list[StageView]:
    total = sum(one.ms_per_batch or 0.0 for one in stages)
    return [
        one
        if one.measured is None or one.measured.share is not None or one.ms_per_batch is None or not total
        else replace(one, measured=one.measured.model_copy(update={"share": one.ms_per_batch / total}))
        for one in stages
    ]
