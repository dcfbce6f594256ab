"""Table of stages: the pipeline as written, what TensorFlow made of it, and what each stage cost.

Costs come from snapshots of the model that TensorFlow keeps of a running iterator; they are time inside the stage
alone, summed over threads (`pipelines.graph.read.records` says what exactly is counted). The time of a stage that
TensorFlow fused stands at the first of its parts; the others carry its id in ``fused_with``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.costs.costs import LEAST_SEEN, Cost, Costs, measure
from pipeprof.pipelines.graph.costs.stretches import Segment
from pipeprof.pipelines.graph.costs.unobserved import calls_per_batch, threads_inside, unread_elements
from pipeprof.pipelines.graph.elements import cardinalities, component_names
from pipeprof.pipelines.graph.read.function_facts import LOOPING, body_of
from pipeprof.pipelines.graph.read.records import UNKNOWN, service_facts
from pipeprof.pipelines.graph.rewrites import Rewrites
from pipeprof.pipelines.graph.stages import Node, StageGraph, WrittenStage
from pipeprof.pipelines.meaning.executed_ops import written_op
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.stages import Component, Service, Shuffle, Stage
from pipeprof.profiles.protocol.messages import Swallowed
from pipeprof.profiles.time.stage_notes import CAVEATS, caveat_text, model_messages, swallowed_message, total_seconds
from pipeprof.profiles.time.top_stage import count_inputs

_NOT_READ = dict.fromkeys(("elements", "time_ms_per_batch", "share", "calls_per_batch", "bytes_out_per_batch"))
"""Of a stage whose counters were not read in the measured time."""


_SCALED_SHARE = 0.5
_NONE = 0.5
"""Elements below which there were none."""


def explain_stages(
    graphs: StageGraphs,
    segments: Sequence[Segment] = (),
    *,
    batches: int,
    placed: Mapping[str, Stage] | None = None,
    traced: Mapping[str, float] | None = None,
    traced_batches: int | None = None,
    locate: Callable[[list[Stage]], None] | None = None,
    swallowed: Swallowed | None = None,
) -> tuple[list[Stage], list[Message]]:
    """Make the rows of a pipeline's stages, and warnings about their numbers.

    Args:
        segments: The model at the beginning and at the end of stretches of the measured window, whose differences are
            summed; none with ``autotune.enabled = False``. Several are needed when the iterator was made anew in the
            window; more of them also show more of what ``repeat`` throws away.
        placed: For a spec, its stages by address, with their names and places in its text.
        traced: How many elements each executed dataset gave in the trace window.
        locate: Sets the places of the rows; for a user's own function.
        swallowed: An error that an ``ignore_errors`` hid.
    """
    written, executed = graphs.written, graphs.executed
    if not graphs.is_read:
        reason = written.reason or executed.reason or "there is no graph"
        return [], [Message(code="stages-unread", message=f"The stages could not be read: {reason}.")]
    costs = measure(executed, segments) if segments else Costs()
    elements = _Elements.of(written), _Elements.of(executed)
    unobserved = unread_elements(executed, costs, traced or {})
    timed = {
        place: number
        for place, number in unobserved.items()
        if number < _NONE
        # Of parts that are read in turn, those that the trace saw stand for the others.
        or place in costs.of_parts
        or _is_traced(number / max(batches, 1), (traced or {}).get(place, 0.0), traced_batches)
    }
    table = _StageTable(
        graphs,
        costs,
        batches,
        placed or {},
        elements,
        timed,
        calls_per_batch(executed, costs, unobserved, batches),
        threads_inside(executed, costs.by_id),
    )
    rows = table.rows()
    if batches and costs.by_id and not any(cost.seconds or cost.elements for cost in costs.by_id.values()):
        # Batches came and no counter moved: it was read at one moment alone, as where a run fails soon.
        rows = [row.model_copy(update=_NOT_READ) for row in rows]
    if locate is not None:
        locate(rows)
        count_inputs(rows)
    notes = [*model_messages(costs, executed, read=bool(segments)), *table.notes(rows)]
    return rows, [*notes, *table.lost(rows, swallowed)]


@dataclass(frozen=True)
class _Elements:
    graph: StageGraph
    names: Mapping[str, tuple[str, ...]]
    counts: Mapping[str, int | None]

    @classmethod
    def of(cls, graph: StageGraph) -> _Elements:
        return cls(graph, component_names(graph), cardinalities(graph))

    def describe(self, place: str) -> dict[str, object]:
        node = self.graph.nodes[place]
        names = self.names.get(place) or tuple(map(str, range(len(node.output_types))))
        return {
            "element_spec": [
                Component(name=name, dtype=dtype, shape=None if shape is None else list(shape))
                for name, dtype, shape in zip(names, node.output_types, node.output_shapes, strict=False)
            ]
            or None,
            "cardinality": self.counts.get(place),
        }


@dataclass(frozen=True)
class _StageTable:
    graphs: StageGraphs
    costs: Costs
    batches: int
    placed: Mapping[str, Stage]
    elements: tuple[_Elements, _Elements]
    """Facts from the graph as written, and as executed."""
    unread: Mapping[str, float]
    """Elements by executed dataset without a model sample that did not run or that the trace has."""
    calls: Mapping[str, float]
    """Calls of its functions per batch, by executed dataset."""
    threads: Mapping[str, float]
    """That may be inside it at a time, by executed dataset."""

    def rows(self) -> list[Stage]:
        found = [*map(self._written, self.graphs.stages), *map(self._injected, self.graphs.injected)]
        unknown = {"buffered_bytes": None}
        return [row.model_copy(update=unknown) if row.gives_handles and row.buffered_elements else row for row in found]

    def _written(self, stage: WrittenStage) -> Stage:
        place = self.graphs.place(stage)
        said = self.placed.get(stage.address)
        together = self.graphs.together(stage)
        first, last = together[0] is stage, together[-1] is stage
        cost, function = self._cost(stage), self.graphs.written.nodes[stage.head].function
        row = Stage(
            id=stage.address,
            name=(said.name if said is not None else None) if self.graphs.by_address else stage.name,
            origin="written",
            depth=stage.depth,
            fused_with=None if first else together[0].address,
            op=stage.op,
            tf_op=self.graphs.executed.nodes[place].op if place is not None else None,
            executed=Rewrites(self.graphs).words(stage, cost if first else None),
            random=function["random"] if function is not None else None,
            seeded=function.get("seeded") if function is not None else None,
            loops=not LOOPING.isdisjoint(function["ops"]) if function is not None else None,
            steady_ops=function.get("steady") if function is not None else None,
            draws_by_number=function.get("by_number") if function is not None else None,
            body=body_of(function) if function is not None else None,
            shuffle=_shuffle([self.graphs.written.nodes[node] for node in stage.nodes]),
            service=self._service(stage),
            remote=stage.head in self.graphs.written.remote,
            location=said.location if said is not None else None,
        ).model_copy(update=self.elements[0].describe(stage.head))
        if place is None:
            return row
        if first:
            row = row.model_copy(update={"calls_per_batch": self._calls(stage, place), "threads": self._inside(stage)})
        if len(together) == 1 or traits(stage.op).stacks:
            row = row.model_copy(update=self._inputs_each(stage, place))
        if place in self.unread and (cost is None or cost.unseen):
            state = self._measured(cost) if cost is not None and first else {}
            return row.model_copy(update=state | self._unread_row(place, first=first, last=last))
        if cost is None:
            return row
        if not first:
            # The fused dataset gives out what its last part makes.
            if not last:
                return row
            return row.model_copy(update={**_made(cost), "bytes_out_per_batch": self._bytes_out(cost)})
        update = self._measured(cost)
        if not last:
            update.update(_consumed(self.graphs.executed, self.costs, place))
        return row.model_copy(update=update)

    def _service(self, stage: WrittenStage) -> Service | None:
        nodes = [self.graphs.written.nodes[node] for node in stage.nodes]
        node = next((node for node in nodes if node.traits.remote), None)
        if node is None:
            return None
        costs = (self.costs.by_id.get(place) for place in self.graphs.places(stage))
        facts = service_facts(node.arguments)
        packed = node.arguments.get("compression", UNKNOWN)
        return Service(
            address=facts.address,
            processing_mode=facts.mode,
            job_name=facts.job_name,
            consumer_index=facts.consumer_index,
            num_consumers=facts.num_consumers,
            cross_trainer_cache=facts.cross_trainer_cache,
            target_workers=facts.target_workers,
            max_outstanding_requests=facts.max_outstanding_requests,
            # As TensorFlow chose them.
            requests=next((one.state.buffer_size for one in costs if one and one.state.buffer_size is not None), None),
            compression=None if packed == UNKNOWN else packed or "NONE",
            known=bool(node.inputs),
        )

    def _injected(self, node_id: str) -> Stage:
        cost = self.costs.by_id.get(node_id)
        node = self.graphs.executed.nodes[node_id]
        row = Stage(
            id=self.graphs.injected[node_id],
            name=None,
            origin="injected",
            op=written_op(node.op),
            tf_op=node.op,
            executed=Rewrites(self.graphs).injected(node_id, cost),
            threads=self.threads.get(node_id),
        ).model_copy(update=self.elements[1].describe(node_id))
        state = self._measured(cost) if cost is not None else {}
        if node_id in self.unread and (cost is None or cost.unseen):
            state |= self._unread_row(node_id, first=True, last=True)
        return row.model_copy(update=state)

    def _cost(self, stage: WrittenStage) -> Cost | None:
        """Combined costs of the stage's datasets: times add up, the rest is that of the one that gives its elements."""
        places, head = self.graphs.places(stage), self.graphs.place(stage)
        found = self.costs.by_id.get(head) if head is not None else None
        if found is None:
            return None
        others = [self.costs.by_id[place] for place in places if place != head and place in self.costs.by_id]
        copies = [self.costs.by_id[place] for place in self.graphs.copied(stage) if place in self.costs.by_id]
        return _plus(found, others, copies)

    def _measured(self, cost: Cost) -> dict[str, object]:
        total = total_seconds(self.costs)
        per_batch = 1000 * cost.seconds / self.batches if self.batches and not cost.unseen else None
        return {
            **_made(cost),
            "time_ms_per_batch": per_batch,
            "share": cost.seconds / total if total and not cost.unseen else None,
            "parallelism": cost.state.parallelism,
            "tunable": cost.state.tunable,
            # Fused stages may count what they take from a buffer but not what they put in.
            "buffered_bytes": cost.state.buffered_bytes if cost.state.buffered_bytes >= 0 else None,
            "buffered_elements": cost.state.buffered_elements,
            "buffer_size": cost.state.buffer_size,
            "bytes_out_per_batch": self._bytes_out(cost),
        }

    def _calls(self, stage: WrittenStage, place: str) -> float | None:
        """Return the calls of a stage's function per batch; for a wrapper, those of the dataset that it wraps."""
        if not traits(stage.op).wrapped:
            alike = [self.calls.get(each) for each in (place, *self.graphs.copied(stage))]
            known = [calls for calls in alike if calls is not None]
            return sum(known) if len(known) == len(alike) else None
        places = self.graphs.places(stage)
        return max((self.calls[path] for path in places if path in self.calls), default=None)

    def _inputs_each(self, stage: WrittenStage, place: str) -> dict[str, object]:
        """Elements that go into a stage for one that comes out, where that is not always one."""
        kind, below = traits(stage.op), [*map(self._stage, stage.inputs)]
        if len(below) != 1 or kind.one_to_one or kind.takes_one or kind.buffers:
            return {}
        fixed = self._fixed_inputs(stage, below[0])
        if fixed is not None:
            return {"inputs_each": fixed, "inputs_each_by": "graph"}
        ratio = self.costs.ratios.get(place)
        if ratio is not None and ratio.rough:
            return {}
        if ratio is not None and len(self.graphs.places(stage)) == 1:
            return {"inputs_each": ratio.number, "inputs_each_by": "epochs" if ratio.whole else "counters"}
        taken, given = self._cost(below[0]), self._cost(stage)
        if taken is None or given is None or taken.unseen or given.unseen or not taken.elements or not given.elements:
            return {}
        return {"inputs_each": taken.elements / given.elements, "inputs_each_by": "counters"}

    def _fixed_inputs(self, stage: WrittenStage, below: WrittenStage) -> float | None:
        """Elements that go in for one that comes out where the graph has them, and all of its input is read."""
        arguments, kind = self.graphs.written.nodes[stage.head].arguments, traits(stage.op)
        counts = self.elements[0].counts
        taken, given = counts.get(below.head) or 0, counts.get(stage.head) or 0
        if kind.by_position and taken > 0 and given > 0:
            return taken / given
        size = arguments.get("batch_size") if kind.stacks else arguments.get("num_shards")
        return float(size) if isinstance(size, int) and size > 0 else None

    def _stage(self, address: str) -> WrittenStage:
        return next(stage for stage in self.graphs.stages if stage.address == address)

    def _inside(self, stage: WrittenStage) -> float | None:
        """Threads that may be inside any of its datasets at a time; `None` where that of one is unknown."""
        places = self.graphs.places(stage)
        known = [self.threads[place] for place in places if place in self.threads]
        return sum(known) if len(known) == len(places) else None

    def _unread_row(self, place: str, *, first: bool, last: bool) -> dict[str, object]:
        """Row for a stage without a model sample; zero cost if it produced no elements."""
        number = self.unread[place]
        size = self.graphs.executed.nodes[place].arguments.get("batch_size")
        if not last and isinstance(size, int):
            number *= size
        found: dict[str, object] = {"elements": round(number)} if last or isinstance(size, int) else {}
        return found | ({"time_ms_per_batch": 0.0, "share": 0.0} if first and number < _NONE else {})

    def _bytes_out(self, cost: Cost) -> float | None:
        return cost.bytes_produced / self.batches if self.batches and not cost.unseen else None

    def notes(self, rows: Sequence[Stage]) -> list[Message]:
        """Warnings about the numbers of some rows."""
        found: dict[str, list[str]] = defaultdict(list)
        seen = 1.0
        for stage in self.graphs.stages:
            place = self.graphs.place(stage)
            cost = self.costs.by_id.get(place) if place is not None else None
            if place is not None and place in self.unread and (cost is None or cost.unseen):
                if self.unread[place] >= _NONE:
                    found["traced"].append(stage.address)
                continue
            if place is None or cost is None:
                continue
            if cost.unseen:
                found["barely" if cost.seen else "unseen"].append(stage.address)
            elif cost.seen < _SCALED_SHARE:
                found["scaled"].append(stage.address)
                seen = min(seen, cost.seen)
        messages = []
        for caveat in filter(found.get, CAVEATS):
            stages = [row for row in rows if row.id in found[caveat]]
            text = caveat_text(caveat, stages, LEAST_SEEN if caveat == "barely" else seen)
            code = "unseen" if caveat == "barely" else caveat
            messages.append(Message(code=f"stages-{code}", message=text, stages=[stage.id for stage in stages]))
        return messages

    def lost(self, rows: Sequence[Stage], seen: Swallowed | None) -> list[Message]:
        """Warnings about elements whose errors another stage swallowed."""
        by_id = {row.id: row for row in rows}
        by_place = {place: by_id[one.address] for one in self.graphs.stages for place in self.graphs.places(one)}
        found = [
            swallowed_message(by_place[lost.swallowed_by], by_place[lost.place], lost.taken, lost.number, seen)
            for lost in self.costs.lost
            if lost.place in by_place and lost.swallowed_by in by_place
        ]
        if found or seen is None:
            return found
        swallowers = [row for row in rows if traits(row.op).swallows]
        return [swallowed_message(row, None, seen.elements, seen.errors, seen) for row in swallowers[-1:]]


