"""``pipeprof run`` around the measurement, which a recorded profile stands in for."""

import errno
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli import output
from pipeprof.cli.report.report import build_report
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document import store
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter, load_profile
from pipeprof.profiles.document.subject import DataSize
from pipeprof.profiles.harness.settings import RunSettings

Pipeprof = Callable[..., Any]


@dataclass
class Harness:
    """Stands in for the harness: gives a recorded profile, keeps what it was asked for."""

    profile: Profile
    asked: list[RunSettings] = field(default_factory=list)
    budgets: list[float] = field(default_factory=list)
    meanwhile: Callable[[Callable[[], object]], object] = lambda _save: None

    def __call__(
        self,
        settings: RunSettings,
        writer: ProfileWriter,
        progress: Any,
        tell: Callable[[Profile], object] = lambda _: None,
        _early: object = None,
    ) -> Profile:
        self.asked.append(settings)
        progress.phase("measure", 10.0)
        progress.note("a note")
        writer.write(self.profile)
        if not self.profile.exit_code:
            tell(self.profile)
        writer.write(self.profile, final=True)
        return self.profile

    def try_changes(
        self, profile: Profile, settings: RunSettings, _ideas: object, budget: float, progress: Any, **options: Any
    ) -> None:
        assert (profile, settings) == (self.profile, self.asked[-1])
        progress.close()
        self.budgets.append(budget)
        self.meanwhile(options["save"])


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, recorded: Callable[[str], Profile], tmp_path: Path) -> Harness:
    (tmp_path / "spec.yaml").write_text(
        "version: 1\nname: my rows\nsource: {range: {stop: 9}}\nmeasure: {seconds: 3}\n"
    )
    (tmp_path / "train.py").write_text("def make(): ...\n")
    fake = Harness(recorded("input-bound"))
    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", fake)
    monkeypatch.setattr("pipeprof.profiles.tries.run.try_changes", fake.try_changes)
    return fake


def saved(folder: Path) -> Path:
    (path,) = (folder / "pipeprof-out").glob("*.json")
    return path


def test_report_on_stdout_the_rest_on_stderr(harness: Harness, pipeprof: Pipeprof, tmp_path: Path) -> None:
    result = pipeprof("run", "spec.yaml")
    path = saved(tmp_path)
    assert result.code == 0
    assert result.out == paint(build_report(harness.profile, str(path.relative_to(tmp_path))), Style(80))
    assert result.err.splitlines() == ["pipeprof: [6/8] measuring, about 10 s", "pipeprof: a note"]
    assert path.name.startswith("my-rows-2")
    assert load_profile(path) == harness.profile


@pytest.mark.usefixtures("harness")
def test_show_prints_the_same_bytes(pipeprof: Pipeprof, tmp_path: Path) -> None:
    first = pipeprof("run", "spec.yaml")
    for form in (saved(tmp_path), saved(tmp_path).relative_to(tmp_path)):
        assert pipeprof("show", form).out == first.out


@pytest.mark.usefixtures("harness")
def test_quiet_says_nothing_on_stderr(pipeprof: Pipeprof) -> None:
    result = pipeprof("run", "spec.yaml", "-q")
    assert result.err == ""
    assert result.out


def test_json_is_the_saved_file(harness: Harness, pipeprof: Pipeprof, tmp_path: Path) -> None:
    for option in (["--json"], ["--format", "json"], ["--out", "-", "--format", "json"]):
        assert json.loads(pipeprof("run", "spec.yaml", *option).out) == json.loads(store.encode(harness.profile))
    assert len(list((tmp_path / "pipeprof-out").glob("*.json"))) == 3


def test_any_number_of_outputs(harness: Harness, pipeprof: Pipeprof, tmp_path: Path) -> None:
    result = pipeprof("run", "spec.yaml", "--out", "a.json", "--out", "b.txt", "--out", "c.json")
    assert result.code == 0
    assert "Saved     a.json" in result.out
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "c.json").read_bytes()
    assert (tmp_path / "b.txt").read_text() == paint(
        build_report(harness.profile, "a.json", None, "pipeprof show a.json"), Style()
    )
    assert not (tmp_path / "pipeprof-out").exists()


@pytest.mark.parametrize(("name", "code"), [("out-of-memory", 5), ("interrupted", 130), ("no-model", 0)])
def test_the_profile_says_the_exit_code(
    name: str, code: int, harness: Harness, pipeprof: Pipeprof, recorded: Callable[[str], Profile]
) -> None:
    harness.profile = recorded(name)
    result = pipeprof("run", "spec.yaml")
    assert result.code == code
    assert result.out


