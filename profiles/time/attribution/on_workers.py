"""What stages cost on the workers of a tf.data service, from the traces of these workers.

A registered dataset is a pipeline of its own: its stages have addresses of their own, which become those of the whole
pipeline where both graphs have the same datasets. Packing the elements is a map that TensorFlow puts behind the
registered dataset; it belongs to the stage that reads from the service.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.read.service import UNKNOWN
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.document.stages import OpCost, ServiceWorker, Stage, WorkerCost
from pipeprof.profiles.protocol.messages import Trace
from pipeprof.profiles.protocol.services import WorkerTraced
from pipeprof.profiles.time.attribution.trace_work import Work, work_by_stage

MOST_OPS: Final = 8


@dataclass(frozen=True)
class WorkersLoad:
    """CPU time of all workers.

    Attributes:
        cpu_ms: For each batch that the reader took; None where that of a worker is not known.
    """

    cpu_ms: float | None = None


def joined_workers(seen: Sequence[ServiceWorker], traced: Sequence[WorkerTraced]) -> list[ServiceWorker]:
    """Put what traces say of the workers to what was seen of them from outside."""
    by_address = {one.traced_at: one for one in traced}
    found = [
        worker.model_copy(
            update={
                "traced": one.note is None,
                "untraced": one.note,
                "cores": worker.cores if worker.cores is not None else one.cores,
                "rss_bytes": worker.rss_bytes if worker.rss_bytes is not None else one.rss_bytes,
            }
        )
        if (one := by_address.get(worker.traced_at or "")) is not None
        else worker
        for worker in seen
    ]
    known = {worker.traced_at for worker in seen}
    return found + [
        ServiceWorker(
            traced_at=one.traced_at,
            cores=one.cores,
            rss_bytes=one.rss_bytes,
            traced=one.note is None,
            untraced=one.note,
        )
        for one in traced
        if one.traced_at not in known
    ]


def load_of(workers: Sequence[ServiceWorker], interval_ms: float | None, registered: int) -> WorkersLoad:
    """Work out the CPU time of all workers for a batch.

    Args:
        interval_ms: From one batch of the reader to the next; None where nothing was measured.
        registered: Workers that the dispatchers know.
    """
    known = [worker.cores for worker in workers if worker.cores is not None]
    if interval_ms is None or not known or len(known) < max(registered, len(workers)):
        return WorkersLoad()
    return WorkersLoad(sum(known) * interval_ms)


def work_on_workers(
    trace: Trace, registered: Iterable[tuple[str, StageGraphs]], graphs: StageGraphs
) -> dict[str, Work]:
    """Return the work of the stages on the workers, by their addresses in the whole pipeline.

    Args:
        registered: Graphs of the datasets that the workers run, with their ids.
        graphs: Those of the whole pipeline; as written it has the stages on the workers as well.
    """
    readers = {
        str(node.arguments.get("dataset_id")): node for node in graphs.written.nodes.values() if node.traits.remote
    }
    found: dict[str, list[Work]] = defaultdict(list)
    for identity, own in registered:
        reader = readers.get(identity)
        if reader is None or not own.is_read or own.written.root is None or not reader.inputs:
            continue
        packed = reader.arguments.get("compression", UNKNOWN) not in (None, UNKNOWN)
        end = own.written.skip_options(own.written.root)
        packing = end if packed and own.written.nodes[end].traits.maps else None
        below = own.written.nodes[end].inputs[0] if packing is not None else end
        same = same_datasets(own.written, below, graphs.written, reader.inputs[0])
        if packing is not None:
            same[packing] = reader.id
        work = _best(trace, own, unpacked=packing is not None)
        for stage in own.stages:
            # What TensorFlow fused stands at the first of its parts, as in the pipeline's own rows.
            first, *others = own.together(stage)
            parts = [work[part.address] for part in (first, *others) if part.address in work]
            address = graphs.stage_of.get(same.get(stage.head, ""))
            if stage is first and address is not None and parts:
                found[address].append(_sum(parts))
    return {address: _sum(parts) for address, parts in found.items()}


def same_datasets(one: StageGraph, end: str, other: StageGraph, other_end: str) -> dict[str, str]:
    """Pair the datasets of two graphs that have the same op at the same place, from two ends on, by their ids."""
    found: dict[str, str] = {}
    todo = [(end, other_end)]
    while todo:
        first, second = (graph.skip_options(place) for graph, place in zip((one, other), todo.pop(), strict=True))
        mine, theirs = one.nodes[first], other.nodes[second]
        if first in found or mine.family != theirs.family:
            continue
        found[first] = second
        for below, below_other in ((mine.inputs, theirs.inputs), (mine.bodies, theirs.bodies)):
            if len(below) == len(below_other):
                todo += zip(below, below_other, strict=True)
    return found


def _best(trace: Trace, own: StageGraphs, *, unpacked: bool) -> dict[str, Work]:
    """Work by the stage's own address; TensorFlow may leave out the packing, and with it the first part of paths."""
    found = work_by_stage(trace, own)
    root = own.executed.root
    if not unpacked or root is None:
        return found
    inputs = own.executed.nodes[own.executed.skip_options(root)].inputs
    if not inputs:
        return found
    without = work_by_stage(trace, replace(own, executed=replace(own.executed, root=inputs[0])))
    return max(found, without, key=lambda work: sum(one.at_work for one in work.values()))


