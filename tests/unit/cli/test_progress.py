"""Progress on stderr: a line a phase in a log, one line drawn over on a terminal, nothing when quiet."""

import io
import threading
from collections.abc import Callable

import pytest

from pipeprof.cli.text.progress import LineProgress, LiveProgress, progress_for, progress_if_long
from pipeprof.profiles.harness.progress import Silent, ratio_so_far


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Closed(threading.Event):
    """Waits for nothing: it is asked twice."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._asked = 0
        self._before = before

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        self._asked += 1
        if self._asked == 1:
            self._before()
        return self.is_set() or self._asked > 1


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


def test_a_line_a_phase() -> None:
    stream, clock = Stream(), Clock()
    progress = LineProgress(stream, clock=clock)
    progress.phase("import", None)
    progress.phase("measure", 10.0)
    for second in range(10):
        progress.tick(41.2, second, 10.0)
    progress.note("waiting for\nanother")
    progress.close()
    assert stream.text == (
        "pipeprof: [1/8] starting TensorFlow\npipeprof: [6/8] measuring, about 10 s\npipeprof: waiting for\\nanother\n"
    )


def test_verbose_says_how_long_and_how_fast() -> None:
    stream, clock = Stream(), Clock()
    progress = LineProgress(stream, verbose=True, clock=clock)
    progress.phase("warmup", None)
    progress.tick(41.2, 1, None)
    progress.tick(None, 2, None)
    clock.now += 4.2
    progress.close()
    progress.close()
    assert stream.text.splitlines() == [
        "pipeprof: [5/8] warming up",
        "pipeprof:   warming up took 4.20 s, 41.2 batches/s",
    ]


def test_data_is_said_now_and_then() -> None:
    stream, clock = Stream(), Clock()
    progress = LineProgress(stream, clock=clock)
    for done in range(0, 601, 100):
        progress.data("photos", done, 600)
        clock.now += 2
    assert stream.text.splitlines() == [
        f"pipeprof: generating data:photos, {words}"
        for words in ("0 of 600 (0%)", "300 of 600 (50%), 6 s left", "600 of 600 (100%)")
    ]


def test_live_line_has_phase_rate_and_eta() -> None:
    stream, clock = Stream(terminal=True), Clock()
    progress = LiveProgress(stream, clock=clock)
    progress.phase("measure", 10.0)
    clock.now += 4
    progress.tick(41.23, 4.0, 10.0)
    assert drawn(stream) == "pipeprof: [6/8] measuring, 41.2 batches/s, 40%, 6 s left"
    progress.close()
    assert stream.text.endswith("\r\x1b[K")
    assert "\n" not in stream.text


def test_the_time_left_is_that_of_the_pace_and_shrinks_while_nothing_is_heard() -> None:
    stream, clock = Stream(terminal=True), Clock()
    progress = LiveProgress(stream, clock=clock)
    progress.phase("pair 1: three fresh processes", None)
    # They start for a while, which says nothing about the rounds.
    clock.now += 14
    progress.tick(None, 2.0, 42.0)
    assert drawn(stream) == "pipeprof: pair 1: three fresh processes, 5%"
    clock.now += 1
    progress.tick(None, 3.0, 42.0)
    assert drawn(stream) == "pipeprof: pair 1: three fresh processes, 7%, 39 s left"
    clock.now += 10
    progress._draw_until(Closed())
    assert drawn(stream) == "pipeprof: pair 1: three fresh processes, 7%, 29 s left"
    progress.phase("pair 2: three fresh processes", None)
    clock.now += 14
    progress.tick(None, 2.0, 42.0)
    assert drawn(stream) == "pipeprof: pair 2: three fresh processes, 5%"


def drawn(stream: Stream) -> str:
    return stream.text.rpartition("\x1b[K")[2]


def test_what_is_tried_has_its_ratio_so_far_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    stream, clock = Stream(terminal=True), Clock()
    progress = LiveProgress(stream, clock=clock)
    progress.ends_in(60.0)
    progress.phase("trying 2: Cache what load gives", None)
    assert drawn(stream) == "pipeprof: trying 2: Cache what load gives, at most 60 s left"
    clock.now += 20
    progress.standing(ratio_so_far(1.42, 1.35, 1.5, 6))
    # Of a trial, the pairs that a decision takes at least are not its length.
    progress.tick(None, 6.0, 12.0)
    assert drawn(stream) == "pipeprof: trying 2: Cache what load gives, 1.42× (1.35–1.50, 6 pairs), at most 40 s left"
    clock.now += 60
    # What it knows of one change is not said of the next.
    progress.phase("trying 3: Batch before decode", None)
    assert drawn(stream) == "pipeprof: trying 3: Batch before decode"
    progress.ends_in(30.0, "these rounds")
    progress.phase("why: round 1 of 5", None)
    assert drawn(stream) == "pipeprof: why: round 1 of 5, at most 30 s left of these rounds"


def test_a_narrow_terminal_cuts_the_name_not_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream, clock = Stream(terminal=True), Clock()
    progress = LiveProgress(stream, clock=clock)
    progress.ends_in(40.0)
    progress.phase("trying 2: Cache what load gives and shuffle behind it", None)
    clock.now += 1
    progress.standing("1.42× (1.35–1.50, 6 pairs)")
    assert drawn(stream) == "pipeprof: trying 2: Cache what …, 1.42× (1.35–1.50, 6 pairs), at most 39 s left"
    assert len(drawn(stream)) == 79


def test_a_phase_of_unknown_length_says_how_long_it_has_lasted() -> None:
    stream, clock = Stream(terminal=True), Clock()
    progress = LiveProgress(stream, clock=clock)
    progress.phase("build", None)
    clock.now += 2
    progress.standing("")
    assert drawn(stream) == "pipeprof: [3/8] building the pipeline"
    clock.now += 5
    progress.standing("")
    assert drawn(stream) == "pipeprof: [3/8] building the pipeline, 7 s"


def test_the_line_moves_while_nothing_is_heard_and_ends_with_the_progress() -> None:
    stream, clock = Stream(terminal=True), Clock()
    progress = LiveProgress(stream, clock=clock)
    progress.phase("build", None)
    clock.now += 5
    progress._draw_until(Closed(lambda: progress.note("between")))
    # It is drawn again behind the note.
    assert stream.text.endswith("pipeprof: between\n\r\x1b[Kpipeprof: [3/8] building the pipeline, 5 s")
    progress.close()
    before, closed = stream.text, Closed()
    closed.set()
    progress._draw_until(closed)
    assert stream.text == before


def test_a_closed_progress_has_no_thread_left() -> None:
    progress = LiveProgress(Stream(terminal=True), ticks=True)
    for _ in range(2):
        progress.phase("build", None)
        progress.data("photos", 1, 2)
        (ticker,) = [one for one in threading.enumerate() if one.name == "progress"]
        progress.close()
        ticker.join(60)
        assert not ticker.is_alive()


def test_live_line_is_drawn_four_times_a_second_at_most() -> None:
    stream, clock = Stream(terminal=True), Clock()
    progress = LiveProgress(stream, clock=clock)
    progress.phase("measure", 10.0)
    for tick in range(1000):
        clock.now += 0.001
        progress.tick(1.0, tick / 1000, 10.0)
    assert stream.text.count("\r") <= 5


def test_live_line_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stream = Stream(terminal=True)
    LiveProgress(stream).data("a name that is much longer than the terminal is wide", 1, 1)
    assert len(drawn(stream)) <= 29


def test_a_note_takes_a_line_of_its_own() -> None:
    stream = Stream(terminal=True)
    progress = LiveProgress(stream)
    progress.phase("import", None)
    progress.note("hello")
    assert stream.text.endswith("\r\x1b[Kpipeprof: hello\n")


def test_ascii_terminals() -> None:
    stream = Stream(encoding="ascii")
    LineProgress(stream).note("12 µs — now")
    assert stream.text == "pipeprof: 12 us - now\n"


@pytest.mark.parametrize(
    ("terminal", "quiet", "environ", "expected"),
    [
        (True, False, {}, LiveProgress),
        (False, False, {}, LineProgress),
        (True, False, {"TERM": "dumb"}, LineProgress),
        (True, False, {"TTY_INTERACTIVE": "0"}, LineProgress),
        (True, True, {}, Silent),
        (False, True, {}, Silent),
    ],
)
def test_choice(
    terminal: bool, quiet: bool, environ: dict[str, str], expected: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert type(progress_for(Stream(terminal=terminal), quiet=quiet, verbose=False)) is expected


def test_a_broken_stderr_ends_nothing() -> None:
    class Broken(Stream):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    progress = LineProgress(Broken())
    progress.note("a")
    progress.note("b")


def test_data_says_when_it_will_be_done() -> None:
    stream, clock = Stream(), Clock()
    progress = LineProgress(stream, clock=clock)
    progress.data("photos", 0, 100)
    clock.now += 5.0
    # The first items wait for a process to start: they are no forecast.
    progress.data("photos", 1, 100)
    clock.now += 5.0
    progress.data("photos", 25, 100)
    assert stream.text.splitlines() == [
        "pipeprof: generating data:photos, 0 of 100 (0%)",
        "pipeprof: generating data:photos, 1 of 100 (1%)",
        "pipeprof: generating data:photos, 25 of 100 (25%), 30 s left",
    ]


def test_what_is_over_in_three_seconds_is_not_drawn() -> None:
    stream, clock = Stream(terminal=True), Clock()
    progress = LiveProgress(stream, clock=clock, delay=3.0)
    progress.phase("reading a.pt.trace.json", None)
    clock.now += 2
    progress._draw_until(Closed())
    assert stream.text == ""
    clock.now += 2
    progress._draw_until(Closed())
    assert drawn(stream) == "pipeprof: reading a.pt.trace.json, 4 s"
    progress.close()
    assert drawn(stream) == ""


def test_a_log_has_no_line_of_what_is_usually_short() -> None:
    assert isinstance(progress_if_long(Stream()), Silent)
    assert isinstance(progress_if_long(Stream(terminal=True)), LiveProgress)
