"""What measures and does not come to its end replaces nothing that is complete; its document is in pipeprof-out."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli import output
from pipeprof.profiles.document import store
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import holds_something, load_profile
from pipeprof.profiles.git import dirty
from pipeprof.profiles.harness.lock import LockTimeoutError
from pipeprof.profiles.judge import live
from pipeprof.profiles.judge.saved import load_result
from pipeprof.profiles.judge.verdicts.result import PairValues, Result
from tests.unit.cli.test_compare import SPEC, measured
from tests.unit.cli.test_main import Pipeprof

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"
UPDATE = ("gate", "a.yaml", "--baseline", "base.json", "--update-baseline")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dirty, "is_dirty", lambda *_: None)
    monkeypatch.setattr(live, "measure", measured(10.0, 5.0))
    Path("a.yaml").write_text(SPEC)


def saved(kind: str) -> Path:
    (path,) = Path("pipeprof-out").glob(f"{kind}-*.json")
    return path


def ending(how: Callable[[Result], None], pairs: int = 2) -> Any:
    """A session that saves some pairs and then ends in a way."""

    def measure(_sides: object, result: Result, _plan: object, _progress: object, save: Any) -> None:
        for _ in range(pairs):
            values = {"step_ms": 10.0, "peak_bytes": 1e9}
            result.pairs.append(PairValues(order=[], a=dict(values), b={"step_ms": 5.0}, again=dict(values)))
            save()
        how(result)

    return measure


def fail(code: int, word: str) -> Callable[[Result], None]:
    def end(result: Result) -> None:
        result.exit_code = code
        result.errors.append(Message(code=word, message="It ended."))

    return end


def throw(error: BaseException) -> Callable[[Result], None]:
    def end(_result: Result) -> None:
        raise error

    return end


ENDS = {
    "Ctrl-C": (fail(130, "interrupted"), 130),
    "SIGTERM": (fail(143, "interrupted"), 143),
    "Ctrl-C elsewhere": (throw(KeyboardInterrupt()), 130),
    "the pipeline raises": (fail(5, "side-failed"), 5),
    "another command measures": (throw(LockTimeoutError(7, 1.0)), 1),
    "a fault of pipeprof": (throw(ZeroDivisionError()), 1),
    "--max-time": (lambda _result: None, 5),
}
ways_to_end = pytest.mark.parametrize(("end", "code"), ENDS.values(), ids=list(ENDS))


@ways_to_end
@pytest.mark.parametrize("pairs", [0, 2])
def test_an_update_that_ends_early_leaves_the_baseline(
    end: Callable[[Result], None], code: int, pairs: int, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pipeprof(*UPDATE).code == 0
    before = Path("base.json").read_bytes()
    monkeypatch.setattr(live, "measure", ending(end, pairs))
    result = pipeprof(*UPDATE)
    assert result.code == code, result.err
    assert Path("base.json").read_bytes() == before
    partial = saved("baseline")
    assert (
        f"base.json stays as it was: the measurement is not complete; what was measured is in {partial}" in result.err
    )
    found = load_result(partial)
    assert (found.complete, len(found.pairs)) == (False, pairs)
    monkeypatch.setattr(live, "measure", measured(10.0, 5.0))
    assert pipeprof("gate", "a.yaml", "--baseline", "base.json").code == 0


@ways_to_end
def test_a_new_baseline_that_is_not_complete_is_not_written(
    end: Callable[[Result], None], code: int, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "measure", ending(end))
    result = pipeprof(*UPDATE)
    assert result.code == code, result.err
    assert not Path("base.json").exists()
    assert (
        f"base.json is not written: the measurement is not complete; what was measured is in {saved('baseline')}"
        in result.err
    )


def test_a_baseline_is_replaced_as_other_files_are(pipeprof: Pipeprof) -> None:
    Path("real.json").write_text("{}")
    Path("real.json").chmod(0o640)
    Path("base.json").symlink_to("real.json")
    assert pipeprof(*UPDATE).code == 2
    assert pipeprof(*UPDATE, "--force", "--out", "again.json").code == 0
    assert Path("base.json").is_symlink()
    assert Path("real.json").stat().st_mode & 0o777 == 0o640
    assert load_result(Path("real.json")).complete
    assert Path("again.json").read_bytes() == Path("real.json").read_bytes()
    assert not list(Path("pipeprof-out").glob("*.json"))


def test_a_foreign_file_that_may_be_overwritten_stays_until_the_baseline_is_complete(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("base.json").write_text('{"mine": 1}')
    monkeypatch.setattr(live, "measure", ending(fail(130, "interrupted")))
    assert pipeprof(*UPDATE, "--force").code == 130
    assert Path("base.json").read_text() == '{"mine": 1}'


def test_a_disk_that_is_full_at_the_end_leaves_the_baseline(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pipeprof(*UPDATE).code == 0
    before, real = Path("base.json").read_bytes(), os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == "base.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(store.os, "replace", full)
    result = pipeprof(*UPDATE)
    assert result.code == 1
    partial = saved("baseline")
    kept = f"cannot write base.json (no space left on device), which stays as it was; what was measured is in {partial}"
    assert kept in result.err
    assert Path("base.json").read_bytes() == before
    assert load_result(partial).complete
    assert sorted(path.name for path in Path().iterdir()) == ["a.yaml", "base.json", "pipeprof-out"]


@pytest.mark.parametrize("name", ["base.txt", "base", "-"])
def test_a_baseline_is_a_json_file(name: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("gate", "a.yaml", "--baseline", name, "--update-baseline")
    assert result.code == 2
    assert f"--baseline {name}: a baseline is JSON" in result.err


def test_a_baseline_that_lacks_what_is_to_be_judged_is_not_written(pipeprof: Pipeprof) -> None:
    result = pipeprof(*UPDATE, "--max-wait-ms", "2ms")
    assert result.code == 6
    assert "wait per step: not measured, but to be judged" in result.out
    assert not Path("base.json").exists()


@ways_to_end
@pytest.mark.parametrize("command", [("gate", "a.yaml", "--self-test"), ("compare", "a.yaml", "a.yaml")])
def test_an_earlier_result_is_replaced_by_a_complete_one(
    command: tuple[str, ...],
    end: Callable[[Result], None],
    code: int,
    pipeprof: Pipeprof,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(RECORDED / "step-bound.json", "one.json")
    shutil.copy(RECORDED / "step-bound.json", "other.json")
    before = Path("one.json").read_bytes()
    monkeypatch.setattr(live, "measure", ending(end if code != 5 else fail(5, "side-failed"), 1))
    result = pipeprof(*command, "--out", "one.json", "--out", "other.json", "--out", "new.json")
    assert result.code == code, result.err
    for name in ("one.json", "other.json"):
        assert Path(name).read_bytes() == before
        assert (
            f"{name} stays as it was: the measurement is not complete; what was measured is in pipeprof-out"
            in result.err
        )


def test_a_comparison_without_a_pair_is_none(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "measure", ending(lambda _result: None, 0))
    assert pipeprof("compare", "a.yaml", "a.yaml", "--out", "one.json").code == 5
    assert load_result(Path("one.json")).complete is False


class Run:
    """Stands in for the measurement of a run."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def __call__(self, _settings: object, writer: store.ProfileWriter, _progress: object, _tell: object) -> Profile:
        writer.write(self.profile)
        writer.write(self.profile, final=True)
        return self.profile


