"""The section `training` of a profile: how a script took its batches, or why none, and what it did in addition."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.observe.build_watch import SourceWatch, held_bytes
from pipeprof.pipelines.graph.observe.reading import serialised
from pipeprof.pipelines.target.names_in_file import functions_in
from pipeprof.profiles.document.shared import CodePlace, DatasetUse, Training
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.script.consumers import GraphSeen
from pipeprof.profiles.worker.script.hooks import asynchronous, jax_computes

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.observe.created import CreatedDataset
    from pipeprof.profiles.document.shared import WrittenFile
    from pipeprof.profiles.worker.script.consumers import Consumer
    from pipeprof.profiles.worker.script.observer import Fit, ScriptObserver

MOST_COMPARED = 4 << 20
"""Bytes in the sources of a dataset, above which its graph is not compared with that of the next one."""
_NUMBERED = re.compile(r'(__inference_\w+?|pyfunc|\bname: "[^"]*?)_\d+\b|s: "[^"]*Dataset\w*:\d+"')
"""Names that TensorFlow numbers through, so that they differ in equal graphs: functions, resources, metadata."""
MOST_UNREAD = 200
MOST_LISTED = 5
LEAST_CHILDREN = 3.0
"""Seconds that child processes have computed, from which the training may be theirs: TensorFlow's import takes more."""
LEAST_OWN_NS = 2_000_000_000
"""Of a training, from which on what its thread does is its own: first steps and the first looks take long."""
OVERLAPS = "with steps_per_execution the next batch is fetched while a step runs"
NO_MODEL = "TensorFlow keeps no model of this pipeline (autotune is off)"
SEVERAL = "the strategy fetches for several devices in one call"
IN_GRAPH = "a tf.function fetches and computes in one call"
UNSEEN = "`for x in dataset` inside a tf.function fetches and computes within TensorFlow: no step of it can be seen"


class Moment(NamedTuple):
    """State of a script at a time; `own`: seconds that its thread was on a core, less saves."""

    time_ns: int
    own: float | None
    steps: int

    @classmethod
    def now(cls, observer: ScriptObserver) -> Moment:
        """Read it; in any thread."""
        own: float | None = None
        with suppress(AttributeError, OSError):
            clock = time.pthread_getcpuclockid(threading.main_thread().ident or 0)
            own = time.clock_gettime(clock) - observer.habits.save_ns / 1e9
        return cls(time.perf_counter_ns(), own, sum(one.steps for one in observer.consumers))


class TrainingRecord:
    """What a script did so far, from its start to its end; `script` as the user typed it.

    Attributes:
        since: When its main dataset was first seen.
        tell_at: When it is told next.
        ended: What ended its measurement.
    """

    def __init__(self, script: str, observer: ScriptObserver) -> None:
        self._path, self._observer = Path(script), observer
        self._file = self._path.absolute()  # the script may go into another folder
        self.since: Moment | None = None
        self.tell_at = 0.0
        self.ended: str | None = None
        self._closed: Moment | None = None

    def begin(self) -> None:
        """Note that there is a main dataset."""
        self.since = Moment.now(self._observer)

    def end(self, reason: str) -> None:
        """Note the end."""
        self._closed, self.ended = Moment.now(self._observer), reason

    def section(self, main: Consumer | None, written: Sequence[WrittenFile], watch: SourceWatch | None) -> Training:
        """Collect the section."""
        observer, now = self._observer, self._closed or Moment.now(self._observer)
        habits, fit = observer.habits, observer.fit
        facts = Training(
            saves=habits.saves,
            ended=self.ended,
            datasets=[_use_of(one, main=one is main) for one in observer.consumers],
            source=habits.source,
            written=list(written),
        )
        if main is None:
            return replace(facts, consumer="graph-loop", unknown=UNSEEN) if observer.in_graph else facts
        epochs = epochs_started(main, fit)
        return replace(
            facts,
            consumer=main.kind,
            executions=main.executions,
            epochs=epochs,
            between_seconds=main.clock.between_ns / 1e9 if epochs > 1 else None,
            validations=fit.validations.count,
            validation_seconds=fit.validations.ns / 1e9 if fit.validations.count else None,
            epoch_end_seconds=fit.epoch_end_ns / 1e9 if fit.epochs else None,
            unread=_unread(watch, observer.iterated),
            **_knowledge(main),
            **_costs(main, observer, self.since, now),
        )

    def why_no_step(self) -> str:
        """State what the script did instead, and what to do."""
        path, observer = self._path, self._observer
        if observer.in_graph:
            line = observer.in_graph[0].line
            return f"{path.name}:{line}: {UNSEEN}; iterate over the dataset in Python, or over iter(dataset)"
        made = [one for one in observer.consumers if one.iterators and one.role != "adapt"]
        if made:
            where = f"{path.name}:{made[0].place.line}" if made[0].place.line else str(path)
            looked = any(one.taken for one in made)
            took = "a batch of a dataset, but no second one" if looked else "no batch of its dataset"
            return f"{where} takes {took}: a step is what lies between two batches"
        said, source = f"{path} finished without iterating over a tf.data dataset", observer.habits.source
        if source is not None:
            where = f" ({as_typed(source.file)}:{source.line})" if source.file is not None else ""
            said += f"; its batches come from {source.name}{where}"
        children = os.times().children_user
        if children >= LEAST_CHILDREN:
            said += f"; its child processes computed for {children:.0f} s: they are not measured, so run their script"
        functions = [f"{path}:{one.name}" for one in functions_in(self._file) if one.likely][:MOST_LISTED]
        return f"{said}; to measure a function that returns one, name it: {', '.join(functions)}" if functions else said


