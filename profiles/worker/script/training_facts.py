"""The section `training` of a profile: how a script took its batches, or why none, and what it did in addition."""

from __future__ import annotations

import inspect
import os
import re
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import get_ident
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.observe.build_watch import SourceWatch, held_bytes
from pipeprof.pipelines.graph.observe.reading import serialised
from pipeprof.pipelines.target.names_in_file import functions_in
from pipeprof.pipelines.target.user_files import is_users, read_source
from pipeprof.profiles.document.shared import CodePlace, DatasetUse, FunctionUse, Training
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.script.consumers import GraphSeen

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.observe.created import CreatedDataset
    from pipeprof.profiles.document.shared import WrittenFile
    from pipeprof.profiles.worker.script.consumers import Consumer

ScriptObserver: TypeAlias = Any
"""Its module imports this one."""
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
JAX = "JAX returns before a step has ended"
ON_GPU = "on a GPU TensorFlow returns before a step has ended"
TORCH_ON_GPU = "on a GPU PyTorch returns before a step has ended"
OVERLAPS = "with steps_per_execution the next batch is fetched while a step runs"
NO_MODEL = "TensorFlow keeps no model of this pipeline (autotune is off)"
SEVERAL = "the strategy fetches for several devices in one call"
IN_GRAPH = "a tf.function fetches and computes in one call"
UNSEEN = "`for x in dataset` inside a tf.function fetches and computes within TensorFlow: no step of it can be seen"
_Place: TypeAlias = tuple[str | None, int | None]
"""A file and a line."""
_Returned: TypeAlias = Callable[[Any, int], object]
"""Hears of a tf.function that returned, and of the nanoseconds that it took."""
_SAVES = ("keras.", "tensorflow.train.", "tensorflow.saved_model.", "torch.")
_LONG_NS = 5_000_000
"""A call that traces takes longer: only after such a one the traces are counted."""
_MOST = 100


