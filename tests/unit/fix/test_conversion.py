"""A conversion in a search: what is tried of it, what its result says, and what ends the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.edits.edits import ReplaceStages
from pipeprof.profiles.convert.convert import Conversion
from pipeprof.profiles.convert.folder import ConvertTarget, NoRoomError
from pipeprof.profiles.convert.replacement import Files
from pipeprof.profiles.convert.writing import InterruptedConversionError, NotConvertedError, Written
from pipeprof.profiles.document.findings import Fix, FixStep
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.fix import conversion
from pipeprof.profiles.fix.conversion import RULE, convert_for, mark_use
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.verify.file_points import Point

TARGET = ConvertTarget(Path("/fast"))
POINT = Point(("source", "stages.0"), "decode", "source")
MADE = Conversion(
    Files(POINT, "/fast/elements", "elements", (("range", None), ("map", "decode"))), Written(100, 5_000_000, 2.0, 32)
)


def empty_result() -> Fix:
    return Fix(status="nothing", reason="", seconds=1.0, budget_seconds=60.0, wall_seconds=1.0, allow=["same"])


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    found = recorded("jpeg-folder")
    found.stages = [
        Stage(id="source", op="range", origin="written"),
        Stage(id="stages.0", op="map", name="decode", origin="written"),
        Stage(id="stages.1", op="batch", origin="written"),
    ]
    return found


def convert(result: Fix, profile: Profile, monkeypatch: pytest.MonkeyPatch, ends: Any) -> conversion.Proposals:
    def converted(*_: Any, **__: Any) -> Conversion:
        if isinstance(ends, Exception):
            raise ends
        return MADE

    monkeypatch.setattr(conversion, "choose_point", lambda _: POINT)
    monkeypatch.setattr(conversion, "convert", converted)
    signals: Any = SimpleNamespace(asked=None)
    job = Job("function", "a.py:f", ["a.py"])
    return convert_for(result, profile, TARGET, job, loaded=None, progress=Silent(), signals=signals)


def test_files_are_one_change_of_the_pipeline_as_it_is_now(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    result = empty_result()
    proposals = convert(result, profile, monkeypatch, None)
    (candidate,) = proposals(profile)
    assert isinstance(candidate.edits[0], ReplaceStages)
    assert (candidate.title, candidate.effect) == ("Read decode's output from files", "same")
    assert result.converted is not None
    assert (result.converted.elements, result.converted.bytes, result.converted.used) == (100, 5_000_000, False)
    assert profile.stages is not None
    profile.stages.pop(1)
    assert proposals(profile) == []


@pytest.mark.parametrize(
    ("ends", "raised"),
    [
        (NotConvertedError("decode draws random numbers"), None),
        (NoRoomError("decode needs 2 GiB"), NoRoomError),
        (InterruptedConversionError(), InterruptedVerificationError),
    ],
)
def test_why_there_are_no_files_is_in_the_result(
    profile: Profile, monkeypatch: pytest.MonkeyPatch, ends: Exception, raised: type[Exception] | None
) -> None:
    result = empty_result()
    if raised is None:
        assert convert(result, profile, monkeypatch, ends)(profile) == ()
    else:
        with pytest.raises(raised):
            convert(result, profile, monkeypatch, ends)
    assert result.converted is not None
    assert result.converted.path is None
    assert result.converted.reason == (str(ends) or "interrupted: nothing of it was kept")


@pytest.mark.parametrize(
    ("status", "taken", "used"),
    [
        ("fixed", "taken", True),
        ("interrupted", "taken", True),
        ("not-proven", "taken", False),
        ("fixed", "behind", False),
    ],
)
def test_whether_the_result_reads_the_files(
    profile: Profile, monkeypatch: pytest.MonkeyPatch, status: Any, taken: Any, used: bool
) -> None:
    result = empty_result()
    convert(result, profile, monkeypatch, None)
    result.status = status
    result.steps = [FixStep(round=1, title="a", rule=RULE, result=taken, reason="")]
    mark_use(result)
    assert result.converted is not None
    assert result.converted.used is used
