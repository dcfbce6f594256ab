"""Wrapped public methods of TensorFlow and Keras: the one place where pipeprof changes what a training script calls.

Only the measured process has them, and only while a script or the import of a user's file is observed. A wrapper calls
the real method with the same arguments and returns what it returned; it tells an `Observer` before and after. Nothing
here knows what is done with that. No callback is added to ``fit``: one that defines ``on_train_batch_end`` would make
every step wait for its results (`CallbackList._configure_async_dispatch` of Keras 3).

A program that computes on a GPU requests its next batch while the GPU is still at work, so its time in ``next()`` is no
wait of the GPU. In some more steps after the measured ones the GPU's own clock is read: from the trace of JAX or of
TensorFlow, or from events of PyTorch around each request. No step waits for the GPU because of it; when these steps are
over, pipeprof waits until its work is done.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.target.user_files import is_users, read_source
from pipeprof.profiles.protocol.messages import DeviceRead
from pipeprof.profiles.protocol.wrapped import WRAPPED, WRITERS, Wrapped
from pipeprof.profiles.worker.trace.device import PROFILERS, TraceClock, is_enough

if TYPE_CHECKING:
    from pipeprof.profiles.worker.script.consumers import Consumer, Pass


Inner = Literal["validation", "prediction", "adapt"]
"""What takes batches for something else than a step."""


def nothing(*_arguments: object) -> None:
    """Do nothing."""


class Observer:
    """Receiver of what a script does: what a class that derives from it does not define does nothing.

    `ScriptObserver` has all that is told. A method that raises raises into the user's code, so none does unless it is
    meant to.

    What is called for every step is short: a step pushes what it needs out of the processor's caches, so that to find
    an iterator in a dictionary takes 1.5 µs.
    """

    def given(self, dataset: Any) -> Any:
        """Return the dataset to iterate where the script iterates this one."""
        return dataset

    def asked(self, _iterator: Any) -> Callable[[int], object]:
        """Return what takes the time at which the batch came that is requested now."""
        return nothing

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return nothing


_KNOWN_LATER = ("data.Iterator", "distribute.DistributedDataset", "distribute.DistributedIterator")
_Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
_Tell = Callable[[Any, Sequence[Any], Mapping[str, Any]], object]
_TOLD: Mapping[str, tuple[_Tell | None, _Tell | None]] = {
    "__init__": (None, lambda seen, given, _: seen.dataset_made(given[0])),
    "__iter__": (lambda seen, given, _: seen.loader_began(given[0]), None),
    "gradient": (lambda seen, *_: seen.tape_read(), None),
    "reduce": (lambda seen, *_: seen.reduced(), None),
    "adapt": (lambda seen, *_: seen.entered("adapt"), lambda seen, *_: seen.left("adapt")),
    "fit": (
        lambda seen, given, named: seen.fit_called(given[0], given[1] if len(given) > 1 else named.get("x")),
        lambda seen, *_: seen.fit_returned(),
    ),
    "on_train_begin": (lambda seen, given, _: seen.train_began(given[0].callbacks), None),
    "on_epoch_begin": (lambda seen, *_: seen.epoch_began(), None),
    "on_epoch_end": (lambda seen, *_: seen.epoch_ending(), lambda seen, *_: seen.epoch_ended()),
    # Before the batch is fetched, and when the function has returned: on a device it may still be at work.
    "on_train_batch_begin": (lambda seen, *_: seen.step_began(), None),
    "on_train_batch_end": (lambda seen, *_: seen.step_returned(), None),
    "on_test_begin": (lambda seen, *_: seen.entered("validation"), None),
    "on_test_end": (None, lambda seen, *_: seen.left("validation")),
    "on_predict_begin": (lambda seen, *_: seen.entered("prediction"), None),
    "on_predict_end": (None, lambda seen, *_: seen.left("prediction")),
    "_exit": (lambda seen, given, named: seen.exiting(given[0] if given else named.get("status", 0)), None),
}
"""What is told before and after a method, from its arguments, of which the first is its object, and its named ones."""


def _told_of_writer(method: str) -> tuple[_Tell, _Tell]:
    return lambda seen, given, named: seen.saving(method, given, named), lambda seen, *_: seen.saved()


class Hooks:
    """The wrapped methods of the libraries that were imported.

    Args:
        observer: An `Observer` or a `ScriptObserver`.
        clock: Nanoseconds of ``time.perf_counter_ns``.
    """

    def __init__(self, observer: Any, clock: Callable[[], int]) -> None:
        # Looked up in each call, so that what cannot be unwrapped can be made to tell nothing.
        self._seen = observer
        self._clock = clock
        self._real: list[tuple[Any, str, Any, Any]] = []
        self._known: set[type] = set()
        # Of a distributed dataset, weakly: the script's own, and what distributes another one in its place.
        self._sources: WeakKeyDictionary[Any, tuple[Any, Callable[[Any], Any]]] = WeakKeyDictionary()
        self._inner: list[Any] | None = None
        self._eagerly: Callable[[], bool] = lambda: True

    def install(self, library: str) -> None:
        """Wrap the methods of a library that has been imported; those that it lacks are left out."""
        module = sys.modules[library]
        if library == "tensorflow":
            self._eagerly = module.executing_eagerly
        for row in WRAPPED:
            # The class of iterators is known when there is one: to look it up would start TensorFlow's devices.
            if row.module != library or row.owner in _KNOWN_LATER:
                continue
            owner: Any = module
            for name in filter(None, row.owner.split(".")):
                owner = getattr(owner, name, None)
            if owner is not None and row.method == "__call__":
                for kind in owner.__subclasses__():
                    self._wrap(kind, row.method, self._around_function)
            elif owner is not None and hasattr(owner, row.method):
                self._wrap(owner, row.method, self._wrapper(row))

    def uninstall(self) -> None:
        """Put the real methods back; one that others have wrapped since stays, and tells nothing any more."""
        self._seen = Observer()
        for owner, name, wrapped, real in reversed(self._real):
            if vars(owner).get(name) is not wrapped:
                continue
            if real is None:
                delattr(owner, name)
            else:
                setattr(owner, name, real)
        self._real.clear()
        self._known.clear()

    def _wrap(self, owner: Any, name: str, wrap: _Wrap) -> None:
        real = getattr(owner, name)
        wrapped = functools.wraps(real)(wrap(real))
        self._real.append((owner, name, wrapped, real if name in vars(owner) else None))
        setattr(owner, name, wrapped)

    def _wrapper(self, row: Wrapped) -> _Wrap:
        wrappers: dict[tuple[str, str], _Wrap] = {
            ("data.Dataset", "__iter__"): self._around_iter,
            ("distribute.Strategy", "experimental_distribute_dataset"): self._around_distribute,
            ("distribute.Strategy", "distribute_datasets_from_function"): self._around_distribute_function,
        }
        if (wrapper := wrappers.get((row.owner, row.method))) is not None:
            return wrapper
        before, after = _TOLD[row.method] if row not in WRITERS else _told_of_writer(str(row))
        return lambda real: self._around(real, before, after)

    def _around(self, real: Callable[..., Any], before: _Tell | None, after: _Tell | None) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if before is not None:
                before(self._seen, arguments, named)
            try:
                return real(*arguments, **named)
            finally:
                if after is not None:
                    after(self._seen, arguments, named)

        return wrapped

    def _around_iter(self, real: Callable[..., Any]) -> Callable[..., Any]:
        clock = self._clock

        def __iter__(dataset: Any) -> Any:
            # Within a tf.function there is no iterator yet, only a tensor of one.
            if not self._eagerly():
                return real(dataset)
            if self._inner is not None:
                self._inner.append(real(dataset))
                return self._inner[-1]
            handed = self._seen.given(dataset)
            began = clock()
            iterator = real(handed)
            self._wrap_known(type(iterator), "data.Iterator", self._around_next)
            self._seen.iterator_made(dataset, iterator, began)
            return iterator

        return __iter__

    def _around_distribute(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def experimental_distribute_dataset(strategy: Any, dataset: Any, options: Any = None) -> Any:
            distributed = real(strategy, dataset, options)
            return self._distributed(distributed, dataset, options, lambda other: real(strategy, other, options))

        return experimental_distribute_dataset

    def _around_distribute_function(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def distribute_datasets_from_function(
            strategy: Any, dataset_fn: Callable[[Any], Any], options: Any = None
        ) -> Any:
            made: list[Any] = []

            def noted(context: Any) -> Any:
                made.append(dataset_fn(context))
                return made[-1]

            distributed = real(strategy, noted, options)
            if len(made) != 1:
                return distributed
            again = lambda other: real(strategy, lambda _context: other, options)  # noqa: E731
            return self._distributed(distributed, made.pop(), options, again)

        return distribute_datasets_from_function

    def _distributed(self, distributed: Any, dataset: Any, options: Any, again: Callable[[Any], Any]) -> Any:
        """Remember what is behind a distributed dataset; not where it is iterated as any other one is."""
        plain = options is not None and not options.experimental_fetch_to_device
        if distributed is not dataset and self._eagerly() and not plain:
            with suppress(TypeError):
                self._sources[distributed] = dataset, again
                self._wrap_known(type(distributed), "distribute.DistributedDataset", self._around_distributed_iter)
        return distributed

    def _around_distributed_iter(self, real: Callable[..., Any]) -> Callable[..., Any]:
        clock = self._clock

        def __iter__(distributed: Any) -> Any:
            dataset, again = self._sources.get(distributed, (None, None))
            if again is None or not self._eagerly():
                return real(distributed)
            handed = self._seen.given(dataset)
            inner: list[Any] = []
            began = clock()
            self._inner = inner
            try:
                iterator = real(distributed if handed is dataset else again(handed))
            finally:
                self._inner = None
            # Its `__next__` calls it.
            self._wrap_known(type(iterator), "distribute.DistributedIterator", self._around_next)
            self._seen.iterator_made(dataset, iterator, began, inner)
            return iterator

        return __iter__

    def _around_function(self, real: Callable[..., Any]) -> Callable[..., Any]:
        clock, eagerly = self._clock, self._eagerly

        def call(function: Any, *arguments: Any, **named: Any) -> Any:
            if not eagerly():
                return real(function, *arguments, **named)
            began = clock()
            try:
                return real(function, *arguments, **named)
            finally:
                self._seen.function_returned(function, clock() - began)

        return call

    def _wrap_known(self, kind: type, owner: str, wrap: _Wrap) -> None:
        """Wrap the methods of a class that is known by now, once."""
        if not self._real or kind in self._known:
            return
        self._known.add(kind)
        for name in (row.method for row in WRAPPED if row.owner == owner):
            if hasattr(kind, name):
                self._wrap(kind, name, wrap)

    def _around_next(self, real: Callable[..., Any]) -> Callable[..., Any]:
        # A name of this function, not of the module: it is nearer.
        clock = self._clock

        def next_batch(iterator: Any) -> Any:
            got = self._seen.asked(iterator)
            try:
                batch = real(iterator)
            except BaseException:
                self._seen.ended(iterator)
                raise
            got(clock())
            return batch

        return next_batch


JAX = "JAX returns before a step has ended"
ON_GPU = "on a GPU TensorFlow returns before a step has ended"
TORCH_ON_GPU = "on a GPU PyTorch returns before a step has ended"
_PROFILES = b"profiler"
"""In a file of the user's: one that starts a trace of its own while ours runs would get an error."""