def _is_traced(per_batch: float, seen: float, batches: int | None) -> bool:
    """Whether the trace saw enough of its elements to stand for them all."""
    return seen > 0 and (not batches or seen / batches >= LEAST_SEEN * per_batch)


def _shuffle(nodes: Sequence[Node]) -> Shuffle | None:
    arguments = [node.arguments for node in nodes if node.traits.shuffles]
    if not arguments:
        return None
    # TensorFlow writes a seed as two numbers, the program's and the stage's own; 0 and 0 are none.
    seeds = [given.get(name) for given in arguments for name in ("seed", "seed2")]
    again = [given.get("reshuffle_each_iteration") for given in arguments]
    size = arguments[0].get("buffer_size") if len(arguments) == 1 else None
    return Shuffle(
        buffer_size=size if isinstance(size, int) and size > 0 else None,
        seeded=None if None in seeds else any(seeds),
        reshuffles=None if None in again else all(again),
    )


def _made(cost: Cost) -> dict[str, object]:
    produced, elements = cost.bytes_produced, cost.elements
    if not elements:
        produced, elements = cost.state.lifetime_bytes, cost.state.lifetime_elements
    return {
        "elements": round(cost.elements) if cost.elements or not cost.unseen else None,
        "bytes_per_element": produced / elements if elements else None,
        "pass_elements": cost.pass_elements,
    }


