"""How long the pipeline's Python functions take: every call in the trace window, by the wall clock and on a core.

TensorFlow calls all of them through one object. While the window lasts, its class gives out functions that time
themselves, and so without the conversion of arguments and results; those that run eagerly it must know by their class,
so that the whole call is timed. Where a version has no such class, nothing is measured, and only the sampler
(`python_sampler`) sees the functions.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from pipeprof.profiles.protocol.python_calls import PythonCalls
from pipeprof.profiles.worker.clocks import time

_MODULE: Final = "tensorflow.python.ops.script_ops"
_CLASS: Final = "FuncRegistry"
_EAGER: Final = "EagerFunc"
FILE: Final = __file__


class PythonClock:
    """Times the calls from `start` to `stop`."""

    def __init__(self) -> None:
        module = sys.modules.get(_MODULE)
        self._class: Any = getattr(module, _CLASS, None)
        self._eager: Any = getattr(module, _EAGER, ())
        methods = vars(self._class or object)
        self._methods = {name: methods[name] for name in ("get", "__call__") if name in methods}
        # A thread changes only its own sums.
        self._sums: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0])

    def start(self) -> None:
        """Begin to time calls."""
        if len(self._methods) < 2:
            return
        get, call, eager = self._methods["get"], self._methods["__call__"], self._eager

        def get_timed(registry: Any, token: Any, default: Any = None) -> Any:
            function = get(registry, token, default)
            return function if function is None or isinstance(function, eager) else self._timed(token, function)

        def call_timed(registry: Any, token: Any, *arguments: Any) -> Any:
            if isinstance(get(registry, token, None), eager):
                return self._timed(token, call)(registry, token, *arguments)
            return call(registry, token, *arguments)

        self._class.get, self._class.__call__ = get_timed, call_timed

    def stop(self) -> dict[str, PythonCalls]:
        """Stop timing; return the calls by TensorFlow's names of the functions."""
        for name, method in self._methods.items():
            setattr(self._class, name, method)
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for (_, token), seen in list(self._sums.items()):
            found[token] = [one + other for one, other in zip(found[token], seen, strict=True)]
        return {token: PythonCalls(calls, wall / 1e9, core / 1e9) for token, (calls, wall, core) in found.items()}

    def _timed(self, token: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        name = token.decode() if isinstance(token, bytes) else str(token)

        def timed(*arguments: Any) -> Any:
            wall, core = time.perf_counter_ns(), time.thread_time_ns()
            try:
                return function(*arguments)
            finally:
                seen = self._sums[threading.get_ident(), name]
                seen[0] += 1
                seen[1] += time.perf_counter_ns() - wall
                seen[2] += time.thread_time_ns() - core

        return timed