class TorchClock:
    """Events of PyTorch on the current stream: each marks when the work before it was done."""

    def __init__(self) -> None:
        self._torch: Any = sys.modules["torch"]
        self._requests: list[list[Any]] = []

    def start(self) -> None:
        """Need nothing."""

    def requested(self) -> None:
        """Mark the end of the work so far."""
        self._requests.append([self._mark()])

    def came(self) -> None:
        """Mark the time, if the GPU has nothing left to do."""
        self._requests[-1].append(self._mark())

    def _mark(self) -> Any:
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def read(self, came: Sequence[bool]) -> DeviceRead:
        """Wait for the GPU; return the times between the marks, and for each request whether there was a batch."""
        self._torch.cuda.synchronize()
        waits = [_seconds(marks[0], marks[-1]) if len(marks) > 1 else 0.0 for marks in self._requests[:-1]]
        steps = [_seconds(one[0], later[0]) for one, later in pairwise(self._requests)]
        return DeviceRead(list(came), None, waits, steps)


def _seconds(begin: Any, end: Any) -> float:
    return float(begin.elapsed_time(end)) / 1e3


class DeviceSteps:
    """The steps after the measured ones, as long as the GPU's clock is to be read."""

    def __init__(self) -> None:
        self.read: DeviceRead | None = None
        """What the clock showed; None until then, and if that failed."""
        self.began = False
        """Whether steps that follow are no longer the measured ones."""
        self._pass: Any = None
        self._clock: TorchClock | TraceClock | None = None
        self._came: list[bool] = []
        self._began_at = 0.0
        self._inside = self._over = False

    def goes_on(self, main: Consumer | None, one: Pass, *, stopped: bool) -> bool:
        """Return, before each request, whether one more batch is to be requested before the run ends."""
        if self._over:
            return False
        try:
            if self._clock is None:
                clock = None if main is None or stopped else _clock_for(main)
                if clock is None or main is None:
                    self._over = True
                    return False
                self.began, self._inside = True, main.kind != "loop"
                clock.start()
                # Only now: one that did not start is not stopped, as the trace at work is the script's own.
                self._clock, self._began_at = clock, time.perf_counter()
            elif self._inside and one is self._pass:
                self._came[-1] = True
            if stopped or is_enough(len(self._came), time.perf_counter() - self._began_at):
                self.close()
                return False
            self._clock.requested()
            self._came.append(False)
            self._pass = one
            if self._inside:
                self._clock.came()
        except Exception:
            # The script has a profiler of its own at work, or captures a graph: its wait stays unknown.
            self.close()
            return False
        return True

    def came(self) -> None:
        """Note that the batch came; without it the dataset has ended, and what follows is no step."""
        if self._clock is not None:
            with suppress(Exception):
                self._clock.came()
                self._came[-1] = True

    def close(self) -> None:
        """Read the clock, if it ran."""
        if self._over:
            return
        self._over, clock, self._clock = True, self._clock, None
        with suppress(Exception):
            self.read = clock.read(self._came) if clock is not None else None


