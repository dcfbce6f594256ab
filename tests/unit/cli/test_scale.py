"""``pipeprof scale``: options, refusals and the screen, with made-up measurements."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.scale_world import ALONE, SPEC, World

from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Service
from pipeprof.profiles.document.store import ProfileWriter, load_profile
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.scale import scale as module

Pipeprof = Callable[..., Any]
Recorded = Callable[[str], Profile]


@pytest.fixture
def measured(recorded: Recorded) -> Profile:
    profile = recorded("jpeg-folder")
    profile.target.text, profile.target.sha256, profile.findings = "spec.yaml", None, []
    return profile


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, measured: Profile) -> World:
    (tmp_path / "spec.yaml").write_text(SPEC)
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "cache"))
    found = World([ALONE, 20.0, 40.0, 49.0, 49.5, 49.5, 49.5, 49.5, 49.5])

    def run_sample(settings: RunSettings, writer: ProfileWriter, _progress: Any, _tell: Any) -> Profile:
        measured.command = settings.command
        writer.write(measured, final=True)
        return measured

    def verify(*_arguments: Any, **_options: Any) -> None:
        return

    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", run_sample)
    monkeypatch.setattr("pipeprof.profiles.verify.verify.verify", verify)
    # Whatever else measures on the machine of the tests.
    monkeypatch.setattr(module, "measuring_lock", lambda *_arguments, **_options: contextlib.nullcontext())
    monkeypatch.setattr(module, "measure_numbers", found.measure)
    monkeypatch.setattr(module, "measure_transport", found.measure_transport)
    return found


def screen(path: Path) -> str:
    """The report of a saved profile, without how long it took."""
    from pipeprof.cli.report.report import build_report

    profile = load_profile(path)
    assert profile.scale is not None
    profile.scale.seconds, profile.command = 41.0, ["pipeprof", "scale", "spec.yaml", "--predict-only"]
    return paint(build_report(profile, "pipeprof-out/spec.json"), Style(100))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("workers", ["--worker-cores", "4"]),
        ("priced", ["--worker-cores", "4", "--price", "host=3.06,worker=0.17", "--link", "10Gbit"]),
        ("predicted", ["--predict-only"]),
    ],
)
def test_golden(
    name: str, options: list[str], pipeprof: Pipeprof, world: World, golden: Callable[[str, str], None]
) -> None:
    assert pipeprof("scale", "spec.yaml", "-q", "--out", "out.json", *options).code == 0
    assert bool(world.asked) is (name != "predicted")
    golden(f"report/scale-{name}-100.txt", screen(Path("out.json")))


def test_golden_of_a_no(
    pipeprof: Pipeprof, world: World, measured: Profile, golden: Callable[[str, str], None]
) -> None:
    world.rates = [ALONE, 10.0, 11.0, 11.0]
    for stage in measured.stages or ():
        stage.op = "take" if stage.id == "stages.2" else stage.op
    assert pipeprof("scale", "spec.yaml", "-q", "--out", "out.json", "--workers", "3").code == 0
    golden("report/scale-no-100.txt", screen(Path("out.json")))


def test_the_report_is_short_enough_for_a_screen(pipeprof: Pipeprof, world: World) -> None:
    found = pipeprof("scale", "spec.yaml", "-q", "--worker-cores", "4", "--out", "out.md")
    assert world.asked
    assert found.out.startswith("3 workers of 4 cores; a fourth adds 1.0 %\n")
    assert found.out.count("\n") <= 45
    assert "3 workers of 4 cores" in Path("out.md").read_text()


def test_json_has_the_result_and_show_prints_it_again(pipeprof: Pipeprof, world: World) -> None:
    found = pipeprof("scale", "spec.yaml", "-q", "--json")
    document = json.loads(found.out)
    assert document["scale"]["workers"] == 3
    assert len(world.asked) == 2
    (saved,) = Path("pipeprof-out").glob("*.json")
    shown = pipeprof("show", saved)
    assert (shown.code, shown.out.partition("\n")[0]) == (0, "3 workers of 2 cores; a fourth adds 1.0 %")


def test_a_fix_of_the_same_run_comes_first(pipeprof: Pipeprof, world: World, measured: Profile) -> None:
    kept = Finding(rule="x", title="Cache after decode", status="kept", measured={"speedup": 2.5, "low": 2.4})
    measured.findings = [kept]
    found = pipeprof("scale", "spec.yaml", "-q")
    assert found.out.startswith("No: the fix `Cache after decode` gives 2.50× without any worker\n")
    assert (found.code, world.asked) == (0, [])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--link", "0"], "--link: got '0', expected a bandwidth above 0 with its unit, e.g. 10Gbit or 1.25GB"),
        (["--link", "0Gbit"], "--link: got '0Gbit', expected a bandwidth above 0"),
        (["--link", "fast"], "--link: got 'fast', expected a bandwidth above 0"),
        (["--price", "host=3"], "--price: got 'host=3', expected host=X,worker=Y"),
        (["--price", "host=3,worker=x"], "--price: got 'host=3,worker=x', expected host=X,worker=Y"),
        (["--price", "host=3,host=4"], "--price: got 'host=3,host=4', expected host=X,worker=Y"),
        (["--price", "host=0,worker=1"], "--price: got 'host=0,worker=1', expected host=X,worker=Y"),
        (["--workers", "0"], "--workers: got '0', expected a whole number from 1"),
        (["--workers", "100000"], "--workers: got 100,000, expected at most 1,024"),
        (["--measure", "99"], "--measure: got 99, expected at most 16"),
        (["--measure", "3", "--workers", "2"], "--measure 3 is more than --workers 2"),
        (["--measure", "3", "--predict-only"], "--measure is about what --predict-only leaves out"),
        (["--processing-mode", "x"], "--processing-mode: got 'x', expected distributed_epoch or parallel_epochs"),
        (["--worker-cores", "half"], "--worker-cores: got 'half', expected a whole number from 1"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(
    options: list[str], said: str, pipeprof: Pipeprof, world: World
) -> None:
    found = pipeprof("scale", "spec.yaml", *options)
    assert found.code == 2
    assert said in found.err
    assert (world.asked, Path("pipeprof-out").exists()) == ([], False)


def test_a_spec_that_reads_from_a_service_is_refused(pipeprof: Pipeprof, world: World) -> None:
    stage = "{distribute: {processing_mode: parallel_epochs, service: 'localhost:5000'}}"
    Path("spec.yaml").write_text(f"version: 1\nsource: {{range: {{stop: 9}}}}\nstages: [{stage}]\n")
    found = pipeprof("scale", "spec.yaml")
    assert (found.code, world.asked) == (2, [])
    assert "spec.yaml reads from a tf.data service already (distribute): remove that stage" in found.err


def test_a_function_that_reads_from_a_service_is_refused(pipeprof: Pipeprof, world: World, measured: Profile) -> None:
    assert measured.stages is not None
    measured.stages[-1].service = Service(address="localhost:5000")
    found = pipeprof("scale", "spec.yaml", "-q")
    assert (found.code, world.asked) == (2, [])
    assert "reads from a tf.data service already" in found.err
    assert not found.out


def test_a_script_is_refused(pipeprof: Pipeprof, world: World) -> None:
    Path("train.py").write_text("import tensorflow as tf\n")
    found = pipeprof("scale", "train.py")
    assert (found.code, world.asked) == (2, [])
    assert "train.py is a training script: name its function" in found.err


def test_a_pipeline_that_failed_is_not_scaled(pipeprof: Pipeprof, world: World, measured: Profile) -> None:
    measured.exit_code = 5
    assert pipeprof("scale", "spec.yaml", "-q").code == 5
    assert (world.asked, measured.scale) == ([], None)
