"""Progress on stderr: a line a phase in a log, one line drawn over on a terminal, nothing when quiet."""

import io
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.cli.render.progress import Progress, progress_for
from pipeprof.profiles.harness.settings import ratio_so_far


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def asked_once(before: Callable[[], object] = lambda: None) -> Any:
    """Stands in for the end of a progress: waits for nothing, and has come when it is asked a second time."""
    answers = iter([False, True])
    return SimpleNamespace(wait=lambda _: next(answers) or before() is not None, is_set=lambda: False)


class Stream(io.TextIOWrapper):
    def __init__(self, *, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]

    @property
    def drawn(self) -> str:
        return self.text.rpartition("\x1b[K")[2]


def watched(*, live: bool = True, **options: Any) -> tuple[Progress, Stream, Clock]:
    stream, clock = Stream(terminal=live), Clock()
    return Progress(stream, live=live, clock=clock, ticks=False, **options), stream, clock


def test_a_log_has_a_line_a_phase_and_verbose_how_long_and_how_fast() -> None:
    for verbose, more in ((False, ""), (True, "pipeprof:   measuring took 4.20 s, 41.2 batches/s\n")):
        progress, stream, clock = watched(live=False, verbose=verbose)
        progress.phase("measure", 10.0)
        for second in range(10):
            progress.tick(41.2, second, 10.0)
        progress.note("waiting for\nanother")
        clock.now += 4.2
        for _ in range(2):
            progress.close()
        assert stream.text == f"pipeprof: [6/8] measuring, about 10 s\npipeprof: waiting for\\nanother\n{more}"


def test_the_live_line_has_phase_rate_and_time_left_and_is_cleared() -> None:
    progress, stream, clock = watched()
    progress.phase("measure", 10.0)
    clock.now += 4
    progress.tick(41.23, 4.0, 10.0)
    assert stream.drawn == "pipeprof: [6/8] measuring, 41.2 batches/s, 40%, 6 s left"
    progress.note("hello")
    assert stream.text.endswith("\r\x1b[Kpipeprof: hello\n")
    progress.phase("trace", None)
    progress.close()
    assert stream.text.endswith("\r\x1b[K")


def test_what_is_tried_has_its_ratio_so_far_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    progress, stream, clock = watched()
    progress.ends_in(60.0)
    progress.phase("trying 2: Cache what load gives", None)
    assert stream.drawn == "pipeprof: trying 2: Cache what load gives, at most 60 s left"
    clock.now += 20
    progress.standing(ratio_so_far(1.42, 1.35, 1.5, 6))
    # Of a trial, the pairs that a decision takes at least are not its length.
    progress.tick(None, 6.0, 12.0)
    assert stream.drawn.endswith("Cache what load gives, 1.42× (1.35–1.50, 6 pairs), at most 40 s left")
    monkeypatch.setenv("COLUMNS", "76")
    clock.now += 1
    progress.standing("1.42× (1.35–1.50, 6 pairs)")
    # What is cut is the name, not what is known.
    assert stream.drawn == "pipeprof: trying 2: Cache w…, 1.42× (1.35–1.50, 6 pairs), at most 39 s left"
    clock.now += 60
    progress.phase("trying 3: Batch before decode", None)
    assert stream.drawn == "pipeprof: trying 3: Batch before decode", "what was known of one change is not of the next"


def test_a_phase_of_unknown_length_says_how_long_it_has_lasted_also_while_nothing_is_heard() -> None:
    progress, stream, clock = watched()
    progress.phase("build", None)
    clock.now += 5
    progress._draw_until(asked_once(lambda: progress.note("between")))
    # It is drawn again behind the note.
    assert stream.text.endswith("pipeprof: between\n\r\x1b[Kpipeprof: [3/8] building the pipeline, 5 s")


def test_a_closed_progress_has_no_thread_left() -> None:
    progress = Progress(Stream(terminal=True), live=True)
    for _ in range(2):
        progress.phase("build", None)
        progress.data("photos", 1, 2)
        (ticker,) = [one for one in threading.enumerate() if one.name == "progress"]
        progress.close()
        ticker.join(60)
        assert not ticker.is_alive()


def test_the_live_line_is_drawn_four_times_a_second_at_most_and_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    progress, stream, clock = watched()
    progress.phase("measure", 10.0)
    for tick in range(1000):
        clock.now += 0.001
        progress.tick(1.0, tick / 1000, 10.0)
    assert 2 <= stream.text.count("\r") <= 5
    monkeypatch.setenv("COLUMNS", "30")
    progress.data("a name that is much longer than the terminal is wide", 1, 1)
    assert len(stream.drawn) == 29


def test_the_stream_and_the_options_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, quiet, environ, expected in (
        (True, False, {}, "\r\x1b[Kpipeprof: now"),
        (False, False, {}, "pipeprof: now\n"),
        (True, True, {}, ""),
        (True, False, {"TERM": "dumb"}, "pipeprof: now\n"),
        (True, False, {"TTY_INTERACTIVE": "0", "TERM": "xterm"}, "pipeprof: now\n"),
    ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        stream = Stream(terminal=terminal)
        progress = progress_for(stream, quiet=quiet, verbose=False)
        progress.phase("now", None)
        assert stream.text == expected
        progress.close()


def test_a_stream_without_unicode_gets_none_and_a_broken_one_ends_nothing() -> None:
    class Broken(Stream):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    stream = Stream(encoding="ascii")
    for one in (stream, Broken()):
        Progress(one, live=False).note("12 µs — now")
    assert stream.text == "pipeprof: 12 us - now\n"
