"""Progress on stderr during a measurement: one live line in a terminal, one line per phase in a log."""

from __future__ import annotations

import math
import os
import shutil
import threading
import time
from collections.abc import Callable
from typing import TextIO

from pipeprof.cli.render.style import in_ascii, speaks_unicode
from pipeprof.cli.report.units import seconds
from pipeprof.cli.streams import visible, write_stream
from pipeprof.pipelines.log_commands import spell_brackets
from pipeprof.profiles.harness.progress import RunProgress, Silent
from pipeprof.profiles.wording import significant

REDRAW_SECONDS = 0.25
"""Minimum time between two drawings of the live line: drawing uses CPU time of the measured machine."""
TICK_SECONDS = 1.0
"""Between two drawings while nothing is heard."""
LONG_SECONDS = 3.0
"""From which a phase that knows no end says how long it has lasted."""
DATA_LINE_SECONDS = 5.0
_SHORTEST_FORECAST = 1.0
"""Seconds of generating data before its end can be forecast."""
_FEWEST_ITEMS = 10
"""Items before a forecast is made: the first one waits for a process to start."""
_CLEAR = "\r\x1b[K"
_SAYS = "pipeprof: "
_LEAST_HEAD = 12
"""Characters of a phase's name that are worth showing."""
_WORDS = {
    "import": "starting TensorFlow",
    "data": "loading data",
    "build": "building the pipeline",
    "first_element": "first element",
    "warmup": "warming up",
    "measure": "measuring",
    "replay": "taking stored batches",
    "trace": "tracing",
}
_NUMBERS = {name: f"[{number}/{len(_WORDS)}] " for number, name in enumerate(_WORDS, 1)}


def progress_for(stream: TextIO, *, quiet: bool, verbose: bool) -> RunProgress:
    """Choose the progress for a stream: live in a terminal, lines elsewhere, nothing with ``-q``."""
    if quiet:
        return Silent()
    if draws_on(stream):
        return LiveProgress(stream, verbose=verbose, ticks=True)
    return LineProgress(stream, verbose=verbose)


def progress_if_long(stream: TextIO) -> RunProgress:
    """Progress of what is usually over in no time: on a terminal, a line from the fourth second on; else nothing."""
    return LiveProgress(stream, ticks=True, delay=LONG_SECONDS) if draws_on(stream) else Silent()


