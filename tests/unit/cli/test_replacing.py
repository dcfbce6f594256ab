"""What measures and does not come to its end replaces nothing that is complete; its document is in pipeprof-out."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeprof.profiles.document import store
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.store import load_profile
from pipeprof.profiles.harness.process import LockTimeoutError
from pipeprof.profiles.judge.result import PairValues, Result, load_result
from tests.unit.cli.patches import Harness, set_measure
from tests.unit.cli.reports import RECORDED, Pipeprof, Recorded

COMPARE = ("compare", "a.yaml", "a.yaml", "--out", "one.json")
SPEC = "version: 1\nsource: {range: {stop: 100}}\nstages: [{batch: {batch_size: 8}}]\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    set_measure(monkeypatch, ending(None, 5))
    Path("a.yaml").write_text(SPEC)


def saved(kind: str) -> Path:
    (path,) = Path("pipeprof-out").glob(f"{kind}-*.json")
    return path


def ending(how: BaseException | tuple[int, str] | None, pairs: int = 2) -> Any:
    """A session that saves some pairs and then ends in a way: by an error, or with a code and a message."""

    def measure(_sides: object, result: Result, _plan: object, _progress: object, save: Any) -> None:
        for _ in range(pairs):
            values = {"step_ms": 10.0, "peak_bytes": 1e9}
            result.pairs.append(PairValues(order=[], a=dict(values), b={"step_ms": 5.0}, again=dict(values)))
            save()
        if isinstance(how, BaseException):
            raise how
        if how is not None:
            result.exit_code, result.errors = how[0], [Message(code=how[1], message="It ended.")]

    return measure


ENDS = {
    "Ctrl-C": ((130, "interrupted"), 1, 130),
    "SIGTERM": ((143, "interrupted"), 1, 143),
    "Ctrl-C elsewhere": (KeyboardInterrupt(), 1, 130),
    "the pipeline raises": ((5, "side-failed"), 1, 5),
    "another command measures": (LockTimeoutError("another pipeprof is measuring"), 1, 1),
    "a fault of pipeprof": (ZeroDivisionError(), 1, 1),
}
COMMANDS = (("gate", "a.yaml", "--self-test"), ("compare", "a.yaml", "a.yaml"))
ENDED = {f"{name}, {words[0]}": (words, *end) for words in COMMANDS for name, end in ENDS.items()}
ENDED["--max-time before the first pair, compare"] = (COMMANDS[1], None, 0, 5)


def test_a_disk_that_is_full_leaves_the_earlier_result(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pipeprof(*COMPARE).code == 0
    before, real = Path("one.json").read_bytes(), os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == "one.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(store.os, "replace", full)
    result = pipeprof(*COMPARE)
    assert result.code == 1
    partial = saved("compare")
    kept = f"cannot write one.json (no space left on device), which stays as it was; what was measured is in {partial}"
    assert kept in result.err
    assert Path("one.json").read_bytes() == before
    assert load_result(partial).complete
    assert sorted(path.name for path in Path().iterdir()) == ["a.yaml", "one.json", "pipeprof-out"]


@pytest.mark.parametrize(("command", "end", "pairs", "code"), ENDED.values(), ids=list(ENDED))
def test_an_earlier_result_is_replaced_by_a_complete_one(
    command: tuple[str, ...], end: Any, pairs: int, code: int, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one.json", "other.json"):
        shutil.copy(RECORDED / "step-bound.json", name)
    before = Path("one.json").read_bytes()
    set_measure(monkeypatch, ending(end, pairs))
    result = pipeprof(*command, "--out", "one.json", "--out", "other.json", "--out", "new.json")
    assert result.code == code, result.err
    for name in ("one.json", "other.json"):
        assert Path(name).read_bytes() == before
        assert f"{name} stays as it was: the measurement is not complete; what was measured is in" in result.err


@pytest.mark.parametrize(("name", "code"), [("out-of-memory", 5), ("interrupted", 130), ("raised", 5)])
def test_an_earlier_profile_is_replaced_by_a_complete_one(
    name: str, code: int, pipeprof: Pipeprof, harness: Harness, recorded: Recorded
) -> None:
    harness.profile = recorded(name)
    new = pipeprof("run", "a.yaml", "--no-verify", "--out", "p.json")
    assert (new.code, load_profile(Path("p.json")).exit_code) == (code, code)
    assert not [*Path("pipeprof-out").iterdir()]
    shutil.copy(RECORDED / "step-bound.json", "p.json")
    before = Path("p.json").read_bytes()
    result = pipeprof("run", "a.yaml", "--no-verify", "--out", "p.json", "--out", "p.txt")
    assert (result.code, Path("p.json").read_bytes()) == (code, before)
    partial = saved("a")
    assert f"p.json stays as it was: the measurement is not complete; what was measured is in {partial}" in result.err
    assert str(partial) in Path("p.txt").read_text()
    assert load_profile(partial).exit_code == code
    harness.profile = recorded("jpeg-folder")
    assert pipeprof("run", "a.yaml", "--no-verify", "--out", "p.json").code == 0
    assert (load_profile(Path("p.json")), saved("a")) == (harness.profile, partial)
