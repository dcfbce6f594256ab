"""Progress on stderr: a line a phase in a log, one line drawn over on a terminal, nothing when quiet."""

import io

import pytest

from pipeprof.cli.text.progress import LineProgress, LiveProgress, progress_for
from pipeprof.profiles.harness.progress import Silent


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


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
        "pipeprof: [1/7] starting TensorFlow\npipeprof: [6/7] measuring, about 10 s\npipeprof: waiting for\\nanother\n"
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
    assert stream.text.splitlines() == ["pipeprof: [5/7] warming up", "pipeprof:   warmup took 4.20 s, 41.2 batches/s"]


def test_data_is_said_now_and_then() -> None:
    stream, clock = Stream(), Clock()
    progress = LineProgress(stream, clock=clock)
    for done in range(0, 601, 100):
        progress.data("photos", done, 600)
        clock.now += 2
    assert stream.text.splitlines() == [
        f"pipeprof: generating data:photos, {words}"
        for words in ("0 of 600 (0%)", "300 of 600 (50%), ETA 6 s", "600 of 600 (100%)")
    ]


def test_live_line_has_phase_rate_and_eta() -> None:
    stream, clock = Stream(terminal=True), Clock()
    progress = LiveProgress(stream, clock=clock)
    progress.phase("measure", 10.0)
    clock.now += 4
    progress.tick(41.23, 4.0, 10.0)
    last = stream.text.rpartition("\x1b[K")[2]
    assert last == "pipeprof: [6/7] measuring, 41.2 batches/s, 40%, ETA 6 s"
    progress.close()
    assert stream.text.endswith("\r\x1b[K")
    assert "\n" not in stream.text


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
    assert len(stream.text.rpartition("\x1b[K")[2]) <= 29


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
        "pipeprof: generating data:photos, 25 of 100 (25%), ETA 30 s",
    ]
