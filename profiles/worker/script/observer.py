"""What a training script iterates over, as its hooks tell it: by dataset, with the role that Keras gives it."""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.target.user_files import is_users
from pipeprof.profiles.document.shared import CodePlace, FunctionUse
from pipeprof.profiles.user_frames import users_frame_of
from pipeprof.profiles.worker.script.consumers import Consumer, GraphSeen, Model, Pass, Place, Role, Total
from pipeprof.profiles.worker.script.hooks import nothing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeprof.profiles.worker.script.hooks import Inner


_OWN = str(Path(__file__).parent)


@dataclass(frozen=True)
class Handlers:
    """What a run does, or reads, when a script does something.

    Attributes:
        made: Called in the script's thread when an iterator was made.
        attend: Called in the script's thread before a batch is requested, as long as there is `attention`.
        training: Called in the script's thread when `fit` begins.
        model: Reads the model of an iterator.
        saving: Called before files are written or deleted, with the method, its arguments and its named ones.
        exiting: Called where the script's own code calls `os._exit`.
        give: Returns what is iterated instead of a dataset, from where it is and its role; None: each is itself.
        graph_of: Returns what a dataset's graph shows; None where that takes too much.
    """

    made: Callable[[Consumer], None] = nothing
    attend: Callable[[Pass], None] = nothing
    training: Callable[[], None] = nothing
    model: Model = nothing
    saving: Callable[[str, Sequence[Any], Mapping[str, Any]], None] = nothing
    exiting: Callable[[int], None] = nothing
    give: Callable[[Any, Place, Role], Any] | None = None
    graph_of: Callable[[Any], GraphSeen | None] = nothing


@dataclass
class Building:
    """What is built between what the script did last and an iteration.

    Attributes:
        began_ns: When a dataset was first made; 0 before.
        ended_ns: When `fit` was called, else when the iterator was requested; 0 before.
        caches: Whether a cache was made.
    """

    began_ns: int = 0
    ended_ns: int = 0
    caches: bool = False


@dataclass
class Fit:
    """Calls of Keras' methods, and the training that `fit` does.

    Attributes:
        calls: Those of each kind that are under way.
        executions: Steps in one call of its function.
        consumer: What it trains on.
        latest: The latest pass over that, whose steps follow.
        epochs: How many have begun.
        epoch_end_ns: In callbacks at the ends of epochs.
        validations: Evaluations inside of it.
        paused_at: When the latest validation, or the callbacks at the end of an epoch, began.
    """

    calls: Counter[Inner | Literal["training"]] = field(default_factory=Counter)
    executions: int = 1
    consumer: Consumer | None = None
    latest: Pass | None = None
    epochs: int = 0
    epoch_end_ns: int = 0
    validations: Total = field(default_factory=Total)
    paused_at: int = 0

    def role_of(self, dataset: Any, epoch: Pass | None) -> Role:
        """Return what a dataset that is iterated now is for; `epoch`: the pass whose steps are taken."""
        if self.calls["adapt"]:
            return "adapt"
        if self.calls["validation"]:
            return "validation" if self.calls["training"] else "evaluation"
        if self.calls["prediction"]:
            return "prediction"
        if not self.calls["training"]:
            return "loop"
        # With a strategy, Keras looks at a batch of the validation's before that begins: the epoch is not over yet.
        trained = self.consumer.objects.latest() if epoch is not None and self.consumer is not None else None
        return "training" if trained is None or trained is dataset else "validation"


