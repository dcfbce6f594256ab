"""What stages cost on the workers of a tf.data service: whose work is whose, and how much CPU time there was."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict, dataset_node
from pipeprof.profiles.document.stages import OpCost, Service, ServiceWorker, Stage
from pipeprof.profiles.protocol.messages import Trace, TracedWork
from pipeprof.profiles.protocol.services import WorkerTraced
from pipeprof.profiles.time.attribution.on_workers import (
    WorkersLoad,
    joined_workers,
    load_of,
    with_costs,
    work_on_workers,
)
from pipeprof.profiles.time.attribution.trace_work import Work


def node(identity: str, op: str, *inputs: str, ops: list[str] | None = None, **arguments: object) -> NodeDict:
    found = {**dataset_node(identity, op, list(inputs)), "key": identity, "arguments": arguments}
    if ops is not None:
        found["function"] = {
            "ops": ops, "constant_bytes": 0, "python": False, "random": False, "elementwise": None, "reads": None,
            "passes": [],
        }  # fmt: skip
        found["functions"] = [f"f_{identity}"]
    return found


def graph(root: str, *nodes: NodeDict) -> GraphDict:
    return {"root": root, "reason": None, "nodes": list(nodes)}


def whole(*, packed: bool = True) -> StageGraphs:
    """``range → map → batch → distribute → prefetch``."""
    reader = node(
        "reader", "DataServiceDatasetV4", "reader@workers/2", dataset_id="1000", compression="AUTO" if packed else None
    )
    remote = [
        node("reader@workers/0", "RangeDataset"),
        node("reader@workers/1", "MapDataset", "reader@workers/0", ops=["Mul"]),
        node("reader@workers/2", "BatchDatasetV2", "reader@workers/1"),
    ]
    ahead = node("ahead", "PrefetchDataset", "reader")
    return StageGraphs.of(
        graph("ahead", *remote, reader, ahead), graph("ahead", {**reader, "inputs": []}, ahead), by_address=False
    )


def registered(*, packed: bool = True) -> StageGraphs:
    """The part before the service, as its workers run it."""
    line = [
        node("range", "RangeDataset"),
        node("map", "MapDataset", "range", ops=["Mul"]),
        node("batch", "BatchDatasetV2", "map"),
    ]
    pack = node("pack", "ParallelMapDatasetV2", "batch", ops=["CompressElement"])
    line += [pack] if packed else []
    return StageGraphs.of(graph(line[-1]["id"], *line), graph(line[-1]["id"], *line), by_address=False)


def traced(root: str) -> Trace:
    paths = {f"{root}::Batch::Map": 60.0, f"{root}::Batch": 10.0, f"{root}::Batch::Map::Range": 1.0}
    work = {f"it:{path}": TracedWork(ms) for path, ms in paths.items()}
    if root.endswith("ParallelMapV2"):
        work[f"it:{root}"] = TracedWork(20.0, ops={"CompressElement": 15.0})
    return Trace(batches=10, seconds=1.0, work=work, elements={f"{root}::Batch::Map": 80})


def test_the_work_of_a_registered_dataset_is_that_of_the_stages_before_the_service() -> None:
    work = work_on_workers(traced("Iterator::Root::ParallelMapV2"), [("1000", registered())], whole())
    assert {address: one.at_work for address, one in work.items()} == {
        "source": pytest.approx(0.1),
        "stages.0": pytest.approx(6.0),
        "stages.1": pytest.approx(1.0),
        # Packing is a part of what reads from the service.
        "stages.2": pytest.approx(2.0),
    }
    assert work["stages.0"].elements == 8.0


def test_what_tensorflow_fused_on_the_workers_stands_at_its_first_part() -> None:
    own = registered(packed=False)
    fused = {**node("fused", "MapAndBatchDataset", "range"), "key": "fused(map,batch)"}
    executed = StageGraphs.of(
        graph("fused", node("range", "RangeDataset"), fused), graph("fused", node("range", "RangeDataset"), fused)
    ).written
    trace = Trace(batches=10, seconds=1.0, work={"it:Iterator::Root::MapAndBatch": TracedWork(70.0)})
    pair = StageGraphs(own.written, executed, by_address=False)
    work = work_on_workers(trace, [("1000", pair)], whole(packed=False))
    assert {address: one.at_work for address, one in work.items()} == {"stages.0": pytest.approx(7.0)}


def test_the_workers_may_leave_the_packing_out() -> None:
    work = work_on_workers(traced("Iterator::Root"), [("1000", registered())], whole())
    assert set(work) == {"source", "stages.0", "stages.1"}
    plain = work_on_workers(traced("Iterator::Root"), [("1000", registered(packed=False))], whole(packed=False))
    assert plain["stages.0"].at_work == pytest.approx(6.0)


def test_a_dataset_that_nobody_reads_or_that_is_another_has_no_work_here() -> None:
    trace = traced("Iterator::Root::ParallelMapV2")
    assert work_on_workers(trace, [("2000", registered())], whole()) == {}
    other = StageGraphs.of(graph("x", node("x", "TextLineDatasetV2")), graph("x", node("x", "TextLineDatasetV2")))
    assert work_on_workers(trace, [("1000", other)], whole()) == {}


def test_workers_are_joined_by_the_address_of_their_profiler_servers() -> None:
    seen = [ServiceWorker(traced_at="h1:2", cores=0.5), ServiceWorker(address="h2:1")]
    told = [WorkerTraced("h1:2", 0.9, 7), WorkerTraced("h3:2", 0.3, 9), WorkerTraced("h4:2", note="nothing listens")]
    first, second, third, fourth = joined_workers(seen, told)
    # From outside it was watched for longer than it was traced.
    assert (first.cores, first.rss_bytes, first.traced) == (0.5, 7, True)
    assert (second.address, second.traced, second.untraced) == ("h2:1", False, None)
    assert (third.traced_at, third.cores, third.traced) == ("h3:2", 0.3, True)
    assert (fourth.traced, fourth.untraced) == (False, "nothing listens")


@pytest.mark.parametrize(
    ("cores", "interval", "registered", "cpu_ms"),
    [
        ([0.5, 0.25], 20.0, 2, 15.0),
        ([0.5, None], 20.0, 2, None),
        ([0.5], 20.0, 2, None),
        ([0.5], None, 1, None),
        ([], 20.0, 0, None),
    ],
)
def test_the_cpu_time_of_all_workers_is_known_where_each_one_is(
    cores: list[float | None], interval: float | None, registered: int, cpu_ms: float | None
) -> None:
    assert load_of([ServiceWorker(cores=one) for one in cores], interval, registered).cpu_ms == cpu_ms


STAGES = [
    Stage(id="source", op="range", origin="written", remote=True),
    Stage(id="stages.0", op="map", origin="written", remote=True),
    Stage(id="stages.1", op="distribute", origin="written", service=Service(address="h1:1")),
]


def costs(work: dict[str, Work], cpu_ms: float | None) -> dict[str, Any]:
    rows = with_costs(STAGES, work, [ServiceWorker(cores=1.0)], WorkersLoad(cpu_ms), 10)
    assert rows[2].service is not None
    assert (rows[2].service.cpu_ms_per_batch, rows[2].service.traced_batches) == (cpu_ms, 10)
    assert len(rows[2].service.worker_list) == 1
    return {row.id: row.on_workers for row in rows}


def test_stages_have_no_more_cpu_time_than_the_workers() -> None:
    ops = [OpCost(op="MatMul", ms_per_batch=5.0)]
    found = costs(
        {"source": Work(at_work=2.0), "stages.0": Work(at_work=8.0, ms=6.0, calling=1.0, elements=8.0, ops=ops)}, 5.0
    )
    assert (found["source"].cpu_ms_per_batch, found["stages.0"].cpu_ms_per_batch) == (1.0, 4.0)
    assert (found["source"].share, found["stages.0"].share) == (pytest.approx(0.2), pytest.approx(0.8))
    assert (found["stages.0"].time_ms_per_batch, found["stages.0"].elements_per_batch) == (8.0, 8.0)
    assert found["stages.0"].ops == ops
    assert found["stages.1"] is None


def test_a_stage_that_is_blocked_works_without_a_core() -> None:
    found = costs(
        {
            "source": Work(at_work=10.0, computing=0.1, waiting=0.0),
            "stages.0": Work(at_work=4.0, computing=0.75, waiting=0.25, intra_op=0.5),
        },
        None,
    )
    assert (found["source"].cpu_ms_per_batch, found["source"].blocked_ms_per_batch) == (1.0, 9.0)
    assert found["stages.0"].cpu_ms_per_batch == pytest.approx(3.0 + 2.0)
    assert found["stages.0"].blocked_ms_per_batch == 0.0
    assert found["source"].share == pytest.approx(10.0 / 15.0)