class Habits:
    """Records of what a script calls, in its own thread; times in nanoseconds.

    Args:
        place: Returns the innermost line of the user's code.
        clock: Nanoseconds of ``time.perf_counter_ns``.

    Attributes:
        saves: Calls that save a model or a checkpoint, those inside of another one not counted.
        save_ns: They took so long.
        saver: Method and line of the latest.
        own_steps: Whether steps compute outside of tf.functions.
        callbacks: Those that make `fit` wait for the results of each step.
        source: What gives batches, if it is no tf.data dataset.
        calls: By the number of a tf.function that was called, what counts a call of it.
    """

    def __init__(self, place: Callable[[], _Place], clock: Callable[[], int]) -> None:
        self.saves = self.save_ns = 0
        self.saver: CodePlace | None = None
        self.own_steps = False
        self.callbacks: list[CodePlace] = []
        self.source: CodePlace | None = None
        self.source_kind: Literal["PyDataset", "DataLoader"] | None = None
        self._place, self._clock = place, clock
        self._thread = get_ident()
        self.calls: dict[int, _Returned] = {}
        self._uses: dict[Any, FunctionUse] = {}
        self._saving: list[tuple[bool, int]] = []

    @property
    def functions(self) -> list[FunctionUse]:
        """The tf.functions that were called, those with most time first."""
        return sorted(self._uses.values(), key=lambda use: -use.seconds)[:_MOST]

    def function_returned(self, function: Any, duration_ns: int) -> None:
        """Count a call."""
        if get_ident() == self._thread:
            (self.calls.get(id(function)) or self._counts(function))(function, duration_ns)

    def _counts(self, function: Any) -> _Returned:
        """Return what counts the calls of a function, and its traces after long ones, in this thread."""
        code = getattr(function.python_function, "__code__", None)
        name = getattr(function.python_function, "__name__", "tf.function")
        own = code is not None and is_users(code.co_filename)
        file, line = (code.co_filename, code.co_firstlineno) if own and code is not None else self._place()
        use = self._uses.setdefault((name, file, line), FunctionUse(name=name, file=file, line=line))
        use.objects += 1
        thread, known = self._thread, 0

        def returned(function: Any, duration_ns: int) -> None:
            nonlocal known
            if get_ident() != thread:
                return
            use.calls += 1
            use.seconds += duration_ns / 1e9
            if duration_ns < _LONG_NS and known:
                return
            traces = function.experimental_get_tracing_count()
            if traces > known:
                if use.traces:
                    use.trace_seconds += duration_ns / 1e9
                use.traces += traces - known
                known = traces

        weakref.finalize(function, self.calls.pop, id(function), None).atexit = False
        self.calls[id(function)] = returned
        return returned

    def compiled(self, function: str, seconds: float) -> None:
        """Count a compilation of JAX's, at the line that called the function."""
        file, line = self._place()
        if get_ident() != self._thread or file is None:
            return
        name = function.removeprefix("jit_").removeprefix("jit(").removesuffix(")")
        use = self._uses.setdefault((name, file, line), FunctionUse(name=name, file=file, line=line, compiler="JAX"))
        if use.traces:
            use.trace_seconds += seconds
        use.traces += 1

    def saving(self, method: str) -> None:
        """Start the clock of a save; of one inside another, do not."""
        counts = method.startswith(_SAVES) and not any(outer for outer, _ in self._saving)
        if counts:
            self.saves += 1
            file, line = self._place()
            self.saver = CodePlace(name=method, file=file, line=line)
        self._saving.append((counts, self._clock()))

    def saved(self) -> None:
        """Stop it."""
        counts, began = self._saving.pop() if self._saving else (False, 0)
        if counts:
            self.save_ns += self._clock() - began

    def began_training(self, callbacks: Sequence[Any]) -> None:
        """Note the callbacks that make Keras wait for each step: see `CallbackList._configure_async_dispatch`."""
        for callback in callbacks:
            kind = type(callback)
            if getattr(callback, "async_safe", False) or kind.__name__ in ("History", "ProgbarLogger"):
                continue
            base = next((one for one in reversed(kind.__mro__) if one.__name__ == "Callback"), object)
            # Of the object, not of its class: a LambdaCallback has what it was given as attributes.
            methods = (
                getattr(callback, name, None)
                for name in ("on_train_batch_end", "on_batch_end")
                if getattr(getattr(callback, name, None), "__func__", None) is not getattr(base, name, None)
            )
            method = next((one for one in methods if one is not None), None)
            code = getattr(inspect.unwrap(method), "__code__", None) if method is not None else None
            if method is None or any(one.name == kind.__name__ for one in self.callbacks):
                continue
            own = code is not None and is_users(code.co_filename)
            place = {"file": code.co_filename, "line": code.co_firstlineno} if own and code is not None else {}
            self.callbacks.append(CodePlace(name=kind.__name__, **place))

    def takes_from(self, source: Any) -> None:
        """Note a source of batches that is no tf.data dataset."""
        names = {kind.__name__ for kind in type(source).__mro__}
        kind = next((kind for kind in ("PyDataset", "DataLoader") if kind in names), None)
        if kind is None:
            return
        rows = getattr(source, "dataset", source) if kind == "DataLoader" else source
        self.source_kind = "PyDataset" if kind == "PyDataset" else "DataLoader"
        self.source = self._class_of(rows)

    def _class_of(self, rows: Any) -> CodePlace:
        """Return the class of what gives batches, with the place of its code, else of the call."""
        getter = getattr(type(rows), "__getitem__", None) or getattr(type(rows), "__iter__", None)
        code = getattr(inspect.unwrap(getter), "__code__", None) if getter is not None else None
        own = code is not None and is_users(code.co_filename)
        file, line = (code.co_filename, code.co_firstlineno) if own and code is not None else self._place()
        return CodePlace(name=type(rows).__name__, file=file, line=line)


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


def training_facts(
    main: Consumer | None,
    observer: ScriptObserver,
    moments: tuple[Moment | None, Moment],
    *,
    ended: str | None,
    written: Sequence[WrittenFile],
    watch: SourceWatch | None,
) -> Training:
    """Collect the section.

    Args:
        main: The main dataset's consumer, if there is one.
        moments: When the main dataset was first seen, and the end.
        ended: What ended the run.
        written: Files that the script has written.
        watch: Has seen the datasets being made.
    """
    uses = [_use_of(one, main=one is main) for one in observer.consumers]
    habits = observer.habits
    facts = Training(
        saves=habits.saves,
        ended=ended,
        datasets=uses,
        source=habits.source,
        source_kind=habits.source_kind,
        written=list(written),
    )
    if main is None:
        seen: Literal["graph-loop"] | None = "graph-loop" if observer.in_graph else None
        return replace(facts, consumer=seen, unknown=UNSEEN if seen else None)
    epochs = epochs_started(main, observer)
    facts = replace(
        facts,
        consumer=main.kind,
        executions=main.executions,
        epochs=epochs,
        between_seconds=main.clock.between_ns / 1e9 if epochs > 1 else None,
        validations=observer.validations,
        validation_seconds=observer.validation_ns / 1e9 if observer.validations else None,
        epoch_end_seconds=observer.epoch_end_ns / 1e9 if observer.epochs else None,
    )
    return replace(
        facts, **_knowledge(main), **_costs(main, observer, *moments), unread=_unread(watch, observer.iterated)
    )


