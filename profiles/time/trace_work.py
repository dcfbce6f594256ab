"""The trace window by stage: ops, the share of its time that a stage computes, and Python functions.

Keys of the trace (see `worker.trace.work_by_key`) become addresses of stages: a spec's own addresses stand as they
are, datasets of the written graph belong to a stage, and iterators are walked down the executed graph. What could be
two things is left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.costs.costs import measure
from pipeprof.pipelines.graph.opnames import in_model, is_given, is_helper, numbered_input
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.document.stages import OpCost, PythonCost
from pipeprof.profiles.protocol.messages import Trace, TracedFunction, TracedWork

_HELPER = re.compile(r"(?:Impl|Writer|Reader)$")
_NEARLY_ALL = 0.9
"""Share of the elements in the trace window that the model must have read."""
SHORT_CALL_MS = 0.3
"""Below this a call of Python is short: twice the interval after which the sampler has the lock handed over."""
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
    """Calls of its functions per batch."""
    calling: float = 0.0
    """Time of the executor for these calls, without the ops that are traced."""
    elements: float = 0.0
    """Elements that it produced, per batch."""
    model_ms: float | None = None
    """Time inside it by TensorFlow's model of the trace window, ops that are too short for the trace included."""


def work_by_stage(trace: Trace | None, graphs: StageGraphs) -> dict[str, Work]:
    """Collect the work of each stage in the trace window, by address; nothing without a trace."""
    batches = trace.batches if trace is not None else 0
    if trace is None or not batches or not graphs.is_read:
        return {}
    addresses = _Addresses(graphs)
    threads: dict[str, list[TracedWork]] = defaultdict(list)
    for key, seen in trace.work.items():
        if (address := addresses.of(key)) is not None:
            threads[address].append(seen)
    functions = _functions(trace, addresses)
    costs = _ops(
        trace, addresses, {address: sum(function.seconds for function in seen) for address, seen in functions.items()}
    )
    python_calls: Counter[str] = Counter()
    for key, done in trace.work.items():
        python_calls[addresses.of(key) or ""] += done.python_calls
    python = _python(trace, functions, costs, python_calls)
    model = _model(trace, addresses)
    calls = _calls(trace, addresses, batches)
    elements = addresses.by_address(traced_elements(trace, graphs.executed))
    found = {}
    for address in {*costs, *threads, *python, *calls, *elements, *model}:
        on_threads = threads.get(address, [])
        ms = sum(one.ms for one in on_threads)
        sampled = [one for one in on_threads if one.computing is not None and one.waiting is not None]
        sampled_ms = sum(one.ms for one in sampled)
        called, calling = calls.get(address, (0.0, 0.0))
        found[address] = Work(
            ms=sum(costs.get(address, {}).values()) / batches,
            at_work=ms / batches,
            computing=sum(one.ms * (one.computing or 0.0) for one in sampled) / sampled_ms if sampled_ms else None,
            waiting=sum(one.ms * (one.waiting or 0.0) for one in sampled) / sampled_ms if sampled_ms else None,
            intra_op=sum(one.intra_op_ms for one in on_threads) / ms if ms else 0.0,
            ops=_longest(costs.get(address, {}), batches),
            python=python.get(address, [])[:MOST_FUNCTIONS],
            calls=called,
            calling=calling,
            elements=elements.get(address, 0) / batches,
            model_ms=model[address] / batches if address in model else None,
        )
    return found


def traced_elements(trace: Trace | None, executed: StageGraph) -> dict[str, int]:
    """Elements that each executed dataset gave in the trace window, all its iterators together."""
    found: dict[str, int] = defaultdict(int)
    for path, number in (trace.elements if trace is not None else {}).items():
        place = iterator_place(executed, path)
        if place is not None and in_model(executed.nodes[place].op, _kind(path.rpartition("::")[2])):
            found[place] += number
    return dict(found)


def _calls(trace: Trace, addresses: _Addresses, batches: int) -> dict[str, tuple[float, float]]:
    """Calls per batch, and milliseconds of the executor for them, by stage."""
    found: dict[str, tuple[float, float]] = {}
    for path, seen in trace.calls.items():
        address = addresses.of(f"it:{path}")
        if address is not None:
            calls, ms = found.get(address, (0.0, 0.0))
            found[address] = calls + seen.calls / batches, ms + seen.ms / batches
    return found


def _model(trace: Trace, addresses: _Addresses) -> dict[str, float]:
    """Return milliseconds inside each stage by the model of the trace window, where it read nearly all elements."""
    if trace.model is None:
        return {}
    costs = measure(addresses.graphs.executed, [trace.model])
    known = {
        place: 1e3 * cost.seconds
        for place, cost in costs.by_id.items()
        if not cost.unseen and cost.seen >= _NEARLY_ALL and cost.seconds > 0
    }
    return addresses.summed(known)


