"""Progress on stderr: a line a phase in a log, one line drawn over on a terminal, nothing when quiet."""

import io
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.cli.render.progress import Progress, progress_for
from pipeprof.profiles.harness.settings import ratio_so_far


class Stream(io.StringIO):
    encoding = "utf-8"

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__(newline="")
        self.isatty = lambda: terminal  # type: ignore[method-assign]

    @property
    def drawn(self) -> str:
        return self.getvalue().rpartition("\x1b[K")[2]


def watched(*, live: bool = True, **options: Any) -> tuple[Progress, Stream, Any]:
    stream, clock = Stream(terminal=live), SimpleNamespace(now=100.0)
    return Progress(stream, live=live, clock=lambda: clock.now, ticks=False, **options), stream, clock


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
        assert stream.getvalue() == f"pipeprof: [6/8] measuring, about 10 s\npipeprof: waiting for\\nanother\n{more}"


def test_the_live_line_has_phase_rate_and_time_left_and_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    progress, stream, clock = watched()
    progress.phase("measure", 10.0)
    clock.now += 4
    progress.tick(41.23, 4.0, 10.0)
    assert stream.drawn == "pipeprof: [6/8] measuring, 41.2 batches/s, 40%, 6 s left"
    drawn = stream.getvalue().count("\r")
    for _ in range(1000):
        clock.now += 0.001
        progress.tick(1.0, 4.0, 10.0)
    assert 2 <= stream.getvalue().count("\r") - drawn <= 5, "it is drawn four times a second at most"
    progress.note("hello")
    assert stream.getvalue().endswith("\r\x1b[Kpipeprof: hello\n")
    monkeypatch.setenv("COLUMNS", "30")
    progress.data("a name that is much longer than the terminal is wide", 1, 1)
    assert len(stream.drawn) == 29
    progress.close()
    assert stream.getvalue().endswith("\r\x1b[K")


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
    answers = iter([False, True])
    ended: Any = SimpleNamespace(wait=lambda _: next(answers) or progress.note("between"), is_set=lambda: False)
    progress._draw_until(ended)
    # It is drawn again behind the note.
    assert stream.getvalue().endswith("pipeprof: between\n\r\x1b[Kpipeprof: [3/8] building the pipeline, 5 s")


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
        assert stream.getvalue() == expected
        progress.close()


def test_a_stream_without_unicode_gets_none_and_a_broken_one_ends_nothing() -> None:
    class Broken(Stream):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    stream = Stream()
    stream.encoding = "ascii"
    for one in (stream, Broken()):
        Progress(one, live=False).note("12 µs — now")
    assert stream.getvalue() == "pipeprof: 12 us - now\n"