def _sum(parts: Sequence[Work]) -> Work:
    """Add up the work of datasets that are one stage of the whole pipeline."""
    if len(parts) == 1:
        return parts[0]
    ops: dict[str, float] = defaultdict(float)
    for part in parts:
        for op in part.ops:
            ops[op.op] += op.ms_per_batch
    known = [part for part in parts if part.computing is not None]
    total = sum(part.at_work for part in known)
    return Work(
        ms=sum(part.ms for part in parts),
        at_work=sum(part.at_work for part in parts),
        computing=sum(part.at_work * (part.computing or 0.0) for part in known) / total if total > 0 else None,
        waiting=sum(part.at_work * (part.waiting or 0.0) for part in known) / total if total > 0 else None,
        intra_op=max(part.intra_op for part in parts),
        ops=[OpCost(op=op, ms_per_batch=ms) for op, ms in sorted(ops.items(), key=lambda pair: -pair[1])][:MOST_OPS],
        calling=sum(part.calling for part in parts),
        elements=parts[-1].elements,
    )


def with_costs(
    stages: Sequence[Stage],
    work: Mapping[str, Work],
    workers: Sequence[ServiceWorker],
    load: WorkersLoad,
    batches: int | None,
) -> list[Stage]:
    """Return the stages with their costs on the workers, and with the workers.

    Args:
        batches: That the workers made while they were traced; None without a trace.
    """
    costs = _scaled(work, load.cpu_ms)

    def known(stage: Stage) -> Stage:
        update: dict[str, object] = {"on_workers": costs[stage.id]} if stage.id in costs else {}
        if stage.service is not None:
            more = {"worker_list": list(workers), "cpu_ms_per_batch": load.cpu_ms, "traced_batches": batches}
            update["service"] = stage.service.model_copy(update=more)
        return stage.model_copy(update=update) if update else stage

    return [known(stage) for stage in stages]


def _scaled(work: Mapping[str, Work], cpu_ms: float | None) -> dict[str, WorkerCost]:
    """Split the time of stages, with no more CPU time together than the workers had."""
    whole = {address: max(one.at_work, one.ms + one.calling) for address, one in work.items()}
    total = sum(whole.values())
    usual = min(1.0, cpu_ms / total) if cpu_ms is not None and total > 0 else 1.0
    cpu = {
        address: whole[address] * (one.computing if one.computing is not None else usual) + one.at_work * one.intra_op
        for address, one in work.items()
    }
    blocked = {
        address: whole[address] * max(0.0, 1.0 - one.computing - (one.waiting or 0.0))
        for address, one in work.items()
        if one.computing is not None
    }
    used = sum(cpu.values())
    scale = cpu_ms / used if cpu_ms is not None and used > cpu_ms else 1.0
    active = {address: scale * cpu[address] + blocked.get(address, 0.0) for address in work}
    together = sum(active.values())
    return {
        address: WorkerCost(
            time_ms_per_batch=whole[address],
            cpu_ms_per_batch=scale * cpu[address],
            blocked_ms_per_batch=blocked.get(address),
            share=active[address] / together if together > 0 else None,
            elements_per_batch=one.elements or None,
            ops=one.ops or None,
        )
        for address, one in work.items()
    }
