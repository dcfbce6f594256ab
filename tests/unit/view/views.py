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
from pipeprof.profiles.document.stages import Headspace, Stage
from pipeprof.profiles.view.view import ComponentView, FunctionView, MeasuredFacts, PipelineView, StageView

BATCHES = 100
"""Batches in the measured window of `measured`."""

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
        "stateful_op": next((op for op in ops if op in _PYTHON or op.startswith("Random")), None),
        "python": bool(_PYTHON.intersection(ops)),
        "random": any(op.startswith("Random") for op in ops),
        "constant_bytes": 0,
    }
    return FunctionView(**(found | facts))


_ROW = {"ms": "time_ms_per_batch", "blocked_ms": "blocked_ms_per_batch", "count": "elements"}
"""Costs as `stage` has them, and as the profile's rows do; all others have one name."""
for _name in ("fused_with", "parallelism", "tunable", "bytes_per_element", "buffered_bytes", "buffered_elements"):
    _ROW[_name] = _name


def stage(id: str, op: str, *, tf_op: str | None = None, line: int | None = None, **facts: Any) -> StageView:
    """One stage with costs per batch: ``ms``, ``blocked_ms``, ``count`` of elements in the window, see `_ROW`.

    Inputs, depth and owner follow from its address unless given in `facts`, other fields of StageView; `measured` works
    out what is not given of ``blocked_ms``, ``count`` and the share of all stages' time.
    """
    base, last = re.fullmatch(r"(?:(.*)\.)?(source|stages\.\d+|injected\.\d+)", id).groups()
    injected = last.startswith("injected")
    costs = {field: facts.pop(name) for name, field in _ROW.items() if name in facts}
    costs["timed_by"] = "model" if costs.get("time_ms_per_batch") is not None else None
    origin = "injected" if injected else "written"
    found: dict[str, Any] = {
        "inputs": (_before(base, last),) if last.startswith("stages") else (),
        "depth": len(re.findall(r"source|stages\.\d+", base)) if base else 0,
        "owner": _owner(base),
        "injected": injected,
        "location": Location(file="spec.yaml", line=line) if line is not None else None,
        "executed_op": tf_op,
        "measured": Stage(id=id, name=facts.get("name"), origin=origin, op=op, tf_op=tf_op, **costs),
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
    worker_cores: float | None = 1.0,
    runnable_wait_share: float | None = 0.0,
    python_share: float | None = 0.0,
    python_lock: float | None = None,
    interval_ms: float = 20.0,
    **run: Any,
) -> PipelineView:
    """The same pipeline measured over `BATCHES` batches; a prefetch is added where its end is synchronous.

    The rest of `run` is of `profile_of`.
    """
    stages = [_run(one) for one in view.given]
    if stages and not _ends_asynchronously(stages):
        added = stage("injected.0", "prefetch", tf_op="PrefetchDataset", ms=0.01, blocked_ms=0.0, tunable=True)
        stages.append(replace(added, inputs=(_last(stages).id,)))
    stages = _shares(_counts(stages))
    spent = {"worker_cores": worker_cores, "others_cores": 0.0, "runnable_wait_share": runnable_wait_share}
    return PipelineView(
        kind="measured",
        stages=tuple(stages),
        options=view.options,
        cores=view.cores,
        memory_limit_bytes=view.memory_limit_bytes,
        profile=profile_of(
            [one.measured for one in stages],
            interval_ms,
            cores=view.cores,
            memory_limit_bytes=view.memory_limit_bytes,
            contention=Contention(**spent),
            **run,
        ),
        facts=MeasuredFacts(**spent, python_share=python_share, python_lock_share=python_lock),
    )


def profile_of(
    stages: list[Stage],
    interval_ms: float,
    *,
    kind: str = "spec",
    batches: int = BATCHES,
    wait_share: float = 0.5,
    headspace: float | None = 0.5,
    dispatch: Dispatch | None = "sync",
    restart_share: float | None = 0.0,
    baseline_bytes: int | None = 400 * 1024**2,
    peak_bytes: int | None = 500 * 1024**2,
    cores: float = 4.0,
    memory_limit_bytes: int | None = None,
    contention: Contention | None = None,
) -> Profile:
    """A run of these stages; `headspace` is the share of the step that could be won, no `dispatch` is no step."""
    wait = wait_share * interval_ms
    return Profile(
        tool=Tool(version="0"),
        target=Target(kind=kind, text="spec.yaml" if kind == "spec" else "pipeline.py:make"),
        complete=True,
        exit_code=0,
        host=Host(system="Linux", machine="x86_64", cores=cores, memory_limit_bytes=memory_limit_bytes),
        throughput=Throughput(batches_per_second=1000 / interval_ms),
        steps=Steps(
            count=batches,
            dispatch=dispatch,
            seconds=batches * interval_ms / 1000,
            interval_ms=same(interval_ms),
            wait_ms=same(wait),
            fetch_ms=same(wait + 0.02),
            busy_ms=None if dispatch is None else same(interval_ms - wait),
            wait_share=wait_share,
            restart_share=restart_share,
        ),
        device=Device(kind="none" if dispatch is None else "simulate"),
        memory=Memory(baseline_bytes=baseline_bytes, peak_bytes=peak_bytes),
        stages=stages,
        headspace=None if headspace is None else Headspace.of(interval_ms, interval_ms * (1 - headspace), 4),
        contention=contention,
    )


def unnamed(view: PipelineView) -> PipelineView:
    """The same view without any name of the user's."""
    stages = (replace(one, name=None) for one in view.stages)
    return replace(view, stages=tuple(one if one.measured is None else _told(one, name=None) for one in stages))


def same(ms: float) -> Quantiles:
    """Times that are all the same."""
    return Quantiles(mean=ms, p50=ms, p95=ms, p99=ms, max=ms)


def _run(one: StageView) -> StageView:
    tf_op = one.executed_op or _EXECUTED.get(one.op) or f"{one.op.title().replace('_', '')}Dataset"
    costs = {"tf_op": tf_op, "depth": one.depth, "location": one.location}
    if one.measured.time_ms_per_batch is None and one.measured.fused_with is None:
        costs["time_ms_per_batch"] = 0.01
    if one.measured.fused_with is None and one.measured.blocked_ms_per_batch is None:
        costs["blocked_ms_per_batch"] = 0.0
    made_parallel = one.made_parallel
    if made_parallel is None and one.op == "map":
        made_parallel = family(tf_op) == "ParallelMap" and "num_parallel_calls" not in one.arguments
    return _told(replace(one, executed_op=tf_op, made_parallel=made_parallel), **costs)


def _told(one: StageView, **costs: Any) -> StageView:
    return replace(one, measured=one.measured.model_copy(update=costs))


def _last(stages: Sequence[StageView]) -> StageView:
    return [one for one in stages if one.depth == 0 and not one.injected][-1]


def _ends_asynchronously(stages: Sequence[StageView]) -> bool:
    injected = any(one.injected and one.op == "prefetch" for one in stages)
    return injected or family(_last(stages).executed_op or "") in _ASYNCHRONOUS_END


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

    return [one if one.measured.elements is not None else _told(one, elements=of(one)) for one in stages]


def _shares(stages: list[StageView]) -> list[StageView]:
    total = sum(one.ms_per_batch or 0.0 for one in stages)
    return [_told(one, share=one.ms_per_batch / total) if one.ms_per_batch is not None else one for one in stages]