@pytest.mark.parametrize(("name", "code"), [("out-of-memory", 5), ("interrupted", 130), ("raised", 5)])
def test_an_earlier_profile_is_replaced_by_a_complete_one(
    name: str, code: int, pipeprof: Pipeprof, recorded: Callable[[str], Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", Run(recorded(name)))
    new = pipeprof("run", "a.yaml", "--no-verify", "--out", "p.json")
    assert (new.code, load_profile(Path("p.json")).exit_code) == (code, code)
    assert not Path("pipeprof-out").exists()
    shutil.copy(RECORDED / "step-bound.json", "p.json")
    before = Path("p.json").read_bytes()
    result = pipeprof("run", "a.yaml", "--no-verify", "--out", "p.json", "--out", "p.txt")
    assert result.code == code
    assert Path("p.json").read_bytes() == before
    partial = saved("a")
    assert f"p.json stays as it was: the measurement is not complete; what was measured is in {partial}" in result.err
    assert str(partial) in Path("p.txt").read_text()
    assert load_profile(partial).exit_code == code
    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", Run(recorded("jpeg-folder")))
    assert pipeprof("run", "a.yaml", "--no-verify", "--out", "p.json").code == 0
    assert load_profile(Path("p.json")) == recorded("jpeg-folder")
    assert saved("a") == partial


def test_a_spec_of_an_earlier_search_stays_and_a_report_is_written(
    recorded: Callable[[str], Profile], capsys: pytest.CaptureFixture[str]
) -> None:
    files = [(Path(name), kind) for name, kind in (("a.yaml", "yaml"), ("b.patch", "patch"), ("c.md", "md"))]
    for path, _ in (files[0], files[2]):
        path.write_text("earlier")
    outputs, writer = output.Outputs(None, files), store.ProfileWriter(store.places("a", "s"))
    profile = recorded("interrupted")
    writer.write(profile)
    assert output.settle(outputs, writer, profile, complete=False).files == files[1:]
    kept = "a.yaml stays as it was: the measurement is not complete; what was measured is in pipeprof-out/a-s.json"
    assert capsys.readouterr().err == f"pipeprof: note: {kept}\n"
    assert output.settle(outputs, writer, profile, complete=True) == outputs


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, False),
        (b"", False),
        (b'{"tool": {"name": "pipeprof"}, "complete": false}', False),
        (b'{"tool": {"name": "pipeprof"}, "complete": true}', True),
        (b'{"tool": {"name": "pipeprof"}}', True),
        (b'{"tool": {"name": "other"}, "complete": false}', True),
        (b"[1]", True),
        (b"\xff", True),
    ],
)
def test_what_a_partial_document_may_replace(content: bytes | None, expected: bool, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    assert holds_something(path) is expected


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("throughput", "elements_per_batch"), 1e-308, "x.json cannot be compared: cpu_ms_per_element is inf"),
        (("steps", "interval_ms", "mean"), 1e308, "x.json cannot be compared: step_ms is 1e+308"),
        (("steps", "interval_ms", "mean"), 5e-324, "x.json cannot be compared: step_ms is 4.94066e-324"),
        (("steps", "interval_ms", "mean"), -1.0, "x.json cannot be compared: step_ms is -1"),
        (("memory", "peak_bytes"), 10**400, "is not a saved profile: the number 1000"),
        (("steps", "count"), 10**400, "is not a saved profile: the number 1000"),
    ],
)
def test_profiles_with_numbers_that_no_run_has_are_not_compared(
    place: tuple[str, ...], value: float, message: str, pipeprof: Pipeprof
) -> None:
    document = json.loads((RECORDED / "jpeg-folder.json").read_text())
    part = document
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    Path("x.json").write_text(json.dumps(document))
    for sides in (("x.json", str(RECORDED / "jpeg-folder.json")), (str(RECORDED / "jpeg-folder.json"), "x.json")):
        result = pipeprof("compare", *sides)
        assert result.code == 6, result.err
        assert message in result.err
    assert pipeprof("show", "x.json").code == (6 if value == 10**400 else 0)


