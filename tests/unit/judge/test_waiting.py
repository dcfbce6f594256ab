"""Two commands that measure at once: a comparison says for whom it waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.harness.lock import LockState
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.judge import live
from pipeprof.profiles.judge.verdicts.result import Result, Side


class Notes(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_it_is_said_for_whom_a_comparison_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "input.py").write_text("def make(): ...\n")
    ran: list[str] = []

    @contextmanager
    def held_by_another(_command: object, *, limit: float, waiting: Callable[..., None]) -> Iterator[LockState]:
        assert limit == 20.0
        waiting(17, 0.0)
        waiting(17, 0.25)
        yield LockState(True)

    class Comparison:
        def __init__(self, *_given: object) -> None: ...

        def run(self) -> None:
            ran.append("run")

    monkeypatch.setattr(live, "measuring_lock", held_by_another)
    monkeypatch.setattr(live, "_Comparison", Comparison)
    settings = RunSettings(parse_target(f"{tmp_path / 'input.py'}:make"), max_time=20.0)
    side = live.LiveSide(settings, ProfileWriter([]))
    result = Result(kind="compare", tool=Tool(version="1"), a=Side(text="a"), b=Side(text="b"))
    notes = Notes()
    live.measure({"a": side, "b": side}, result, live.SessionPlan(lambda _result: True), cast("Any", notes), list)
    assert ran == ["run"]
    assert notes.texts == ["waiting up to 20 s for another pipeprof (pid 17) to finish measuring"]
