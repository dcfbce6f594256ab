"""Background load that changes: what other jobs of a shared machine do, drawn with a fixed seed."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN = """
import os, random, time
parent = os.getppid()
"""
_BUSY = """
while os.getppid() == parent: pass
"""
_HALF = """
while os.getppid() == parent:
    end = time.perf_counter() + 0.05
    while time.perf_counter() < end: pass
    time.sleep(0.05)
"""
_COPIES = """
import numpy
one = numpy.ones(8_000_000)
while os.getppid() == parent:
    other = one.copy()
    time.sleep(0.02)
"""
_BURSTS = """
chance = random.Random(1)
while os.getppid() == parent:
    end = time.perf_counter() + chance.uniform(0.1, 1.5)
    while time.perf_counter() < end: pass
    time.sleep(chance.uniform(0.2, 3.0))
"""
KINDS = {"none": None, "half a core": _HALF, "a core": _BUSY, "copies in memory": _COPIES, "bursts": _BURSTS}
WEIGHTS = (4, 2, 1, 2, 2)
"""How often each kind is drawn: of a shared machine, nobody else is at work in about a third of the time."""


class Load:
    """One kind of load at a time, in an order drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - which load comes next is no secret
        self._process: subprocess.Popen[bytes] | None = None
        self.kind = "none"

    def change(self) -> None:
        """Draw the next kind, and end the one before."""
        self._end()
        self.kind = self._chance.choices(list(KINDS), WEIGHTS)[0]
        source = KINDS[self.kind]
        if source is not None:
            self._process = subprocess.Popen([sys.executable, "-c", _BEGIN + source], stdin=subprocess.DEVNULL)

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def closing(self) -> Iterator[Load]:
        """Leave nothing running."""
        try:
            yield self
        finally:
            self._end()
