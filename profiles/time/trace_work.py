"""What the trace window saw, by stage: ops, how much of its time a stage computes, and Python functions.

Keys of the trace (see `worker.trace.work_by_key`) become addresses of stages: a spec's own addresses stand as they
are, datasets of the written graph belong to a stage, and iterators are walked down the executed graph. What could be
two things is left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.align import join
from pipeprof.pipelines.graph.opnames import in_model, is_helper, numbered_input
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.graph.stages import StageGraph, WrittenStage
from pipeprof.profiles.document.stages import OpCost, PythonCost
from pipeprof.profiles.protocol.messages import Trace, TracedWork

_HELPER = re.compile(r"(?:Impl|Writer|Reader)$")
MOST_OPS = 8
MOST_FUNCTIONS = 8


@dataclass
class Work:
    """Work of one stage in the trace window; times in milliseconds per traced batch, summed over threads."""

    ms: float = 0.0
    """In ops of its functions."""
    at_work: float = 0.0
    """Threads at work for it: ops, the executor between them, and its iterators themselves."""
    computing: float | None = None
    """The part of it in which its threads compute."""
    waiting: float | None = None
    """The part of it in which they want a core and have none; in the rest they are blocked."""
    intra_op: float = 0.0
    """Time of other threads that compute parts of its ops, over the time at work."""
    ops: list[OpCost] = field(default_factory=list)
    python: list[PythonCost] = field(default_factory=list)
    calls: float = 0.0
    """Of its functions, per batch."""
    calling: float = 0.0
    """Time of the executor for these calls, without the ops."""
    elements: float = 0.0
    """Elements that it produced, per batch."""


def work_by_stage(
    trace: Trace | None,
    written: StageGraph,
    executed: StageGraph,
    *,
    by_address: bool = True,
    ops: Mapping[str, str] | None = None,
) -> dict[str, Work]:
    """Collect the work of each stage, by address; nothing without a trace.

    Args:
        trace: What the worker sent of the trace window.
        written: The graph as written.
        executed: The graph as TensorFlow runs it.
        by_address: The names in the graph are addresses of a spec.
        ops: For a spec, what it calls the source or stage at every address.
    """
    batches = trace.batches if trace is not None else 0
    if trace is None or not batches or written.root is None or executed.root is None:
        return {}
    addresses = _Addresses(written, executed, written.stages(by_address=by_address, ops=ops))
    threads = _threads(trace.work, addresses)
    python = _python(trace, addresses, batches)
    costs = _ops(trace, addresses, python)
    calls = _calls(trace, addresses, batches)
    elements = addresses.by_address(traced_elements(trace, executed))
    found = {}
    for address in {*costs, *threads, *python, *calls, *elements}:
        seen = threads.get(address, _StageThreadTime())
        called, calling = calls.get(address, (0.0, 0.0))
        found[address] = Work(
            ms=sum(costs.get(address, {}).values()) / batches,
            at_work=seen.ms / batches,
            computing=seen.computing / seen.looked_at if seen.looked_at else None,
            waiting=seen.waiting / seen.looked_at if seen.looked_at else None,
            intra_op=seen.further / seen.ms if seen.ms else 0.0,
            ops=_longest(costs.get(address, {}), batches),
            python=_with_parent(python.get(address, [])[:MOST_FUNCTIONS], costs.get(address, {})),
            calls=called,
            calling=calling,
            elements=elements.get(address, 0) / batches,
        )
    return found


def traced_elements(trace: Trace | None, executed: StageGraph) -> dict[str, int]:
    """How many elements each executed dataset gave in the trace window, all its iterators together."""
    found: dict[str, int] = defaultdict(int)
    for path, number in (trace.elements if trace is not None else {}).items():
        place = iterator_place(executed, path)
        if place is not None and in_model(executed.nodes[place].op, _kind(path.rpartition("::")[2])):
            found[place] += number
    return dict(found)


def _calls(trace: Trace, addresses: _Addresses, batches: int) -> dict[str, tuple[float, float]]:
    """Calls per batch and milliseconds of the executor for them, by stage."""
    found: dict[str, tuple[float, float]] = {}
    for path, seen in trace.calls.items():
        address = addresses.of(f"it:{path}")
        if address is not None:
            calls, ms = found.get(address, (0.0, 0.0))
            found[address] = calls + seen.calls / batches, ms + seen.ms / batches
    return found


def _ops(
    trace: Trace, addresses: _Addresses, python: Mapping[str, Sequence[PythonCost]]
) -> dict[str, dict[str, float]]:
    """Milliseconds by stage and op; Python calls that could be several stages' by what the sampler saw of these."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for key, seen in trace.work.items():
        address = addresses.of(key)
        for op, ms in seen.ops.items() if address is not None else ():
            found[address or ""][op] += ms
    for address, ops in trace.ops.items():
        if address not in found:
            found[address].update(ops)
    parts = {address: sum(one.ms_per_batch for one in costs) for address, costs in python.items()}
    for op, ms in trace.unattributed_ops.items():
        if op in PYTHON and sum(parts.values()) > 0:
            for address, part in parts.items():
                found[address][op] += ms * part / sum(parts.values())
    return found


