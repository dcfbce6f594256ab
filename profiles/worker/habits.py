"""What a training script does in addition to fetching: tf.functions, saves, callbacks, sources that are no tf.data."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any, Literal, TypeAlias

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
