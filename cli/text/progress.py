"""Progress on stderr during a measurement: one live line in a terminal, one line per phase in a log."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from typing import TextIO

from pipeprof.cli.streams import visible, write_stream
from pipeprof.cli.text.style import in_ascii, speaks_unicode
from pipeprof.cli.text.units import seconds
from pipeprof.pipelines.log_commands import spell_brackets
from pipeprof.profiles.harness.progress import RunProgress, Silent
from pipeprof.profiles.wording import significant

REDRAW_SECONDS = 0.25
"""Minimum time between two drawings of the live line: drawing uses CPU time of the measured machine."""

DATA_LINE_SECONDS = 5.0
_SHORTEST_FORECAST = 1.0
"""Seconds of generating data before its end can be forecast."""
_FEWEST_ITEMS = 10
"""Items before a forecast is made: the first one waits for a process to start."""
_CLEAR = "\r\x1b[K"
_WORDS = {
    "import": "starting TensorFlow",
    "data": "loading data",
    "build": "building the pipeline",
    "first_element": "first element",
    "warmup": "warming up",
    "measure": "measuring",
    "trace": "tracing",
}
_NUMBERS = {name: f"[{number}/{len(_WORDS)}] " for number, name in enumerate(_WORDS, 1)}


def progress_for(stream: TextIO, *, quiet: bool, verbose: bool) -> RunProgress:
    """Choose the progress for a stream: live in a terminal, lines elsewhere, nothing with ``-q``."""
    if quiet:
        return Silent()
    if stream.isatty() and os.environ.get("TERM") != "dumb" and os.environ.get("TTY_INTERACTIVE") != "0":
        return LiveProgress(stream, verbose=verbose)
    return LineProgress(stream, verbose=verbose)


class LineProgress:
    """One line per phase, for logs and pipes.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, stream: TextIO, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._unicode = speaks_unicode(stream.encoding)
        self._verbose = verbose
        self._clock = clock
        self._phase: str | None = None
        self._began = 0.0
        self._rate: float | None = None
        self._data_reported: tuple[str, float] = ("", 0.0)
        self._data_began: tuple[str, float] = ("", 0.0)

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Write that a phase begins."""
        self._end_phase()
        self._phase, self._began, self._rate = name, self._clock(), None
        self._line(_phase_words(name, seconds_expected))

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Remember the rate for the end of the phase."""
        del done, total
        self._rate = rate if rate is not None else self._rate

    def note(self, text: str) -> None:
        """Write a note at once."""
        self._line(text)

    def data(self, name: str, done: int, total: int) -> None:
        """Write how much of an input is generated: at its start, every five seconds, and at its end."""
        reported, when = self._data_reported
        now = self._clock()
        if name != reported or done >= total or now - when >= DATA_LINE_SECONDS:
            self._data_reported = (name, now)
            self._line(self._data_words(name, done, total))

    def _data_words(self, name: str, done: int, total: int) -> str:
        """Progress of a generated input, with a forecast at the present rate."""
        if self._data_began[0] != name:
            self._data_began = (name, self._clock())
        spent = self._clock() - self._data_began[1]
        left = spent / done * (total - done) if done > 0 else 0.0
        shown = spent >= _SHORTEST_FORECAST and left > 0 and done >= min(_FEWEST_ITEMS, total / 10)
        eta = f", ETA {_whole(left)}" if shown else ""
        share = f" ({done / total:.0%})" if total else ""
        return f"generating data:{name}, {done:,} of {total:,}{share}{eta}"

    def close(self) -> None:
        """Write how long the last phase took."""
        self._end_phase()
        self._phase = None

    def _end_phase(self) -> None:
        if self._phase is not None and self._verbose:
            rate = f", {_rate_words(self._rate)}" if self._rate is not None else ""
            self._line(f"  {self._phase} took {seconds(self._clock() - self._began)}{rate}")

    def _line(self, text: str) -> None:
        self._write(f"pipeprof: {self._clean(text)}\n")

    def _clean(self, text: str) -> str:
        text = spell_brackets(visible(text))
        return text if self._unicode else in_ascii(text)

    def _write(self, text: str) -> None:
        try:
            write_stream(self._stream, text)
        except OSError:
            # A full disk behind stderr must not end a measurement.
            self._stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - lives as long as this


class LiveProgress(LineProgress):
    """One line that is drawn again and again: phase, current rate, share done, time left."""

    def __init__(self, stream: TextIO, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream, verbose=verbose, clock=clock)
        self._drawn = False
        self._last_draw = float("-inf")

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Begin a phase and draw it."""
        self._end_phase()
        self._phase, self._began, self._rate = name, self._clock(), None
        self._draw(_phase_words(name, seconds_expected), at_once=True)

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Draw phase, rate and time left, not more often than four times a second."""
        self._rate = rate if rate is not None else self._rate
        parts = [_phase_words(self._phase or "", None)]
        if self._rate is not None:
            parts.append(_rate_words(self._rate))
        parts.append(self._how_far(done, total))
        self._draw(", ".join(part for part in parts if part))

    def data(self, name: str, done: int, total: int) -> None:
        """Draw how much of an input is generated."""
        self._draw(self._data_words(name, done, total), at_once=done >= total)

    def close(self) -> None:
        """Clear the line."""
        super().close()
        self._clear()

    def _how_far(self, done: float, total: float | None) -> str:
        if not total:
            return ""
        spent = self._clock() - self._began
        left = spent / done * (total - done) if done > 0 else None
        eta = f", ETA {_whole(left)}" if left is not None and left > 0.5 else ""
        return f"{min(done / total, 1.0):.0%}{eta}"

    def _draw(self, text: str, *, at_once: bool = False) -> None:
        now = self._clock()
        if not at_once and now - self._last_draw < REDRAW_SECONDS:
            return
        self._last_draw, self._drawn = now, True
        width = shutil.get_terminal_size().columns - 1
        self._write(_CLEAR + f"pipeprof: {self._clean(text)}"[:width])

    def _line(self, text: str) -> None:
        self._clear()
        super()._line(text)

    def _clear(self) -> None:
        if self._drawn:
            self._drawn = False
            self._write(_CLEAR)


def _phase_words(name: str, seconds_expected: float | None) -> str:
    words = f"{_NUMBERS.get(name, '')}{_WORDS.get(name, name)}"
    return words if seconds_expected is None else f"{words}, about {_whole(seconds_expected)}"


def _whole(left: float) -> str:
    """Whole seconds, at least one: a forecast has no decimals."""
    return f"{max(math.ceil(left), 1)} s" if left < 100 else seconds(left)


def _rate_words(rate: float) -> str:
    return f"{significant(rate)} batches/s"