def draws_on(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which a line can be drawn over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and os.environ.get("TTY_INTERACTIVE") != "0"


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

    def standing(self, words: str) -> None:
        """Ignore it: a log has a line a phase."""

    def ends_in(self, seconds: float | None) -> None:
        """Ignore it."""

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
        eta = f", {_whole(left)} left" if shown else ""
        share = f" ({done / total:.0%})" if total else ""
        return f"generating data:{name}, {done:,} of {total:,}{share}{eta}"

    def close(self) -> None:
        """Write how long the last phase took."""
        self._end_phase()
        self._phase = None

    def _end_phase(self) -> None:
        if self._phase is not None and self._verbose:
            rate = f", {_rate_words(self._rate)}" if self._rate is not None else ""
            self._line(f"  {_WORDS.get(self._phase, self._phase)} took {seconds(self._clock() - self._began)}{rate}")

    def _line(self, text: str) -> None:
        self._write(f"{_SAYS}{self._clean(text)}\n")

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
    """One line that is drawn again and again: phase, rate or ratio so far, time left or gone.

    Args:
        ticks: Whether a thread draws it also while nothing is heard, once a second.
        delay: Seconds from now in which nothing is drawn.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
        ticks: bool = False,
        delay: float = 0.0,
    ) -> None:
        super().__init__(stream, verbose=verbose, clock=clock)
        self._not_before = clock() + delay
        self._drawn = False
        self._last_draw = float("-inf")
        self._expected: float | None = None
        self._done: tuple[float, float | None] = (0.0, None)
        self._first: tuple[float, float] | None = None
        self._forecast: float | None = None
        self._standing = ""
        self._ends_at: float | None = None
        self._making: tuple[str, int, int] | None = None
        self._ticks = ticks
        self._lock = threading.RLock()
        self._closed: threading.Event | None = None

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Begin a phase and draw it."""
        with self._lock:
            self._end_phase()
            self._phase, self._began, self._rate = name, self._clock(), None
            self._expected, self._done, self._standing, self._making = seconds_expected, (0.0, None), "", None
            self._first = None
            self._forecast = None if seconds_expected is None else self._began + seconds_expected
            self._draw(at_once=True)
        self._keep_drawing()

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Draw phase, rate and time left, not more often than four times a second."""
        with self._lock:
            self._rate = rate if rate is not None else self._rate
            self._done, self._expected = (done, total), None
            self._forecast = self._forecast if total is None else self._forecast_at(done, total)
            self._draw()

    def standing(self, words: str) -> None:
        """Draw what is known so far."""
        with self._lock:
            self._standing = words
            self._draw()

    def ends_in(self, seconds: float | None) -> None:
        """Show from now on how long all of it may take."""
        with self._lock:
            self._ends_at = self._clock() + seconds if seconds is not None else None

    def data(self, name: str, done: int, total: int) -> None:
        """Draw how much of an input is generated."""
        with self._lock:
            self._making = (name, done, total)
            self._draw(at_once=done >= total)
        self._keep_drawing()

    def close(self) -> None:
        """Clear the line."""
        if self._closed is not None:
            self._closed.set()
            self._closed = None
        with self._lock:
            super().close()
            self._ends_at, self._making = None, None
            self._clear()

    def _keep_drawing(self) -> None:
        """Draw the line now and then until it is closed: a process that starts, or hangs, says nothing."""
        if self._ticks and self._closed is None:
            self._closed = threading.Event()
            threading.Thread(target=self._draw_until, args=(self._closed,), name="progress", daemon=True).start()

    def _draw_until(self, closed: threading.Event) -> None:
        while not closed.wait(TICK_SECONDS):
            with self._lock:
                if not closed.is_set() and self._clock() - self._last_draw >= 0.9 * TICK_SECONDS:
                    self._draw(at_once=True)

    def _draw(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if now < self._not_before or (not at_once and now - self._last_draw < REDRAW_SECONDS):
            return
        self._last_draw, self._drawn = now, True
        head, *rest = map(self._clean, self._words())
        room = shutil.get_terminal_size().columns - 1
        tail = "".join(f", {part}" for part in rest if part)
        # What is cut is the name of what is tried, not what is known of it.
        space = room - len(_SAYS) - len(tail)
        if _LEAST_HEAD <= space < len(head):
            head = head[: space - 1] + self._clean("…")
        self._write(_CLEAR + f"{_SAYS}{head}{tail}"[:room])

    def _words(self) -> list[str]:
        if self._making is not None:
            return [self._data_words(*self._making)]
        rate = _rate_words(self._rate) if self._rate is not None else ""
        return [_phase_words(self._phase or "", self._expected), rate, self._standing, self._how_far()]

    def _how_far(self) -> str:
        done, total = self._done
        now = self._clock()
        if total and not self._standing:
            left = self._forecast - now if self._forecast is not None else None
            words = f", {_whole(left)} left" if left is not None and left > 0.5 else ""
            return f"{min(done / total, 1.0):.0%}{words}"
        if self._ends_at is not None:
            left = self._ends_at - now
            return f"at most {_whole(left)} left" if left > 0.5 else ""
        return _whole(now - self._began) if self._expected is None and now - self._began >= LONG_SECONDS else ""

    def _forecast_at(self, done: float, total: float) -> float | None:
        """When all will be done at the pace since the first word of it: before it, processes start for a while."""
        now = self._clock()
        if self._first is None or done < self._first[1]:
            self._first = (now, done)
        began, start = self._first
        return now + (now - began) / (done - start) * (total - done) if done > start else self._forecast

    def _line(self, text: str) -> None:
        with self._lock:
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