@pytest.fixture
def clones(tmp_path: Path) -> list[Path]:
    """Two clones of a repository, with a spec in its root and in folders."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        for place in (folder, folder / "specs", folder / "others"):
            place.mkdir()
            (place / "a.yaml").write_text(SPEC)
        (folder / "specs/train.py").write_text("def make():\n    return None\n")
        (folder / ".git").mkdir()
    return folders


def test_a_baseline_is_that_of_a_file_however_it_is_typed(
    clones: list[Path], pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = clones
    monkeypatch.chdir(one)
    assert pipeprof("gate", "specs/a.yaml", "--baseline", "base.json", "--update-baseline").code == 0
    shutil.copy("base.json", two)
    (two / "specs/a.yaml").write_text(SPEC.replace("8", "16"))
    for folder, target in ((one, "./specs/a.yaml"), (two, "specs/../specs/a.yaml"), (two / "specs", "a.yaml")):
        monkeypatch.chdir(folder)
        for typed in (target, str(Path(target).resolve())):
            result = pipeprof("gate", typed, "--baseline", str(two / "base.json"))
            assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("a.yaml", "a.yaml"),
        ("others/a.yaml", "others/a.yaml"),
        ("specs/train.py:make", "specs/train.py:make"),
        ("named.yaml", "named.yaml (rows)"),
    ],
)
def test_another_file_is_another_target(
    target: str, text: str, clones: list[Path], pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clones[0])
    Path("named.yaml").write_text(f"{SPEC}name: rows\n")
    assert pipeprof("gate", "specs/a.yaml", "--baseline", "base.json", "--update-baseline").code == 0
    monkeypatch.setattr(live, "measure", lambda *_: pytest.fail("it was measured"))
    result = pipeprof("gate", target, "--baseline", "base.json")
    assert result.code == 6
    assert f"base.json is the baseline of specs/a.yaml, not of {text}" in result.err


def test_a_module_is_its_file(clones: list[Path], pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clones[0] / "specs")
    assert pipeprof("gate", "train:make", "--baseline", "base.json", "--update-baseline").code == 0
    monkeypatch.chdir(clones[0])
    assert pipeprof("gate", "specs/train.py:make", "--baseline", "specs/base.json").code == 0


@pytest.mark.parametrize("redact", [(), ("--redact",)])
def test_outside_of_a_repository_a_target_is_its_resolved_path(
    redact: tuple[str, ...], pipeprof: Pipeprof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.yaml").write_text(SPEC)
    (tmp_path / "link").symlink_to(tmp_path)
    assert pipeprof(*UPDATE, *redact).code == 0
    monkeypatch.chdir(tmp_path / "other")
    for target in ("../a.yaml", str(tmp_path / "a.yaml"), "../link/a.yaml"):
        assert pipeprof("gate", target, "--baseline", "../base.json").code == 0
    result = pipeprof("gate", "a.yaml", "--baseline", "../base.json")
    assert result.code == 6
    assert "a.yaml, not of " in result.err
    assert result.err.endswith("other/a.yaml\n")
