"""How long the pipeline's Python functions take: every call in the trace window, by the wall clock and on a core.

TensorFlow calls all of them through one object. Its class gets another ``__call__`` while the window lasts; where a
version has no such class, nothing is measured, and only the sampler (`python_sampler`) sees the functions.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from pipeprof.profiles.protocol.messages import PythonCalls

_MODULE: Final = "tensorflow.python.ops.script_ops"
_CLASS: Final = "FuncRegistry"


class PythonClock:
    """Times the calls from `start` to `stop`."""

    def __init__(self) -> None:
        self._class: Any = getattr(sys.modules.get(_MODULE), _CLASS, None)
        self._call: Callable[..., Any] | None = vars(self._class or object).get("__call__")
        # A thread changes only its own sums.
        self._sums: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0])

    def start(self) -> None:
        """Begin to time calls."""
        call, sums = self._call, self._sums
        if call is None:
            return

        def timed(registry: Any, token: Any, *arguments: Any) -> Any:
            wall, core = time.perf_counter_ns(), time.thread_time_ns()
            try:
                return call(registry, token, *arguments)
            finally:
                seen = sums[threading.get_ident(), token.decode() if isinstance(token, bytes) else str(token)]
                seen[0] += 1
                seen[1] += time.perf_counter_ns() - wall
                seen[2] += time.thread_time_ns() - core

        self._class.__call__ = timed

    def stop(self) -> dict[str, PythonCalls]:
        """Stop timing; return the calls by TensorFlow's names of the functions."""
        if self._call is not None:
            self._class.__call__ = self._call
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for (_, token), seen in list(self._sums.items()):
            found[token] = [one + other for one, other in zip(found[token], seen, strict=True)]
        return {token: PythonCalls(calls, wall / 1e9, core / 1e9) for token, (calls, wall, core) in found.items()}
