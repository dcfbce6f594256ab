"""What a script calls in addition to its steps: functions that trace, saves, callbacks, other sources of batches."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any, TypeAlias

from pipeprof.pipelines.target.user_files import is_users
from pipeprof.profiles.document.shared import CodePlace, FunctionUse

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
        saver: Method and line of the latest.
        own_steps: Whether steps compute outside of tf.functions.
        callbacks: Those that make `fit` wait for the results of each step.
        source: What gives batches, if it is no tf.data dataset.
    """

    def __init__(self, place: Callable[[], _Place], clock: Callable[[], int]) -> None:
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
                    self.callbacks.append(_named(kind.__name__, _users_code(method) or (None, None)))
                break

    def takes_from(self, source: Any) -> None:
        """Note a source of batches that is no tf.data dataset."""
        names = {kind.__name__ for kind in type(source).__mro__}
        if not names & {"PyDataset", "DataLoader"}:
            return
        rows = getattr(source, "dataset", source) if "DataLoader" in names else source
        getter = getattr(type(rows), "__getitem__", None) or getattr(type(rows), "__iter__", None)
        self.source = _named(type(rows).__name__, _users_code(getter) or self._place())


def _users_code(function: Any) -> _Place | None:
    """Where a function stands in the user's files; None for one that does not."""
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    return (code.co_filename, code.co_firstlineno) if code is not None and is_users(code.co_filename) else None


def _named(name: str, place: _Place) -> CodePlace:
    return CodePlace(name=name, file=place[0], line=place[1])