class _Addresses:
    def __init__(self, written: StageGraph, executed: StageGraph, stages: Sequence[WrittenStage]) -> None:
        self._executed = executed
        self._stages = stages
        self._by_node = {node: stage.address for stage in stages for node in stage.nodes}
        self._joined = join(written, executed)

    def of(self, key: str) -> str | None:
        kind, _, rest = key.partition(":")
        if kind == "at":
            return rest
        if kind == "in":
            return self._by_node.get(rest)
        place = iterator_place(self._executed, rest)
        if place is None:
            return None
        if place in self._joined.injected:
            return f"injected.{self._joined.injected.index(place)}"
        found = [self._by_node[one] for one in self._joined.written(place) if one in self._by_node]
        return found[-1] if found else None

    def by_address(self, elements: Mapping[str, int]) -> dict[str, int]:
        """What the last of a stage's datasets gave, by the stage's address, from what each executed dataset gave."""
        heads = {stage.address: self._joined.executed.get(stage.head) for stage in self._stages}
        heads |= {f"injected.{number}": place for number, place in enumerate(self._joined.injected)}
        return {address: elements[place] for address, place in heads.items() if place is not None and place in elements}

    def of_dataset(self, dataset: str | None) -> str | None:
        return self._by_node.get(dataset) if dataset is not None else None


def iterator_place(executed: StageGraph, path: str) -> str | None:
    """The dataset of an iterator that a trace names by its path: ``Iterator::Root::Batch::FlatMap[0]::Generator``."""
    if executed.root is None:
        return None
    place, before = None, ""
    below = [executed.skip_options(executed.root)]
    for part in path.split("::")[2:]:
        name = _kind(part)
        if place is not None and is_helper(before, name):
            continue
        found = [one for one in below if _is_iterator_of(executed.nodes[one].op, name)]
        if len(found) != 1:
            return None
        place, before = found[0], name
        node = executed.nodes[place]
        number = numbered_input(part)
        inputs = node.inputs if number is None else node.inputs[number : number + 1]
        below = [executed.skip_options(one) for one in (*inputs, *node.bodies)]
    return place


def _is_iterator_of(op: str, name: str) -> bool:
    """Whether a path calls an iterator of `op`, or its helper, which may stand in its place, `name`."""
    whole = _HELPER.sub("", name)
    return in_model(op, name) or (whole != name and is_helper(whole, name) and in_model(op, whole))


def _kind(part: str) -> str:
    """An iterator's kind, from a part of a trace's path."""
    return re.sub(r"[\[(].*", "", part)


@dataclass
class _StageThreadTime:
    """Of a stage's threads, in milliseconds: at work; of that seen; of that computing and waiting; further threads."""

    ms: float = 0.0
    looked_at: float = 0.0
    computing: float = 0.0
    waiting: float = 0.0
    further: float = 0.0


def _threads(work: Mapping[str, TracedWork], addresses: _Addresses) -> dict[str, _StageThreadTime]:
    found: dict[str, _StageThreadTime] = defaultdict(_StageThreadTime)
    for key, seen in work.items():
        address = addresses.of(key)
        if address is None:
            continue
        one = found[address]
        one.ms += seen.ms
        one.further += seen.intra_op_ms
        if seen.computing is not None and seen.waiting is not None:
            one.looked_at += seen.ms
            one.computing += seen.ms * seen.computing
            one.waiting += seen.ms * seen.waiting
    return found


def _with_parent(functions: Sequence[PythonCost], ops: Mapping[str, float]) -> list[PythonCost]:
    """Name the op that runs a stage's Python functions: the costliest one that calls Python."""
    parent = max((op for op in ops if op in PYTHON), key=lambda op: ops[op], default=None)
    return [one.model_copy(update={"parent": parent}) for one in functions]


def _longest(ops: Mapping[str, float], batches: int) -> list[OpCost]:
    costs = [OpCost(op=op, ms_per_batch=ms / batches) for op, ms in ops.items()]
    return sorted(costs, key=lambda cost: -cost.ms_per_batch)[:MOST_OPS]


def _python(trace: Trace, addresses: _Addresses, batches: int) -> dict[str, list[PythonCost]]:
    total, sampled = sum(function.seconds for function in trace.functions), trace.sampled_seconds
    found: dict[str, list[PythonCost]] = defaultdict(list)
    for function in trace.functions:
        address = addresses.of_dataset(function.dataset)
        if address is None or not total or not sampled:
            continue
        found[address].append(
            PythonCost(
                function=function.function,
                file=function.file,
                line=function.line,
                # Of the time that was sampled, in the time that the traced batches took.
                ms_per_batch=1000 * function.seconds / sampled * trace.seconds / batches,
                share=function.seconds / total,
                lock_share=function.taken_seconds / function.seconds if function.seconds else None,
            )
        )
    return dict(found)