def epochs_started(main: Consumer, observer: ScriptObserver) -> int:
    """Return the passes over the main dataset; no more than `fit` has begun, which may look at a batch too many."""
    passes = main.clock.begun + main.clock.continued
    begun: int = observer.epochs
    return min(passes, begun) if main.role == "training" and begun else passes


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
    computes = habits.own_steps or main.kind != "loop" or "torch" in sys.modules or _jax_computes()
    if (
        since is not None
        and since.own is not None
        and now.own is not None
        and now.time_ns - since.time_ns >= LEAST_OWN_NS
        and not computes
    ):
        own = 1e3 * max(0.0, now.own - since.own) / max(1, now.steps - since.steps)
    return {
        "seconds": (now.time_ns - main.began_ns) / 1e9,
        "call_ms": clock.call_ns / clock.calls / 1e6 if clock.calls else None,
        "apart_ms": clock.apart_ns / clock.aparts / 1e6 if clock.aparts else None,
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


def asynchronous(main: Consumer) -> str | None:
    """Why a step may go on when the script requests the next batch; None where it cannot."""
    is_initialized: Any = _held(sys.modules.get("torch.cuda")).get("is_initialized")
    on_torch = is_initialized is not None and bool(is_initialized())
    if on_torch:
        return TORCH_ON_GPU
    if main.kind == "loop" and _jax_computes():
        return JAX
    tensorflow: Any = sys.modules["tensorflow"]
    if tensorflow.config.list_logical_devices("GPU"):
        return ON_GPU
    return None


def _jax_computes() -> bool:
    """Whether JAX has a backend: it has none before it computes, however often it was imported."""
    backends = _held(sys.modules.get("jax._src.xla_bridge")).get("_backends", True)
    return "jax" in sys.modules and bool(backends)


def in_users_files(word: bytes) -> bool:
    """Return whether a file of the user's that was imported, or runs, has a word in it."""
    files = [_held(module).get("__file__") for module in list(sys.modules.values())]
    return any(isinstance(file, str) and is_users(file) and word in read_source(Path(file)) for file in files)


def _held(module: object) -> Mapping[str, Any]:
    """The names of a module, read without its class: one that is loaded lazily imports itself for any other look."""
    return object.__getattribute__(module, "__dict__") if issubclass(type(module), ModuleType) else {}


def _use_of(consumer: Consumer, *, main: bool) -> DatasetUse:
    graph = consumer.graph
    return DatasetUse(
        role=consumer.role,
        main=main,
        file=consumer.place.file,
        line=consumer.place.line,
        datasets=consumer.datasets,
        iterators=consumer.iterators,
        batches=consumer.clock.batches or None,
        seconds=consumer.seconds or None,
        fetch_seconds=consumer.fetch_seconds if consumer.clock.batches else None,
        epochs=consumer.clock.begun,
        first_seconds=consumer.clock.first_ns / consumer.clock.firsts / 1e9 if consumer.clock.firsts else None,
        caches_again=consumer.caches_again,
        build_seconds=consumer.built_ns / consumer.builds / 1e9 if consumer.builds else None,
        together=consumer.together,
        devices=consumer.devices,
        equal=consumer.equal,
        cached=graph.cached if graph is not None else None,
        cached_in_memory=graph.in_memory if graph is not None else None,
        seeded=graph.seeded if graph is not None else None,
    )


def why_no_step(path: Path, file: Path, observer: ScriptObserver) -> str:
    """State what the script did instead, and what to do.

    Args:
        path: The script's, as the user typed it.
        file: The same, absolute.
    """
    if observer.in_graph:
        line = observer.in_graph[0].line
        return f"{path.name}:{line}: {UNSEEN}; iterate over the dataset in Python, or over iter(dataset)"
    made = [one for one in observer.consumers if one.iterators and one.role != "adapt"]
    if made:
        where = f"{path.name}:{made[0].place.line}" if made[0].place.line else str(path)
        took = (
            "a batch of a dataset, but no second one" if any(one.taken for one in made) else "no batch of its dataset"
        )
        return f"{where} takes {took}: a step is what lies between two batches"
    functions = [one.name for one in functions_in(file) if one.likely]
    listed = ", ".join(f"{path}:{name}" for name in functions[:MOST_LISTED])
    more = f"; to measure a function that returns one, name it: {listed}" if functions else ""
    source = observer.habits.source
    taken = ""
    if source is not None:
        taken = f"; its batches come from {_with_place(source)}, a {observer.habits.source_kind}"
    children = os.times().children_user
    if children >= LEAST_CHILDREN:
        taken += f"; its child processes computed for {children:.0f} s: they are not measured, so run their script"
    return f"{path} finished without iterating over a tf.data dataset{taken}{more}"


def _with_place(code: CodePlace) -> str:
    return f"{code.name} ({as_typed(code.file)}:{code.line})" if code.file is not None else code.name