def asynchronous(main: Consumer) -> str | None:
    """Why a step may go on when the script requests the next batch; None where it cannot."""
    if _held(sys.modules.get("torch.cuda")).get("is_initialized", bool)():
        return TORCH_ON_GPU
    if main.kind == "loop" and jax_computes():
        return JAX
    tensorflow: Any = sys.modules["tensorflow"]
    return ON_GPU if tensorflow.config.list_logical_devices("GPU") else None


def jax_computes() -> bool:
    """Return whether JAX has a backend: it has none before it computes, however often it was imported."""
    backends = _held(sys.modules.get("jax._src.xla_bridge")).get("_backends", True)
    return "jax" in sys.modules and bool(backends)


def _in_users_files(word: bytes) -> bool:
    """Whether a file of the user's that was imported, or runs, has a word in it."""
    files = [_held(module).get("__file__") for module in list(sys.modules.values())]
    return any(isinstance(file, str) and is_users(file) and word in read_source(Path(file)) for file in files)


def _held(module: object) -> Mapping[str, Any]:
    """The names of a module, read without its class: one that is loaded lazily imports itself for any other look."""
    return object.__getattribute__(module, "__dict__") if issubclass(type(module), ModuleType) else {}


def _clock_for(main: Consumer) -> TorchClock | TraceClock | None:
    """Return what reads the clock of the GPU that the script computes on; None where none can."""
    why = asynchronous(main) if main.kind in ("loop", "fit") else None
    if why == TORCH_ON_GPU and main.kind == "loop":
        return TorchClock()
    if why is None or _in_users_files(_PROFILES):
        return None
    if why == JAX and sys.modules["jax"].default_backend() == "gpu":
        return TraceClock(PROFILERS["jax"]())
    return TraceClock(PROFILERS["keras"]()) if why == ON_GPU else None