def _consumed(executed: StageGraph, costs: Costs, place: str) -> dict[str, object]:
    """For the first part of a fused stage: it makes one element of each that it reads."""
    size = executed.nodes[place].arguments.get("batch_size")
    if isinstance(size, int) and size > 0 and costs.by_id[place].elements:
        mine = costs.by_id[place]
        return {
            "elements": round(mine.elements * size),
            "bytes_per_element": mine.bytes_produced / mine.elements / size,
            "pass_elements": mine.pass_elements * size if mine.pass_elements is not None else None,
        }
    inputs = executed.nodes[place].inputs
    below = costs.by_id.get(executed.skip_options(inputs[0])) if inputs else None
    mine = costs.by_id[place]
    if below is None or not below.elements or executed.nodes[place].family == "ShuffleAndRepeat":
        return {}
    return {
        "elements": round(below.elements),
        "bytes_per_element": mine.bytes_produced / below.elements,
        "pass_elements": below.pass_elements,
    }


def _plus(head: Cost, others: Sequence[Cost], copies: Sequence[Cost]) -> Cost:
    if not others:
        return head
    everything = [head, *others]
    return replace(
        head,
        elements=sum(cost.elements for cost in (head, *copies)),
        bytes_produced=sum(cost.bytes_produced for cost in (head, *copies)),
        seconds=sum(cost.seconds for cost in everything),
        seen=min(cost.seen for cost in everything),
        state=replace(head.state, buffered_bytes=sum(cost.state.buffered_bytes for cost in everything)),
    )