def test_options_reach_the_harness(harness: Harness, pipeprof: Pipeprof) -> None:
    options = "--seconds 2min --steps 7 --step simulate:12ms --dispatch 2 --cold --seed 3 --timeout 9 --max-time 1h"
    assert (
        pipeprof("run", "spec.yaml", *options.split(), "--memory-limit", "8GiB", "--no-lock", "--no-verify").code == 0
    )
    asked = harness.asked[0]
    assert (asked.seconds, asked.steps, asked.dispatch, asked.cold, asked.seed) == (120.0, 7, 2, True, 3)
    assert (asked.timeout, asked.max_time, asked.memory_limit, asked.lock) == (9.0, 3600.0, 8 * 1024**3, False)
    assert asked.step is not None
    assert asked.step.kind == "simulate"
    assert asked.loaded is not None


@pytest.mark.parametrize(("options", "budgets"), [([], [30.0]), (["--budget", "2min"], [120.0]), (["--no-verify"], [])])
def test_the_budget_of_verification(
    harness: Harness, pipeprof: Pipeprof, options: list[str], budgets: list[float]
) -> None:
    harness.profile.findings = [Finding(rule="a", title="A", status="unverified")]
    assert pipeprof("run", "spec.yaml", *options).code == 0
    assert harness.budgets == budgets


@pytest.mark.usefixtures("harness")
def test_a_budget_without_verification_is_refused(pipeprof: Pipeprof) -> None:
    assert pipeprof("run", "spec.yaml", "--budget", "5", "--no-verify").code == 2


def test_what_is_not_given_is_left_to_the_spec(harness: Harness, pipeprof: Pipeprof) -> None:
    assert pipeprof("run", "spec.yaml", "--set", "measure.seconds=4", "--budget", "60").code == 0
    asked = harness.asked[0]
    unset = (asked.seconds, asked.steps, asked.step, asked.dispatch, asked.cold, asked.seed, asked.timeout)
    assert unset == (None,) * 7
    assert (asked.max_time, asked.memory_limit, asked.lock) == (None, None, True)
    assert asked.loaded is not None
    assert asked.loaded.spec.measure.seconds == 4


def test_a_function(harness: Harness, pipeprof: Pipeprof, tmp_path: Path) -> None:
    assert pipeprof("run", "train.py:make").code == 0
    assert harness.asked[0].loaded is None
    assert saved(tmp_path).name.startswith("train-make-2")


@pytest.mark.usefixtures("harness")
def test_redacted_everywhere(pipeprof: Pipeprof, tmp_path: Path) -> None:
    result = pipeprof("run", "spec.yaml", "--redact", "--out", "a.json", "--out", "b.txt")
    for text in (result.out, (tmp_path / "a.json").read_text(), (tmp_path / "b.txt").read_text()):
        assert "lab-7" not in text


def failing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(target).absolute().is_relative_to(folder):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(target))
        real(source, target)

    monkeypatch.setattr(store.os, "replace", replace)


@pytest.mark.parametrize(
    ("flags", "times"),
    [(("--budget", "100"), 2), (("--no-verify",), 1), (("--budget", "100", "--max-time", "0.001"), 1)],
)
def test_a_disturbed_run_is_measured_again_within_its_time(
    flags: tuple[str, ...], times: int, harness: Harness, pipeprof: Pipeprof
) -> None:
    assert harness.profile.verdict is not None
    harness.profile.verdict.disturbed = True
    assert pipeprof("run", "spec.yaml", "-q", *flags).code == 0
    assert len(harness.asked) == times
    assert all(budget <= 100.0 for budget in harness.budgets)
    harness.profile.verdict.disturbed = False
    assert pipeprof("run", "spec.yaml", "-q", *flags).code == 0
    assert len(harness.asked) == times + 1


def test_the_size_of_the_data_set_and_no_cache_reach_the_measurement(harness: Harness, pipeprof: Pipeprof) -> None:
    assert pipeprof("run", "spec.yaml", "-q", "--dataset-size", "500000 elements", "--no-cache").code == 0
    assert harness.asked[-1].data_size == DataSize(elements=500_000)
    assert harness.asked[-1].no_cache