def epochs_started(main: Consumer, fit: Fit) -> int:
    """Return the passes over the main dataset; no more than `fit` has begun, which may look at a batch too many."""
    passes = main.clock.begun + main.clock.continued
    return min(passes, fit.epochs) if main.role == "training" and fit.epochs else passes


def graph_text(dataset: Any, watch: SourceWatch | None) -> GraphSeen | None:
    """Return what a dataset's graph shows, its text without numbered names; None for a large one."""
    if watch is None:
        return None
    held = held_bytes(watch.made) + watch.lines.held_bytes(dataset)
    graph = serialised(dataset, in_memory=held) if held <= MOST_COMPARED else ""
    if isinstance(graph, str):
        return None
    # TensorFlow keeps functions in no order; their numbers are in that of their making.
    functions = sorted(graph.library.function, key=lambda one: _number_of(one.signature.name))
    parts = "\n".join(map(str, (*graph.node, *functions)))
    return graph_seen(_NUMBERED.sub(r"\1", parts), graph)


def _number_of(name: str) -> tuple[int, str]:
    number = name.rpartition("_")[2]
    return (int(number) if number.isdecimal() else 0, name)


def graph_seen(text: str, graph: Any) -> GraphSeen:
    """Look for caches and for shuffles with a seed, also in the functions of a ``GraphDef``."""
    caches, seeds = [], []
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        known = {node.name: node for node in nodes}
        for node in nodes:
            if node.op.startswith("CacheDataset"):
                caches.append(_constant(known, node.input[1]))
            elif node.op.startswith("Shuffle"):
                seeds += [_constant(known, one) for one in node.input[2:4]]
    return GraphSeen(text, bool(caches), in_memory=b"" in caches, seeded=any(seeds))


def _constant(nodes: Mapping[str, Any], name: str) -> bytes | int | None:
    """The value of a scalar that is a constant of the graph; None for any other one."""
    node = nodes.get(name.partition(":")[0])
    if node is None or node.op != "Const":
        return None
    value = node.attr["value"].tensor
    return next(iter((*value.string_val, *value.int64_val)), None)


def _unread(watch: SourceWatch | None, iterated: Sequence[Any]) -> list[CodePlace]:
    """The places whose datasets are neither read by another dataset nor iterated over."""
    if watch is None:
        return []
    read = {spot for one in iterated if (made := watch.lines.created(one)) is not None for spot in _ends(made)}
    places = {spot: made.op for made in watch.lines.unread() for spot in sorted(_ends(made) - read)}
    return [CodePlace(name=op, file=file, line=line) for (file, line), op in places.items()][:MOST_UNREAD]


def _ends(made: CreatedDataset) -> set[tuple[str, int]]:
    return {(spot.file, spot.line) for spot in (*made.spots[:1], *made.spots[-1:])}


def _costs(main: Consumer, observer: ScriptObserver, since: Moment | None, now: Moment) -> Mapping[str, Any]:
    """What the script spends its time on, apart from the steps and their fetches."""
    habits, clock, own = observer.habits, main.clock, None
    computes = habits.own_steps or main.kind != "loop" or "torch" in sys.modules or jax_computes()
    lasted = since is not None and now.time_ns - since.time_ns >= LEAST_OWN_NS
    if lasted and not computes and since is not None and since.own is not None and now.own is not None:
        own = 1e3 * max(0.0, now.own - since.own) / max(1, now.steps - since.steps)
    return {
        "seconds": (now.time_ns - main.began_ns) / 1e9,
        "call_ms": clock.calls.mean(1e6),
        "apart_ms": clock.apart.mean(1e6),
        "own_ms": own,
        "save_seconds": habits.save_ns / 1e9 if habits.saves else None,
        "saver": habits.saver,
        "callbacks": habits.callbacks,
        "functions": habits.functions,
    }


def _knowledge(main: Consumer) -> Mapping[str, Any]:
    """What is known of the steps of a kind of consumer."""
    why_asynchronous = asynchronous(main)
    if main.kind == "loop":
        wait = None if why_asynchronous else "exact"
        return {"interval": "exact", "fetch": "exact", "wait": wait, "unknown": why_asynchronous}
    gaps = main.gap_ns is not None
    no_model = None if gaps else SEVERAL if main.devices > 1 else NO_MODEL
    fetch = "mean" if gaps else None
    if main.kind == "fit":
        unknown = no_model or why_asynchronous
        return {"interval": "exact", "fetch": fetch, "wait": None if unknown else "mean", "unknown": unknown}
    why = OVERLAPS if main.kind == "fit-executions" else IN_GRAPH
    return {"interval": "mean", "fetch": fetch, "wait": None, "unknown": why}


def _use_of(consumer: Consumer, *, main: bool) -> DatasetUse:
    objects, graph = consumer.objects, consumer.objects.graph
    return DatasetUse(
        role=consumer.role,
        main=main,
        file=consumer.place.file,
        line=consumer.place.line,
        datasets=objects.count,
        iterators=consumer.iterators,
        batches=consumer.clock.batches or None,
        seconds=consumer.seconds or None,
        fetch_seconds=consumer.clock.fetch_ns / 1e9 if consumer.clock.batches else None,
        epochs=consumer.clock.begun,
        first_seconds=consumer.clock.firsts.mean(1e9),
        caches_again=objects.caches_again,
        build_seconds=objects.built.mean(1e9),
        together=consumer.together,
        devices=consumer.devices,
        equal=objects.equal,
        cached=graph.cached if graph is not None else None,
        cached_in_memory=graph.in_memory if graph is not None else None,
        seeded=graph.seeded if graph is not None else None,
    )