class ScriptObserver:
    """Records of a script's iteration, made from what `Hooks` tells. Its datasets and iterators are held weakly.

    Attributes:
        in_graph: Where datasets are consumed inside of a tf.function.
        came: Called when a batch came that was requested with `attention`; None for nothing.
    """

    def __init__(self, handlers: Handlers) -> None:
        self.came: Callable[[int], object] | None = None
        self.attention = False
        self.consumers: list[Consumer] = []
        self.in_graph: list[Place] = []
        self.fit = Fit()
        self._handlers = handlers
        self._clock = time.perf_counter_ns
        self.habits = Habits(users_place, self._clock)
        self.function_returned = self.habits.function_returned
        self._passes: dict[int, Pass] = {}
        self._owners: dict[int, tuple[Any, Consumer]] = {}
        self._lock = threading.Lock()
        self._ignoring = False
        self._building = Building()
        # The pass whose steps `fit` takes now; here, as each step needs it.
        self._epoch: Pass | None = None

    @contextlib.contextmanager
    def ignored(self) -> Iterator[None]:
        """Take no notice of datasets that the body makes: they are pipeprof's own."""
        self._ignoring = True
        try:
            yield
        finally:
            self._ignoring = False

    @property
    def iterated(self) -> list[Any]:
        """The datasets that exist and that were iterated over."""
        return [dataset for owner in list(self._owners.values()) if (dataset := owner[0]()) is not None]

    def dataset_made(self, dataset: Any) -> None:
        """Note when building began, the first source not counted, and whether a cache is built."""
        # A cache that was made before is shared by all that is made of it, and keeps its elements.
        building = self._building
        building.caches |= type(dataset).__name__.endswith("CacheDataset")
        if not building.began_ns and not self._ignoring:
            building.began_ns = self._clock()

    def given(self, dataset: Any) -> Any:
        """Return what is iterated instead."""
        if self._handlers.give is None or self._ignoring:
            return dataset
        return self._handlers.give(dataset, users_place(), self.fit.role_of(dataset, self._epoch))

    def iterator_made(self, dataset: Any, iterator: Any, began_ns: int, inner: Sequence[Any] | None = None) -> None:
        """Begin a pass over the dataset, whose iterator was requested at `began_ns`.

        Args:
            inner: The iterators of the devices, where a strategy distributes the dataset.
        """
        if self._ignoring:
            return
        number, role = id(iterator), self.fit.role_of(dataset, self._epoch)
        building, self._building = self._building, Building()
        building.ended_ns = building.ended_ns or began_ns
        one = Pass(began_ns, self._clock(), weakref.ref(iterator, lambda _: self._passes.pop(number, None)))
        if inner is not None:
            one.modelled = weakref.ref(*inner) if len(inner) == 1 else lambda: None
        with self._lock:
            consumer = self._consumer_of(dataset, role, building)
            consumer.iterators += 1
            consumer.devices = len(inner or ())
            consumer.began_ns = consumer.began_ns or began_ns
            consumer.passes.append(one)
            self._passes[number] = one
        if role == "training" and consumer.role == "training":
            consumer.executions = self.fit.executions
            self.fit.latest, self.fit.consumer = one, consumer
        self._handlers.made(consumer)

    def asked(self, iterator: Any) -> Callable[[int], object]:
        """Note that the next batch is requested, in Python; return what takes the time at which it came."""
        one = self._passes.get(id(iterator))
        if one is None:
            return nothing
        if one.ended and one is self.fit.latest and self.fit.calls["training"]:
            one = self._go_on(one)
        if self.attention:
            self._handlers.attend(one)
        one.times.append(self._clock())
        return self.came or one.times.append

    def ended(self, iterator: Any) -> None:
        """End the pass: there is no batch, or an error came instead."""
        one = self._passes.get(id(iterator))
        if one is not None:
            one.ended = self._clock()
            self._building.began_ns = 0

    def reduced(self) -> None:
        """Note ``Dataset.reduce`` inside of a tf.function, as AutoGraph makes of a loop over a dataset."""
        if sys.modules["tensorflow"].inside_function() and len(self.in_graph) < 100:
            self.in_graph.append(users_place())

    def alike(self, main: Consumer | None) -> list[Consumer]:
        """Return those at one's place: a dataset that is built again while the last one is kept is another."""
        own = (main.place, main.role) if main is not None else None
        return [one for one in self.consumers[:] if (one.place, one.role) == own]

    def loader_began(self, loader: Any) -> None:
        """Note where the batches of a loop come from; those of Keras on torch come from its own loader around them."""
        if self.fit.role_of(loader, self._epoch) == "loop":
            self.habits.takes_from(loader)

    def tape_read(self) -> None:
        """Note that steps compute outside of tf.functions."""
        self.habits.own_steps = self.habits.own_steps or sys.modules["tensorflow"].executing_eagerly()

    def fit_called(self, model: Any, source: Any) -> None:
        """Take iterators as those of training: `fit` is about to run, with `source` as its first argument."""
        self.fit.calls["training"] += 1
        self._building.ended_ns = self._clock()
        self.habits.takes_from(source)
        executions = getattr(model, "steps_per_execution", 1)
        self.fit.executions = executions if isinstance(executions, int) and executions > 0 else 1

    def fit_returned(self) -> None:
        """End the last epoch, also after an error."""
        self.fit.calls["training"] -= 1
        self._close_epoch()
        self._building.began_ns = self._building.ended_ns = 0

    def train_began(self, callbacks: Sequence[Any]) -> None:
        """Read for which callbacks Keras waits; they have not heard of the training yet."""
        self.habits.began_training(callbacks)
        self._handlers.training()

    def epoch_began(self) -> None:
        """Take the steps that follow as those of a new epoch."""
        self.fit.epochs += 1
        self._epoch = None

    def step_began(self) -> None:
        """Note the time, after what there is to do before the step."""
        one = self._epoch
        if one is None:
            # The steps that follow are those of the latest iterator.
            one = self.fit.latest or Pass(self._clock(), self._clock(), lambda: None)
            one = self._epoch = self._go_on(one) if one.ended else one
        if self.attention:
            self._handlers.attend(one)
        one.steps.append(self._clock())

    def step_returned(self) -> None:
        """Note the time."""
        if self._epoch is not None:
            self._epoch.steps.append(self._clock())

    def _go_on(self, one: Pass) -> Pass:
        """Begin another pass with the iterator of an epoch that is over, as Keras does for `steps_per_epoch`."""
        now, polled = self._clock(), one.last_model[0] if one.last_model is not None else one.polled
        further = Pass(now, now, one.iterator, one.modelled, polled=polled, goes_on=True)
        with self._lock:
            if self.fit.consumer is not None:
                self.fit.consumer.passes.append(further)
            if (iterator := one.iterator()) is not None:
                self._passes[id(iterator)] = further
        self.fit.latest = further
        return further

    def _close_epoch(self) -> None:
        one, self._epoch = self._epoch, None
        if one is None or one.ended:
            return
        with contextlib.suppress(Exception):
            one.last_model = one.look(self._handlers.model)
        one.ended = self._clock()

    def epoch_ending(self) -> None:
        """End the steps of the epoch; the clock of what comes after them starts."""
        self._close_epoch()
        self.fit.paused_at = self._clock()

    def epoch_ended(self) -> None:
        """Note how long they took."""
        self.fit.epoch_end_ns += self._clock() - self.fit.paused_at

    def entered(self, role: Inner) -> None:
        """Take iterators as those of the evaluation, the prediction or the `adapt` of a layer that begins."""
        self.fit.calls[role] += 1
        if role == "validation" and self.fit.calls["training"]:
            self.epoch_ending()

    def left(self, role: Inner) -> None:
        """End that; note how long a validation took."""
        self.fit.calls[role] -= 1
        if role != "validation":
            return
        self._building.began_ns = 0
        if self.fit.calls["training"]:
            self.fit.validations.add(self._clock() - self.fit.paused_at)

    def saving(self, method: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
        """Count the models and checkpoints, and look at what is about to be written over or deleted."""
        self.habits.saving(method)
        self._handlers.saving(method, arguments, named)

    def saved(self) -> None:
        """Note how long that took."""
        self.habits.saved()
        self._building.began_ns = 0

    def exiting(self, status: int) -> None:
        """Pass it on if it is the script's own call, not one of a library's in a child."""
        frame = inspect.currentframe()
        while frame is not None and frame.f_code.co_filename.startswith(_OWN):
            frame = frame.f_back
        if frame is not None and is_users(frame.f_code.co_filename):
            self._handlers.exiting(status)

    def _consumer_of(self, dataset: Any, role: Role, building: Building) -> Consumer:
        """Return the consumer of a dataset; one that was built again at the same place has the consumer of the last."""
        number = id(dataset)
        reference, known = self._owners.get(number, (lambda: None, None))
        if reference() is not dataset:
            known = None
        if known is not None and not known.goes_to(role):
            return known
        place = users_place()
        if known is not None and (known.place, known.role) == (place, role):
            return known
        consumer = Consumer(place, role)
        alike = self.alike(consumer)
        before = next((one for one in alike if one.is_built_again(len(alike))), None)
        if known is not None:
            if before is None or known.objects.count > 1:
                known.place, known.role = place, role
                return known
            # A look at a dataset that is built again in each epoch.
            self.consumers.remove(known)
        if before is None:
            self.consumers.append(consumer)
        else:
            consumer, objects = before, before.objects
            objects.count += 1
            objects.caches_again |= building.caches
            if building.began_ns:
                objects.built.add(building.ended_ns - building.began_ns)
        if consumer.role != "adapt":
            consumer.objects.compare(dataset, self._handlers.graph_of)
        consumer.objects.latest = weakref.ref(dataset, lambda _: self._owners.pop(number, None))
        self._owners[number] = (consumer.objects.latest, consumer)
        return consumer


def users_place() -> Place:
    """Return the innermost line of the user's code that led here."""
    frame = users_frame_of(inspect.currentframe())
    return Place(frame.file, frame.line) if frame is not None else Place()


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
        saver: Method and line of the latest.
        own_steps: Whether steps compute outside of tf.functions.
        callbacks: Those that make `fit` wait for the results of each step.
        source: What gives batches, if it is no tf.data dataset.
    """

    def __init__(self, place: Callable[[], Place], clock: Callable[[], int]) -> None:
        self.saves = self.save_ns = 0
        self.saver: CodePlace | None = None
        self.own_steps = False
        self.callbacks: list[CodePlace] = []
        self.source: CodePlace | None = None
        self._place, self._clock = place, clock
        self._thread = get_ident()
        self._counting: dict[int, _Returned] = {}
        self._uses: dict[Any, FunctionUse] = {}
        self._saving: list[tuple[bool, int]] = []

    @property
    def functions(self) -> list[FunctionUse]:
        """The tf.functions that were called, those with most time first."""
        return sorted(self._uses.values(), key=lambda use: -use.seconds)[:_MOST]

    def function_returned(self, function: Any, duration_ns: int) -> None:
        """Count a call."""
        if get_ident() == self._thread:
            (self._counting.get(id(function)) or self._counts(function))(function, duration_ns)

    def _counts(self, function: Any) -> _Returned:
        """Return what counts the calls of a function, and its traces after long ones."""
        name = getattr(function.python_function, "__name__", "tf.function")
        file, line = _users_code(function.python_function) or self._place()
        use = self._uses.setdefault((name, file, line), FunctionUse(name=name, file=file, line=line))
        use.objects += 1
        known = 0

        def returned(function: Any, duration_ns: int) -> None:
            nonlocal known
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

        weakref.finalize(function, self._counting.pop, id(function), None).atexit = False
        self._counting[id(function)] = returned
        return returned

    def saving(self, method: str) -> None:
        """Start the clock of a save; of one inside another, do not."""
        counts = method.startswith(_SAVES) and not any(outer for outer, _ in self._saving)
        if counts:
            self.saves += 1
            self.saver = _named(method, self._place())
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
            for name in ("on_train_batch_end", "on_batch_end"):
                # Of the object, not of its class: a LambdaCallback has what it was given as attributes.
                method = getattr(callback, name, None)
                if method is None or getattr(method, "__func__", None) is getattr(base, name, None):
                    continue
                if all(one.name != kind.__name__ for one in self.callbacks):
                    self.callbacks.append(_named(kind.__name__, _users_code(method) or Place()))
                break

    def takes_from(self, source: Any) -> None:
        """Note a source of batches that is no tf.data dataset."""
        names = {kind.__name__ for kind in type(source).__mro__}
        if not names & {"PyDataset", "DataLoader"}:
            return
        rows = getattr(source, "dataset", source) if "DataLoader" in names else source
        getter = getattr(type(rows), "__getitem__", None) or getattr(type(rows), "__iter__", None)
        self.source = _named(type(rows).__name__, _users_code(getter) or self._place())


def _users_code(function: Any) -> Place | None:
    """Where a function stands in the user's files; None for one that does not."""
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    return Place(code.co_filename, code.co_firstlineno) if code is not None and is_users(code.co_filename) else None


def _named(name: str, place: Place) -> CodePlace:
    return CodePlace(name=name, file=place.file, line=place.line)
