"""How long the pipeline's Python functions take: every call in the trace window, by the wall clock and on a core.

TensorFlow calls all of them through objects of three classes. While the window lasts, these give out functions and
generators that time themselves, so that what TensorFlow does around a call is not counted: conversions of arguments and
results, checks, gradients. Where a version has no such class, nothing is measured, and only the sampler
(`python_sampler`) sees the functions.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from types import CodeType
from typing import Any, Final

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.protocol.messages import PythonCalls

_SCRIPTS: Final = "tensorflow.python.ops.script_ops"
_DATASETS: Final = "tensorflow.python.data.ops.dataset_ops"
_MOST_WRAPPERS: Final = 10
TENSORFLOW: Final = "/tensorflow/python/"
FILE: Final = __file__


class PythonClock:
    """Times the calls from `start` to `stop`."""

    def __init__(self) -> None:
        scripts, datasets = sys.modules.get(_SCRIPTS), sys.modules.get(_DATASETS)
        self._registry: Any = getattr(scripts, "FuncRegistry", None)
        self._eager: Any = getattr(scripts, "EagerFunc", None)
        self._generators = _class_with("get_iterator", getattr(datasets, "DatasetV2", None))
        self._before: list[tuple[Any, str, Any]] = []
        # A thread changes only its own sums.
        self._sums: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        # Threads in a call.
        self._inside: set[int] = set()
        self._called: dict[str, Callable[..., Any]] = {}
        self._thread = threading.local()

    def start(self) -> None:
        """Begin to time calls."""
        if not _has(self._registry, "get", "__call__"):
            return
        self._time_functions()
        # A class that keeps its function elsewhere than in the object itself is left alone.
        if _has(self._eager, "_call") and not {"_func", "__slots__"} & vars(self._eager).keys():
            self._time_eager_functions()
        if _has(self._generators, "get_iterator"):
            self._time_generators()

    def stop(self) -> dict[str, PythonCalls]:
        """Stop timing; return the calls by TensorFlow's names of the functions."""
        for owner, name, before in self._before:
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._before.clear()
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for (_, token), seen in list(self._sums.items()):
            found[token] = [one + other for one, other in zip(found[token], seen, strict=True)]
        return {
            token: PythonCalls(calls, wall / 1e9, core / 1e9, contended / 1e9, *_place(self._called.get(token)))
            for token, (calls, wall, core, contended) in found.items()
        }

    def _replace(self, owner: Any, name: str, value: Any) -> None:
        self._before.append((owner, name, vars(owner).get(name)))
        setattr(owner, name, value)

    def _time_functions(self) -> None:
        """Time what the registry gives out, and note which call a thread is in."""
        call, get, eager, thread = self._registry.__call__, self._registry.get, self._eager, self._thread

        def call_noted(registry: Any, token: Any, *arguments: Any) -> Any:
            before, thread.token = getattr(thread, "token", None), _name(token)
            try:
                return call(registry, token, *arguments)
            finally:
                thread.token = before

        def get_timed(registry: Any, token: Any, default: Any = None) -> Any:
            function = get(registry, token, default)
            if function is None or (eager is not None and isinstance(function, eager)):
                return function
            return self._timed(_name(token), function)

        self._replace(self._registry, "__call__", call_noted)
        self._replace(self._registry, "get", get_timed)

    def _time_eager_functions(self) -> None:
        """Time the user's function inside such an object, which reads it for each call."""

        def get_timed(eager: Any) -> Any:
            return self._timed(getattr(self._thread, "token", None), vars(eager)["_func"])

        def put(eager: Any, function: Any) -> None:
            vars(eager)["_func"] = function

        self._replace(self._eager, "_func", property(get_timed, put))

    def _time_generators(self) -> None:
        """Time the steps of the user's generators; TensorFlow calls a function of its own around each."""
        get = self._generators.get_iterator

        def get_timed(state: Any, number: Any) -> Any:
            iterator = get(state, number)
            return _Steps(self._timed(getattr(self._thread, "token", None), iterator.__next__))

        self._replace(self._generators, "get_iterator", get_timed)

    def _timed(self, token: str | None, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock; what is timed inside it with the same token counts instead of it."""
        if token is None:
            return function
        thread, inside = self._thread, self._inside

        def timed(*arguments: Any) -> Any:
            thread.timed = None
            me = threading.get_ident()
            outermost = me not in inside
            inside.add(me)
            contended = len(inside) > 1
            wall, core = time.perf_counter_ns(), time.thread_time_ns()
            try:
                return function(*arguments)
            finally:
                wall, core = time.perf_counter_ns() - wall, time.thread_time_ns() - core
                contended |= len(inside) > 1
                if outermost:
                    inside.discard(me)
                if thread.timed != token:
                    self._called[token] = function
                    seen = self._sums[me, token]
                    seen[0] += 1
                    seen[1] += wall
                    seen[2] += core
                    seen[3] += max(0, wall - core) if contended else 0
                    thread.timed = token

        return timed


class _Steps:
    """An iterator.

    Args:
        step: Called for each element.
    """

    def __init__(self, step: Callable[[], Any]) -> None:
        self._step = step

    def __iter__(self) -> _Steps:
        return self

    def __next__(self) -> Any:
        return self._step()


def _place(function: Any) -> tuple[str | None, str | None, int | None]:
    """Return the name, file and line of a function, inside what Python and TensorFlow wrap around it."""
    code = _code(function)
    for _ in range(_MOST_WRAPPERS):
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None and code is not None and TENSORFLOW in code.co_filename:
            cells = getattr(function, "__closure__", None) or ()
            inner = next((cell.cell_contents for cell in cells if callable(cell.cell_contents)), None)
        if inner is None:
            break
        function, code = inner, _code(inner)
    if code is None:
        return getattr(function, "__qualname__", None), None, None
    return getattr(code, "co_qualname", code.co_name), code.co_filename, code.co_firstlineno


def _code(function: Any) -> CodeType | None:
    """Return the code of a function, of a generator whose step it is, or of an object that can be called."""
    generator = getattr(function, "__self__", None)
    places = (function, generator, vars(type(function)).get("__call__"))
    found = (getattr(place, name, None) for place in places for name in ("__code__", "gi_code"))
    return next((value for value in found if isinstance(value, CodeType)), None)


def _name(token: Any) -> str:
    return token.decode() if isinstance(token, bytes) else str(token)


def _class_with(method: str, owner: Any) -> Any:
    """Return the class inside another one that has a method; ``None`` if there is none."""
    inside = vars(owner).values() if isinstance(owner, type) else ()
    return next((value for value in inside if isinstance(value, type) and _has(value, method)), None)


def _has(owner: Any, *methods: str) -> bool:
    """Return whether a class of TensorFlow's is there, with these methods of its own."""
    return owner is not None and all(name in vars(owner) for name in methods)