def _ops(trace: Trace, addresses: _Addresses, parts: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Milliseconds by stage and op; Python calls that could be several stages' by what the sampler saw of these."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for key, seen in trace.work.items():
        address = addresses.of(key)
        for op, ms in seen.ops.items() if address is not None else ():
            found[address or ""][op] += ms
    for address, ops in trace.ops.items():
        if address not in found:
            found[address].update(ops)
    for op, ms in trace.unattributed_ops.items():
        if op in PYTHON and sum(parts.values()) > 0:
            for address, part in parts.items():
                found[address][op] += ms * part / sum(parts.values())
    return found


class _Addresses:
    def __init__(self, graphs: StageGraphs) -> None:
        self.graphs = graphs
        self._by_node = graphs.stage_of

    def of(self, key: str) -> str | None:
        kind, _, rest = key.partition(":")
        if kind == "at":
            return rest
        if kind == "in":
            return self._by_node.get(rest)
        place = iterator_place(self.graphs.executed, rest)
        if place is None:
            return None
        if place in self.graphs.injected:
            return self.graphs.injected[place]
        found = [self._by_node[name] for name in self.graphs.joined.written(place) if name in self._by_node]
        return found[-1] if found else None

    def by_address(self, elements: Mapping[str, int]) -> dict[str, int]:
        """Elements by the stage's address: those of its last dataset, from the numbers of all executed datasets."""
        heads = [
            (stage.address, place)
            for stage in self.graphs.stages
            for place in (self.graphs.place(stage), *self.graphs.copied(stage))
        ]
        found: dict[str, int] = {}
        for address, place in (*heads, *((address, place) for place, address in self.graphs.injected.items())):
            if place is not None and place in elements:
                found[address] = found.get(address, 0) + elements[place]
        return found

    def summed(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Sum numbers over each stage's executed datasets; stages with an unknown number are left out."""
        owned = [(stage.address, self.graphs.places(stage)) for stage in self.graphs.stages]
        owned += [(address, [place]) for place, address in self.graphs.injected.items()]
        return {
            address: sum(numbers[place] for place in places)
            for address, places in owned
            if places and all(place in numbers for place in places)
        }


def iterator_place(executed: StageGraph, path: str) -> str | None:
    """The dataset of an iterator that a trace names by its path: ``Iterator::Root::Batch::FlatMap[0]::Generator``.

    One over elements that a function was given, as a window, has no dataset of its own: they are read by the one that
    the function makes of them.
    """
    if executed.root is None:
        return None
    place, before = None, ""
    below = [executed.skip_options(executed.root)]
    for part in path.split("::")[2:]:
        name = _kind(part)
        if place is not None and (is_helper(before, name) or (not below and is_given(name))):
            continue
        found = [child for child in below if _is_iterator_of(executed.nodes[child].op, name)]
        if len(found) != 1:
            return None
        place, before = found[0], name
        node = executed.nodes[place]
        number = numbered_input(part)
        inputs = node.inputs if number is None else node.inputs[number : number + 1]
        below = [executed.skip_options(child) for child in (*inputs, *node.bodies)]
    return place


def _is_iterator_of(op: str, name: str) -> bool:
    """Whether a path calls an iterator of `op`, or its helper, which may stand in its place, `name`."""
    whole = _HELPER.sub("", name)
    return in_model(op, name) or (whole != name and is_helper(whole, name) and in_model(op, whole))


def _kind(part: str) -> str:
    return re.sub(r"[\[(].*", "", part)


def _longest(ops: Mapping[str, float], batches: int) -> list[OpCost]:
    costs = [OpCost(op=op, ms_per_batch=ms / batches) for op, ms in ops.items()]
    return sorted(costs, key=lambda cost: -cost.ms_per_batch)[:MOST_OPS]


def _functions(trace: Trace, addresses: _Addresses) -> dict[str, list[TracedFunction]]:
    found: dict[str, list[TracedFunction]] = defaultdict(list)
    for function in trace.functions:
        address = addresses.of(f"in:{function.dataset}")
        if address is not None:
            found[address].append(function)
    return dict(found)


def _python(
    trace: Trace,
    functions: Mapping[str, Sequence[TracedFunction]],
    costs: Mapping[str, Mapping[str, float]],
    python_calls: Mapping[str, int],
) -> dict[str, list[PythonCost]]:
    """Return the cost of each stage's functions.

    Their time is that of the op that calls them, conversions included; the sampler tells how it is shared. By the
    sampler alone short functions come out too short: it needs the lock itself, and gets it when they return. Of a call
    that ends before the lock has to be handed over, the op's time is conversions and waiting for the lock, and all
    samples are at the call of C after which the lock is given: the function has what was sampled of it, and no line.
    Measured: of 2.8 µs in a call of 130 µs the op's time would give the function 110, and 82 % to a line that has 16 %.
    """
    total = sum(function.seconds for function in trace.functions)
    found: dict[str, list[PythonCost]] = {}
    for address, seen in functions.items():
        calls = {op: ms for op, ms in costs.get(address, {}).items() if op in PYTHON}
        parent = max(calls, key=lambda op: calls[op], default=None)
        inside = sum({function.token: function.call_seconds for function in seen}.values())
        # Without such an op, of the time that was sampled, in the time that the traced batches took.
        each = 1e3 * trace.seconds / trace.sampled_seconds if trace.sampled_seconds else 0.0
        short = 0 < sum(calls.values()) < SHORT_CALL_MS * python_calls[address]
        if calls and inside and not short:
            each = sum(calls.values()) / inside
        for function in seen:
            ms = function.seconds * each
            if ms:
                cost = _python_cost(function, ms / trace.batches, total, parent)
                found.setdefault(address, []).append(cost.model_copy(update={"lines": []}) if short else cost)
    return {address: sorted(costs, key=lambda cost: -cost.ms_per_batch) for address, costs in found.items()}


def _python_cost(function: TracedFunction, ms: float, total: float, parent: str | None) -> PythonCost:
    return PythonCost(
        function=function.function,
        file=function.file,
        line=function.line,
        lines=function.lines,
        parent=parent,
        ms_per_batch=ms,
        share=function.seconds / total if total else 0.0,
        lock_share=function.taken_seconds / function.seconds if function.seconds else None,
    )