@pytest.mark.usefixtures("harness")
def test_a_read_only_folder(
    pipeprof: Pipeprof, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    failing(monkeypatch, tmp_path)
    result = pipeprof("run", "spec.yaml", "-q")
    (path,) = elsewhere.rglob("*.json")
    assert result.code == 0
    assert "pipeprof: warning: cannot write pipeprof-out/" in result.err
    assert f"Saved     {path}" in result.out


@pytest.mark.usefixtures("harness")
def test_nowhere_to_save_still_prints_the_report(
    pipeprof: Pipeprof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    failing(monkeypatch, tmp_path)
    result = pipeprof("run", "spec.yaml", "-q")
    assert result.code == 1
    assert "Input-bound" in result.out
    assert "Saved" not in result.out
    assert "could be written nowhere" in result.err


@pytest.mark.usefixtures("harness")
def test_an_output_that_fails_after_the_measurement(
    pipeprof: Pipeprof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, tmp_path / "full")
    (tmp_path / "full").mkdir()
    result = pipeprof("run", "spec.yaml", "-q", "--out", "full/a.txt", "--out", "b.json")
    monkeypatch.undo()
    assert (tmp_path / "b.json").exists()
    assert result.out
    assert (result.code, "full/a.txt" in result.err) == (1, True)


def test_what_was_measured_is_reported_whatever_ends_the_trying(
    harness: Harness, pipeprof: Pipeprof, tmp_path: Path
) -> None:
    def breaks(save: Callable[[], object]) -> None:
        harness.profile.warnings.clear()
        save()
        assert load_profile(saved(tmp_path)).warnings == []
        msg = "a fault of the trying"
        raise ValueError(msg)

    harness.profile.warnings.append(Message(code="repeated", message="so"))
    harness.meanwhile = breaks
    result = pipeprof("run", "spec.yaml")
    assert result.code == 1
    assert "a fault of the trying" in result.err
    assert result.out == paint(build_report(harness.profile, str(saved(tmp_path).relative_to(tmp_path))), Style(80))


@pytest.mark.parametrize("words", [[], ["-v"], ["--out", "a.txt"]])
def test_what_is_measured_is_told_before_anything_is_tried(
    harness: Harness, capsys: pytest.CaptureFixture[str], pipeprof: Pipeprof, words: list[str]
) -> None:
    """What is tried comes to the end, and what was told stays as it is."""
    told: list[str] = []

    def tries(_save: Callable[[], object]) -> None:
        told.append(capsys.readouterr().out)
        harness.profile.findings = [
            Finding(rule="measured", title="Run it", stage="stages.1", status="kept", measured={"speedup": 2.0})
        ]
        harness.profile.warnings.append(Message(code="verification-ended", message="so"))

    harness.meanwhile = tries
    rest = pipeprof("run", "spec.yaml", *words).out
    assert told[0].startswith("Input-bound: ")
    assert [word in told[0] for word in ("\nSteps", "\nPipeline", "\nMemory", "What to change", "Saved", "Run it")] == [
        *(True, True, True, False, False, False)
    ]
    assert [word in rest for word in ("Steps ", "Memory ", "What to change", "Run it")] == [False, False, True, True]
    assert pipeprof("show", *words[:1] * (words == ["-v"])).out == told[0] + rest


def test_the_headline_comes_before_the_rest_is_measured(
    harness: Harness, capsys: pytest.CaptureFixture[str], pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def measure(*given: Any) -> Profile:
        found = harness(*given)
        told.append(capsys.readouterr().out)
        return found

    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", measure)
    assert harness.profile.verdict is not None
    assert pipeprof("run", "spec.yaml", "--no-verify").code == 0
    assert " ".join(told[0].split()) == harness.profile.verdict.headline


@pytest.mark.parametrize("words", [["--json"], ["--section", "steps"], ["--format", "md"]])
def test_other_formats_and_parts_are_written_once_at_the_end(
    harness: Harness, capsys: pytest.CaptureFixture[str], pipeprof: Pipeprof, words: list[str]
) -> None:
    told: list[str] = []
    harness.meanwhile = lambda _save: told.append(capsys.readouterr().out)
    assert pipeprof("run", "spec.yaml", *words).out
    assert told == [""]


def test_a_stdout_that_breaks_early_is_an_error_once_the_profile_is_saved(
    harness: Harness, pipeprof: Pipeprof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_stream(_stream: object, _text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(output, "write_stream", write_stream)
    result = pipeprof("run", "spec.yaml")
    assert result.code == 1
    assert "the report could not be written to stdout (no space left on device)" in result.err
    assert harness.budgets
    assert load_profile(saved(tmp_path)).complete


def test_the_proven_changes_of_a_function_are_saved_with_their_diffs(
    harness: Harness, pipeprof: Pipeprof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_diffs(profile: Profile) -> None:
        profile.findings = [Finding(rule="measured", title="A change", status="kept", diff="--- a/train.py\n")]

    monkeypatch.setattr("pipeprof.profiles.advise.text.source_diff.add_diffs", add_diffs)
    pipeprof("run", "train.py:make")
    assert (load_profile(saved(tmp_path)).findings or [])[0].diff == "--- a/train.py\n"
    harness.profile.exit_code = 130
    monkeypatch.setattr(
        "pipeprof.profiles.advise.text.source_diff.add_diffs", lambda _: pytest.fail("nobody waits for it")
    )
    assert pipeprof("run", "train.py:make").code == 130


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--no-verify"], "for real until 10 s are measured after the warm-up (--to-end: to its end)\n"),
        (["--steps", "2000"], "for real until 2,000 steps are measured after the warm-up (--to-end"),
        (["--steps", "9", "--seconds", "1m"], "for real until 60 s or 9 steps are measured after"),
        (["--soak", "20m"], "for real while its memory is watched for 1200 s\n"),
        (["--to-end"], "for real to its end\n"),
    ],
)
def test_what_a_script_does_is_said_before(
    harness: Harness, pipeprof: Pipeprof, options: list[str], words: str
) -> None:
    result = pipeprof("run", "train.py", *options)
    assert f"note: train.py runs as it is and trains {words}" in result.err
    assert [settings.tries for settings in harness.asked] == [False]
    assert not harness.budgets
