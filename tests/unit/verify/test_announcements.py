"""What is stated before edits are tried, and what is told of pipelines that are unusual."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.experiment.evidence import BASELINES, EDITED, Evidence
from pipeprof.profiles.experiment.schedule import order_of
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.protocol.turns import BatchDigest, Built, TurnEnded
from pipeprof.profiles.verify import verify as module
from pipeprof.profiles.verify.judge_edit import judge
from pipeprof.profiles.verify.trials import ROUND, Trial, Trials, write_into

Recorded = Callable[[str], Profile]
BUILT = Built([BatchDigest("data", ["row"], "int64")], False, 400 << 20, 0.1, 0.1)


class Progress:
    def data(self, name: str, done: int, total: int) -> None: ...

    def phase(self, name: str, seconds: float | None) -> None: ...

    def standing(self, words: str) -> None: ...

    def ends_in(self, seconds: float | None) -> None: ...

    def note(self, text: str) -> None:
        raise AssertionError(text)


@pytest.fixture
def function(tmp_path: Path) -> Path:
    path = tmp_path / "input.py"
    path.write_text("def make(): ...\n")
    return path


def verification(profile: Profile, path: Path) -> module._Verification:
    profile.target.sha256 = None
    settings = RunSettings(parse_target(f"{path}:make"), None, ["pipeprof"])
    return module._Verification(profile, settings, 60.0, cast("Any", Progress()), None, lambda: None, Signals())


@pytest.mark.parametrize("long", ["build", "first_element"])
def test_a_long_way_to_the_first_batch_is_stated_first(recorded: Recorded, function: Path, long: str) -> None:
    profile = recorded("input-bound").model_copy(deep=True)
    assert "until its first batch" not in verification(profile, function).announce(1)
    for phase in profile.phases:
        phase.seconds = 95.0 if phase.name == long else 0.0
    said = verification(profile, function).announce(1)
    assert "; the pipeline takes 95 s until its first batch, in each process again" in said
    assert "building" not in said


def test_it_is_said_for_whom_the_trials_wait_until_a_signal_ends_that(
    recorded: Recorded, function: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(Progress, "note", lambda _self, text: notes.append(text))
    run = verification(recorded("input-bound").model_copy(deep=True), function)
    for seconds in (0.0, 0.25):
        run.waiting(17, seconds)
    assert notes == ["waiting up to 60 s for another pipeprof (pid 17) to finish measuring"]
    run._signals.asked = "interrupted"
    with pytest.raises(module.InterruptedVerificationError):
        run.waiting(17, 0.5)


def test_functions_with_effects_outside_are_announced(recorded: Recorded, function: Path) -> None:
    profile = recorded("input-bound").model_copy(deep=True)
    profile.stages = [Stage(id="source", origin="written", op="range")]
    assert "Python functions" not in verification(profile, function).announce(1)
    profile.stages.append(Stage(id="stages.0", origin="written", op="from_generator"))
    said = verification(profile, function).announce(2)
    assert "your function is called four times for the first, twice for each further one" in said
    assert said.count("; its Python functions run in each process, with what they write or send") == 1


def test_an_epoch_that_ends_early_is_repeated_and_said_to_be() -> None:
    found = Evidence({**dict.fromkeys(BASELINES, BUILT), **dict.fromkeys(EDITED, BUILT)})
    for number in range(6):
        found.rounds.append(
            {
                name: TurnEnded(200 if name in EDITED else 100, 1.0, None, 0.0, None, None, 3 * number)
                for name in order_of(number, ROUND)
            }
        )
    judgement = judge(found, "same", for_memory=False)
    finding = Finding(rule="a", title="a", status="unverified")
    write_into(finding, Trial(judgement.status, judgement.reason, found, judgement))
    assert (finding.status, (finding.measured or {})["restarts"]) == ("kept", 15)
    assert (finding.reason or "").endswith("; the data set ended and was repeated up to 15 times in a process")


def test_a_file_that_changes_meanwhile_takes_the_verdict_back(recorded: Recorded, function: Path) -> None:
    class Meddling:
        mode = "alternating"

        def too_long(self, budget: float, further: float) -> None: ...

        def measure(self, *_: Any, **__: Any) -> Trial:
            function.write_text("def make(): return None\n")
            return Trial("kept", "2.0×")

    def finding() -> Finding:
        edit = Edit.model_validate({"kind": "SetOption", "path": "deterministic", "value": False})
        return Finding(rule="a", title="a", status="unverified", semantics="same", family="speed", edit=edit)

    run = verification(recorded("input-bound").model_copy(deep=True), function)
    first, second = finding(), finding()
    for one in (first, second):
        run._try(cast("Trials", Meddling()), one)
    assert (first.status, first.measured) == ("unverified", None)
    assert first.reason == "not judged: input.py has changed since the run: measure again"
    assert (second.status, second.reason) == (
        "unverified",
        "not tried: input.py has changed since the run: measure again",
    )


class Modes:
    """Trials that note what they compare with, and find every edit 1.8 times as fast."""

    mode = "alternating"

    def __init__(self) -> None:
        self.compared: list[Any] = []

    def fits(self, pairs: int) -> bool:
        return pairs > 0

    def rebase(self, baseline: Callable[[], dict[str, Any]]) -> None:
        self.compared.append(next(iter(baseline().values())).dispatch)

    def measure(self, edited: dict[str, Any], *_: Any, **__: Any) -> Trial:
        self.compared += [job.dispatch for job in edited.values()]
        found = Evidence({**dict.fromkeys(BASELINES, BUILT), **dict.fromkeys(EDITED, BUILT)})
        block = TurnEnded(100, 1.0, None, 0.0, None)
        found.rounds.extend([dict.fromkeys(order_of(number, ROUND), block) for number in range(6)])
        judgement = judge(found, "same", for_memory=False)
        return Trial(judgement.status, judgement.reason, found, judgement)


def test_what_overlap_gains_is_measured_in_the_other_mode(recorded: Recorded, function: Path) -> None:
    profile = recorded("input-bound").model_copy(deep=True)
    assert profile.steps is not None
    assert profile.device is not None
    profile.steps.dispatch, profile.device.kind = "sync", "simulate"
    edit = Edit.model_validate({"kind": "InsertStage", "op": "prefetch", "arguments": {"buffer_size": 2}})
    prefetch, other = (
        Finding(rule="a", title="a", status="kept", semantics="same", edit=one, measured={"speedup": 1.8})
        for one in (edit, Edit.model_validate({"kind": "SetOption", "path": "deterministic", "value": False}))
    )
    trials = Modes()
    run = verification(profile, function)
    for _ in range(2):
        run._try_other_dispatch(cast("Trials", trials), [prefetch, other])
    # Compared with steps in flight, both edited workers too, and then as in the run again; once.
    assert trials.compared == [1, 1, 1, None]
    assert (prefetch.measured or {})["other_dispatch"] == {
        "dispatch": 1,
        "speedup": 1.0,
        "low": 1.0,
        "high": 1.0,
        "pairs": [1.0] * 12,
    }
    assert other.measured == {"speedup": 1.8}


def test_a_signal_while_the_trying_is_planned_is_not_lost(
    function: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signalled(_profile: Profile) -> list[Finding]:
        signal.raise_signal(signal.SIGTERM)
        return []

    profile = recorded("input-bound")
    monkeypatch.setattr(module.plans, "to_try", signalled)
    monkeypatch.setattr(module, "guesses", lambda *_: [])
    monkeypatch.setattr(module, "pays", lambda *_: False)
    settings = RunSettings(parse_target(f"{function}:make"), None, ["pipeprof"], lock=False)
    module.verify(profile, settings, 60.0, Silent())
    assert profile.exit_code == 143


def test_a_worker_that_cannot_be_started_costs_only_what_is_not_tried(
    function: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    profile = recorded("input-bound")
    edit = {"kind": "SetArgument", "stage": "stages.0", "op": "map", "argument": "num_parallel_calls", "value": 2}
    data = {"rule": "parallel-calls", "title": "T", "status": "unverified", "family": "speed", "semantics": "same"}
    profile.target.sha256 = None
    finding = Finding.model_validate({**data, "stage": "stages.0", "edit": [edit]})
    profile.findings = [finding]
    monkeypatch.setattr("pipeprof.profiles.experiment.team.WorkerProcess", refuse)
    monkeypatch.setattr(module, "guesses", lambda *_: [])
    settings = RunSettings(parse_target(f"{function}:make"), None, ["pipeprof"], lock=False)
    saved: list[str | None] = []
    module.verify(profile, settings, 60.0, Silent(), save=lambda: saved.append(finding.reason))
    assert saved == [None]
    assert finding.reason is not None
    assert finding.reason.startswith("not tried: too many open files: a process may have ")
    assert "verification-ended" in [warning.code for warning in profile.warnings]
    assert profile.exit_code == 0


def test_what_a_replay_that_is_too_optimistic_shows_is_no_proof(
    function: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove(_run: Any, findings: list[Finding], *_: Any) -> None:
        for one in findings:
            one.status, one.reason = "kept", "2.0×"

    profile = recorded("input-bound")
    assert profile.device is not None
    profile.device.too_optimistic = "the step may compute on the same cores"
    edit = {"kind": "SetArgument", "stage": "stages.0", "op": "map", "argument": "num_parallel_calls", "value": 2}
    data = {"rule": "parallel-calls", "title": "T", "status": "unverified", "family": "speed", "semantics": "same"}
    profile.findings = [Finding.model_validate({**data, "stage": "stages.0", "edit": [edit]})]
    monkeypatch.setattr(module._Verification, "run", prove)
    monkeypatch.setattr(module, "guesses", lambda *_: [])
    settings = RunSettings(parse_target(f"{function}:make"), None, ["pipeprof"], lock=False)
    module.verify(profile, settings, 60.0, Silent())
    assert [(one.status, one.reason) for one in profile.findings] == [
        ("unverified", "the step may compute on the same cores; in its replay: 2.0×")
    ]
    assert "proven" not in (profile.verdict.sentence if profile.verdict else "")
