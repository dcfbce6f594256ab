"""What the user's function makes the process grow by: at its lines, without TensorFlow's part."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, cast

import pytest

from pipeprof.profiles.protocol.messages import BuildMemory, WorkerMessage
from pipeprof.profiles.worker.memory.build_watch import SEND_BYTES, BuildWatch

MB = 1_000_000
MINE, LIBRARY, TENSORFLOW = "/home/me/input.py", "/lib/pandas/frame.py", "/lib/tensorflow/ops.py"


class Code:
    def __init__(self, file: str, name: str) -> None:
        self.co_filename, self.co_name = file, name


class Frame:
    """Frames as a thread has them, innermost first: file and line each."""

    def __init__(self, file: str, line: int, *outer: tuple[str, int]) -> None:
        self.f_code = cast("CodeType", Code(file, "load"))
        self.f_lineno = line
        self.f_back: Any = Frame(*outer[0], *outer[1:]) if outer else None


def frame(*places: tuple[str, int]) -> FrameType:
    first, *outer = places
    return cast("FrameType", Frame(*first, *outer))


class Watched:
    """A watch over memory that a test sets."""

    def __init__(self) -> None:
        self.resident: int | None = 100 * MB
        self.sent: list[WorkerMessage] = []
        self.watch = BuildWatch(
            self.sent.append, lambda file: file == MINE, Path("/lib/tensorflow"), lambda: self.resident
        )

    def at(self, megabytes: int, *places: tuple[str, int]) -> None:
        self.resident = megabytes * MB
        self.watch.sample(frame(*places) if places else None)


def test_growth_belongs_to_the_line_that_the_function_was_at() -> None:
    seen = Watched()
    seen.at(110, (MINE, 7))
    seen.at(310, (LIBRARY, 900), (MINE, 8))
    seen.at(320, (MINE, 9))

    found = seen.watch.found()

    assert (found.python, found.python_peak) == (220 * MB, 220 * MB)
    assert (found.file, found.line, found.function) == (MINE, 8, "load")


def test_what_tensorflow_does_for_it_is_tensorflows() -> None:
    seen = Watched()
    seen.at(400, (TENSORFLOW, 5), (LIBRARY, 900), (MINE, 8))
    seen.at(450, (MINE, 9))

    found = seen.watch.found()

    assert (found.python, found.line) == (50 * MB, 9)


def test_what_was_let_go_is_gone_in_the_end_and_was_there_at_the_peak() -> None:
    seen = Watched()
    seen.at(900, (MINE, 8))
    seen.at(1000, (TENSORFLOW, 5), (MINE, 9))
    seen.at(300, (MINE, 10))

    found = seen.watch.found()

    assert (found.python_peak, found.python) == (800 * MB, 100 * MB)
    assert found.line == 8


def test_a_comprehension_has_the_name_of_its_function() -> None:
    seen = Watched()
    inner, outer = Frame(MINE, 8), Frame(MINE, 7)
    inner.f_code = cast("CodeType", Code(MINE, "<listcomp>"))
    inner.f_back = outer
    seen.resident = 300 * MB
    seen.watch.sample(cast("FrameType", inner))

    found = seen.watch.found()
    assert (found.line, found.function) == (8, "load")


def test_growth_outside_of_the_users_lines_has_no_line() -> None:
    seen = Watched()
    seen.at(200)

    assert seen.watch.found() == BuildMemory(python_peak=100 * MB, python=100 * MB)


def test_a_process_that_may_die_tells_what_is_known_while_it_grows() -> None:
    seen = Watched()
    seen.at(100 + SEND_BYTES // MB - 1, (MINE, 8))
    assert seen.sent == []
    seen.at(100 + SEND_BYTES // MB, (MINE, 8))
    seen.at(101 + SEND_BYTES // MB, (MINE, 8))

    assert [cast("BuildMemory", one).line for one in seen.sent] == [8]


def test_where_the_system_tells_nothing_nothing_is_said() -> None:
    seen = Watched()
    seen.resident = None
    seen.watch.sample(None)

    assert seen.watch.found() == BuildMemory(python_peak=0, python=0)


def test_the_thread_of_the_block_is_watched_until_its_end() -> None:
    """The last sample is taken when the block ends, however short it was."""
    memory = iter([100 * MB, *[150 * MB] * 1000])
    watch = BuildWatch(resident=lambda: next(memory))
    with watch:
        pass

    assert watch.found().python == 50 * MB


@pytest.mark.parametrize("count", [None, lambda: 1 / 0, lambda: "much"])
def test_a_pool_that_does_not_tell_its_size_is_unknown(count: object, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("pyarrow")
    if count is not None:
        module.total_allocated_bytes = count  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyarrow", module)
    assert BuildWatch(resident=lambda: 1).found().arrow is None


def test_without_pyarrow_its_pool_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    assert BuildWatch(resident=lambda: 1).found().arrow == 0
