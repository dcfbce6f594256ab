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
    return Silent() if quiet else Progress(stream, live=draws_on(stream), verbose=verbose)


def progress_if_long(stream: TextIO) -> RunProgress:
    """Progress of what is usually over in no time: on a terminal, a line from the fourth second on; else nothing."""
    return Progress(stream, live=True, delay=LONG_SECONDS) if draws_on(stream) else Silent()


def draws_on(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which a line can be drawn over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and os.environ.get("TTY_INTERACTIVE") != "0"


class _Pace:
    """When something will be done, at the pace since the first part of it was: before that, processes start."""

    def __init__(self, end: float | None = None) -> None:
        self._first: tuple[float, float] | None = None
        self._end = end

    def heard(self, now: float, done: float, total: float) -> None:
        if done <= 0:
            return
        if self._first is None or done < self._first[1]:
            self._first = (now, done)
        began, start = self._first
        if done > start:
            self._end = now + (now - began) / (done - start) * (total - done)

    def left(self, now: float) -> str:
        return f", {_whole(self._end - now)} left" if self._end is not None and self._end - now > 0.5 else ""


class Progress:
    """What goes on: on a terminal one line that is drawn again and again, elsewhere a line a phase.

    Args:
        live: Whether one line is drawn over.
        delay: Seconds from now in which nothing is drawn.
        clock: Seconds that only grow.
        ticks: Whether a thread draws the line also while nothing is heard, once a second.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        live: bool,
        verbose: bool = False,
        delay: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        ticks: bool = True,
    ) -> None:
        self._stream, self._live, self._verbose, self._clock = stream, live, verbose, clock
        self._unicode = speaks_unicode(stream.encoding)
        self._drawn_at, self._is_drawn = clock() + delay - REDRAW_SECONDS, False
        self._not_before = clock() + delay
        self._phase: str | None = None
        self._began = 0.0
        self._expected: float | None = None
        self._rate: float | None = None
        self._share: float | None = None
        self._standing = ""
        self._ends_at: float | None = None
        self._making = ""
        self._pace = _Pace()
        self._lock = threading.RLock()
        self._closed: threading.Event | None = None
        self._ticks = ticks and live

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Begin a phase."""
        with self._lock:
            self._end_phase()
            self._phase, self._began, self._expected = name, self._clock(), seconds_expected
            self._rate, self._share, self._standing, self._making = None, None, "", ""
            self._pace = _Pace(None if seconds_expected is None else self._began + seconds_expected)
            self._tell(_phase_words(name, seconds_expected))

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Hear how far it is; drawn not more often than four times a second."""
        with self._lock:
            self._rate = rate if rate is not None else self._rate
            self._expected = None
            if total:
                self._share = min(done / total, 1.0)
                self._pace.heard(self._clock(), done, total)
            self._draw()

    def standing(self, words: str) -> None:
        """Hear what is known so far; a log has a line a phase."""
        with self._lock:
            self._standing = words
            self._draw()

    def ends_in(self, seconds: float | None) -> None:
        """Show from now on how long all of it may take."""
        with self._lock:
            self._ends_at = self._clock() + seconds if seconds is not None else None

    def note(self, text: str) -> None:
        """Write a note on a line of its own."""
        self._line(text)

    def data(self, name: str, done: int, total: int) -> None:
        """Hear how much of an input is generated; a log has it at its start, every five seconds, and at its end."""
        with self._lock:
            title, now = f"generating data:{name}", self._clock()
            is_new = not self._making.startswith(f"{title},")
            self._pace = _Pace() if is_new else self._pace
            self._pace.heard(now, done, total)
            self._making = f"{title}, {done:,} of {total:,}{f' ({done / total:.0%})' if total else ''}"
            if self._live or is_new or done >= total or now - self._drawn_at >= DATA_LINE_SECONDS:
                self._tell(f"{self._making}{self._pace.left(now)}", at_once=is_new or done >= total)

    def close(self) -> None:
        """Clear the line, or write how long the last phase took."""
        if self._closed is not None:
            self._closed.set()
            self._closed = None
        with self._lock:
            self._end_phase()
            self._phase, self._ends_at, self._making = None, None, ""
            self._clear()

    def _end_phase(self) -> None:
        if self._phase is not None and self._verbose:
            rate = f", {_rate_words(self._rate)}" if self._rate is not None else ""
            self._line(f"  {_WORDS.get(self._phase, self._phase)} took {seconds(self._clock() - self._began)}{rate}")

    def _tell(self, line: str, *, at_once: bool = True) -> None:
        """Write a line into a log; on a terminal, draw it from now on, also while nothing is heard."""
        if not self._live:
            self._drawn_at = self._clock()
            self._line(line)
            return
        self._draw(at_once=at_once)
        if self._ticks and self._closed is None:
            self._closed = threading.Event()
            threading.Thread(target=self._draw_until, args=(self._closed,), name="progress", daemon=True).start()

    def _draw_until(self, closed: threading.Event) -> None:
        while not closed.wait(TICK_SECONDS):
            with self._lock:
                if not closed.is_set() and self._clock() - self._drawn_at >= 0.9 * TICK_SECONDS:
                    self._draw(at_once=True)

    def _draw(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if not self._live or now < self._not_before or (not at_once and now - self._drawn_at < REDRAW_SECONDS):
            return
        self._drawn_at, self._is_drawn = now, True
        head, tail = map(self._clean, self._words(now))
        room = shutil.get_terminal_size().columns - 1
        # What is cut is the name of what is tried, not what is known of it.
        space = room - len(_SAYS) - len(tail)
        if _LEAST_HEAD <= space < len(head):
            head = head[: space - 1] + self._clean("…")
        self._write(_CLEAR + f"{_SAYS}{head}{tail}"[:room])

    def _words(self, now: float) -> tuple[str, str]:
        """The name of what goes on, and what is known of it."""
        if self._making:
            return f"{self._making}{self._pace.left(now)}", ""
        left = self._ends_at - now if self._ends_at is not None else 0.0
        if self._share is not None and not self._standing:
            how_far = f"{self._share:.0%}{self._pace.left(now)}"
        elif self._ends_at is not None:
            how_far = f"at most {_whole(left)} left" if left > 0.5 else ""
        else:
            is_long = self._expected is None and now - self._began >= LONG_SECONDS
            how_far = _whole(now - self._began) if is_long else ""
        rate = _rate_words(self._rate) if self._rate is not None else ""
        known = "".join(f", {part}" for part in (rate, self._standing, how_far) if part)
        return _phase_words(self._phase or "", self._expected), known

    def _clear(self) -> None:
        if self._is_drawn:
            self._is_drawn = False
            self._write(_CLEAR)

    def _line(self, text: str) -> None:
        with self._lock:
            self._clear()
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


def _phase_words(name: str, seconds_expected: float | None) -> str:
    words = f"{_NUMBERS.get(name, '')}{_WORDS.get(name, name)}"
    return words if seconds_expected is None else f"{words}, about {_whole(seconds_expected)}"


def _whole(left: float) -> str:
    """Whole seconds, at least one: a forecast has no decimals."""
    return f"{max(math.ceil(left), 1)} s" if left < 100 else seconds(left)


def _rate_words(rate: float) -> str:
    return f"{significant(rate)} batches/s"
