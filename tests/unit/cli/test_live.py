"""The live view: a table below the line of the progress, on a terminal alone, gone when it ends."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pipeprof.cli.text.live import MOST_STAGES, LiveView, live_view
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.view.running import Running, RunningStage
from tests.unit.cli.test_main import Pipeprof
from tests.unit.cli.test_progress import Clock, Stream

DECODE = RunningStage("decode", "spec.yaml:10", 1234.5, 1.954, 2.0, 3, None, 12 << 20)
PREFETCH = RunningStage("pre\x1b[31mfetch", "", None, None, None, 2, 4.0, 98 << 20)
NOW = Running(38.6, 0.421, 1300 << 20, 8 << 30, 1.93, (DECODE, PREFETCH))
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("TTY_INTERACTIVE", raising=False)


def test_the_pipeline_stands_below_the_line_while_steps_run() -> None:
    stream, clock = Stream(terminal=True), Clock()
    view = LiveView(stream, clock=clock)
    view.watch(lambda: NOW)
    view.phase("build", None)
    assert "decode" not in stream.text
    clock.now += 1
    view.phase("measure", 10.0)
    clock.now += 4
    view.tick(38.6, 4.0, 10.0)
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.text)
    line, heads, decode, prefetch, footer = [one.strip() for one in text.rpartition("pipeprof: [6/8]")[2].split("\n")][
        :5
    ]
    assert line.startswith("measuring, 38.6 batches/s, 40%, 6 s left")
    assert heads.split("  ")[0] == "stage"
    assert re.split(r"\s{2,}", decode) == ["decode", "spec.yaml:10", "1,230", "1.95 of 2", "3", "12.0"]
    assert re.split(r"\s{2,}", prefetch) == ["pre\\x1b[31mfetch", "2 of 4", "98.0"]
    assert footer == "the step waits for data 42 % of the time · memory 1.27 GiB of 8.00 GiB · 1.93 cores in use"
    clock.now += 1
    view.phase("trace", None)
    assert "decode" not in stream.text.rpartition("tracing")[2]
    view.close()


@pytest.mark.parametrize(("lines", "rows"), [("24", 19), ("60", MOST_STAGES), ("8", 3)])
def test_of_many_stages_those_that_work_most_are_drawn(lines: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", lines)
    stages = tuple(replace(DECODE, name=f"step_{number:03}", busy=number % 100 / 10) for number in range(300))
    stream = Stream(terminal=True)
    view = LiveView(stream)
    view.watch(lambda: replace(NOW, stages=stages))
    view.phase("measure", 10.0)
    shown = re.findall(r"step_(\d+)", stream.text)
    # Three stages have each number of threads.
    busiest = sorted(range(300), key=lambda number: (-(number % 100), number))[:rows]
    assert shown == [f"{number:03}" for number in sorted(busiest)]
    assert f"{300 - rows} more stages, less busy" in stream.text
    assert "memory 1.27 GiB" in stream.text
    view.close()


def test_it_is_drawn_once_a_second() -> None:
    stream, clock = Stream(terminal=True), Clock()
    view = LiveView(stream, clock=clock)
    view.watch(lambda: NOW)
    view.phase("measure", 10.0)
    for tick in range(200):
        clock.now += 0.01
        view.tick(1.0, tick / 100, 10.0)
    assert stream.text.count("decode") == 3
    view.close()


def test_the_cursor_is_back_and_the_view_is_gone_when_it_ends_and_for_a_note() -> None:
    stream = Stream(terminal=True)
    view = LiveView(stream)
    view.watch(lambda: NOW)
    view.phase("measure", 10.0)
    assert stream.text.rfind(HIDE) > stream.text.rfind(SHOW)
    view.note("hello")
    assert stream.text.rfind(SHOW) > stream.text.rfind(HIDE)
    assert stream.text.endswith("pipeprof: hello\n")
    view.phase("measure", 10.0)
    view.close()
    assert stream.text.rfind(SHOW) > stream.text.rfind(HIDE)


def test_nothing_is_known_at_first() -> None:
    stream = Stream(terminal=True)
    view = LiveView(stream)
    view.watch(Running)
    view.phase("warmup", None)
    view.close()
    assert "stage" not in stream.text


@pytest.mark.parametrize(
    ("terminal", "environ", "why"), [(False, {}, "stderr is no terminal"), (True, {"TERM": "dumb"}, "TERM=dumb")]
)
def test_where_nothing_can_be_drawn_it_is_refused(
    terminal: bool, environ: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=f"--live draws on a terminal, and {why}: remove it"):
        live_view(Stream(terminal=terminal), quiet=False, verbose=False)


def test_it_is_refused_before_anything_is_measured(pipeprof: Pipeprof) -> None:
    done = pipeprof("run", "missing.yaml", "--live")
    assert done.code == 2
    assert "--live draws on a terminal, and stderr is no terminal" in done.err
    assert "contradict" in pipeprof("run", "missing.yaml", "--live", "-q").err
