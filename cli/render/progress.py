"""Progress on stderr during a measurement: one live line in a terminal, one line per phase in a log."""

from __future__ import annotations

import math
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from pipeprof.cli.render.style import in_ascii, speaks_unicode
from pipeprof.cli.report.units import seconds
from pipeprof.cli.streams import spell_brackets, visible, write_stream
from pipeprof.profiles.harness.settings import RunProgress, Silent
from pipeprof.profiles.wording import significant

REDRAW_SECONDS = 0.25
"""Minimum time between two drawings of the live line: drawing uses CPU time of the measured machine."""
TICK_SECONDS = 1.0
"""Between two drawings while nothing is heard."""
LONG_SECONDS = 3.0
"""From which a phase that knows no end says how long it has lasted."""
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


def draws_on(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which a line can be drawn over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and os.environ.get("TTY_INTERACTIVE") != "0"


@dataclass
class _Phase:
    """The phase that goes on: batches per second, how much is done, and what a trial has found so far, in words."""

    name: str
    began: float
    expected: float | None
    rate: float | None = None
    share: float | None = None
    standing: str = ""

    @property
    def words(self) -> str:
        """Its number among the phases, and what goes on in it."""
        return f"{_NUMBERS.get(self.name, '')}{_WORDS.get(self.name, self.name)}"


class Progress(RunProgress):
    """What goes on: on a terminal one line that is drawn again and again, elsewhere a line a phase.

    Args:
        live: Whether one line is drawn over.
        ticks: Whether a thread draws the line also while nothing is heard, once a second.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        live: bool,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
        ticks: bool = True,
    ) -> None:
        self._stream, self._live, self._verbose, self._clock = stream, live, verbose, clock
        self._unicode = speaks_unicode(stream.encoding)
        self._drawn_at, self._is_drawn = -math.inf, False
        self._phase: _Phase | None = None
        self._ends_at: float | None = None
        self._lock = threading.RLock()
        self._closed: threading.Event | None = None
        self._ticks = ticks and live

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Begin a phase."""
        with self._lock:
            self._end_phase()
            self._phase = _Phase(name, self._clock(), seconds_expected)
            if not self._live:
                about = f", about {_whole(seconds_expected)}" if seconds_expected is not None else ""
                self._line(f"{self._phase.words}{about}")
            self._draw(at_once=True)
            if self._ticks and self._closed is None:
                self._closed = threading.Event()
                threading.Thread(target=self._draw_until, args=(self._closed,), name="progress", daemon=True).start()

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Hear how far it is; drawn not more often than four times a second."""
        with self._lock:
            if self._phase is not None:
                self._phase.rate = rate if rate is not None else self._phase.rate
                self._phase.share = min(done / total, 1.0) if total else self._phase.share
            self._draw()

    def standing(self, words: str) -> None:
        """Hear what is known so far; a log has a line a phase."""
        with self._lock:
            if self._phase is not None:
                self._phase.standing = words
            self._draw()

    def ends_in(self, seconds: float | None) -> None:
        """Show from now on how long all of it may take."""
        with self._lock:
            self._ends_at = self._clock() + seconds if seconds is not None else None

    def note(self, text: str) -> None:
        """Write a note on a line of its own."""
        self._line(text)

    def data(self, name: str, done: int, total: int) -> None:
        """Hear how much of an input is generated, which is a phase."""
        with self._lock:
            title = f"generating data:{name}, {total:,} items"
            if self._phase is None or self._phase.name != title:
                self.phase(title, None)
            self.tick(None, done, total)

    def close(self) -> None:
        """Clear the line, or write how long the last phase took."""
        if self._closed is not None:
            self._closed.set()
            self._closed = None
        with self._lock:
            self._end_phase()
            self._phase, self._ends_at = None, None
            self._clear()

    def _end_phase(self) -> None:
        if (phase := self._phase) is not None and self._verbose:
            rate = f", {significant(phase.rate)} batches/s" if phase.rate is not None else ""
            took = seconds(self._clock() - phase.began)
            self._line(f"  {_WORDS.get(phase.name, phase.name)} took {took}{rate}")

    def _draw_until(self, closed: threading.Event) -> None:
        while not closed.wait(TICK_SECONDS):
            with self._lock:
                if not closed.is_set() and self._clock() - self._drawn_at >= 0.9 * TICK_SECONDS:
                    self._draw(at_once=True)

    def _draw(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if not self._live or self._phase is None or (not at_once and now - self._drawn_at < REDRAW_SECONDS):
            return
        self._drawn_at, self._is_drawn = now, True
        head, tail = self._clean(self._phase.words), self._clean(self._known(self._phase, now))
        room = shutil.get_terminal_size().columns - 1
        # What is cut is the name of what is tried, not what is known of it.
        space = room - len(_SAYS) - len(tail)
        if _LEAST_HEAD <= space < len(head):
            head = head[: space - 1] + self._clean("…")
        self._write(_CLEAR + f"{_SAYS}{head}{tail}"[:room])

    def _known(self, phase: _Phase, now: float) -> str:
        """What is known of a phase: its rate, what it has measured so far, how far it is, and the time left."""
        known = [f"{significant(phase.rate)} batches/s" if phase.rate is not None else "", phase.standing]
        # Of a trial, the rounds that a decision takes at least are not its length.
        known.append(f"{phase.share:.0%}" if phase.share is not None and not phase.standing else "")
        most, ends_at = "at most ", self._ends_at
        if ends_at is None and phase.expected is not None:
            most, ends_at = "", phase.began + phase.expected
        if ends_at is not None:
            known.append(f"{most}{_whole(ends_at - now)} left" if ends_at - now > 0.5 else "")
        elif phase.share is None and now - phase.began >= LONG_SECONDS:
            known.append(_whole(now - phase.began))
        return "".join(f", {part}" for part in known if part)

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


def _whole(left: float) -> str:
    """Whole seconds, at least one: a forecast has no decimals."""
    return f"{max(math.ceil(left), 1)} s" if left < 100 else seconds(left)
