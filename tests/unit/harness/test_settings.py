"""What a run is asked to do: the command line before the spec before the defaults."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.errors import ProfileError
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
from pipeprof.pipelines.steps.consumer import StepContext
from pipeprof.pipelines.steps.step import parse_step, start_step
from pipeprof.pipelines.target.target import ParsedTarget, parse_target
from pipeprof.profiles.document.shared import WrittenFile
from pipeprof.profiles.harness.settings import again, main_place, make_options
from pipeprof.profiles.protocol.channel import encode
from pipeprof.profiles.protocol.options import Options, StepJob, as_pairs, from_pairs, in_worker, to_worker
from pipeprof.profiles.tries.fix import FindBest
from pipeprof.profiles.tries.outcome import cannot_replay
from pipeprof.profiles.worker.script.hooks import ON_GPU

FULL = """\
version: 1
source: {range: {stop: 100}}
stages:
  - interleave: {source: {range: {stop: 3}}, stages: [map: {map_func: {python: "maps/f.py:double"}}], cycle_length: 2}
  - batch: {batch_size: 4}
step: {simulate: 12ms, dispatch: 1}
measure: {seconds: 3, steps: 50, warmup_seconds: 0.5, seed: 7, cold: true}
"""
BARE = "version: 1\nsource: {range: {stop: 100}}\n"


@pytest.fixture
def spec(tmp_path):
    def write(text: str) -> LoadedSpec:
        folder = tmp_path / "project" / "maps"
        folder.mkdir(parents=True)
        folder.joinpath("f.py").write_text("def double(x):\n    return x\n\ndef step(batch):\n    pass\n")
        path = folder.parent / "spec.yaml"
        path.write_text(text)
        return load_spec(path)

    return write


def settings(loaded: LoadedSpec | None = None, **changes) -> Options:
    target = ParsedTarget("spec", loaded.path) if loaded else ParsedTarget("function", Path("/somewhere/f.py"), "make")
    return make_options(target=target, loaded=loaded, **changes)


def test_without_anything_the_defaults_hold_and_a_bare_spec_changes_nothing(spec):
    made, bare = settings(), settings(spec(BARE))
    assert (made.step, made.step_text, made.dispatch) == (StepJob(), "none", None)
    assert (made.seconds, made.steps, made.warmup_seconds, made.seed) == (10.0, None, None, None)
    assert (made.cold, made.timeout, made.patience) == (False, 120.0, 60.0)
    assert replace(bare, target=made.target, user_files=made.user_files, loaded=None) == made


def test_the_spec_comes_before_the_defaults(spec):
    made = settings(spec(FULL))
    assert (made.step, made.step_text, made.dispatch) == (StepJob("simulate", {"base_ms": 12.0}), "simulate: 12ms", 1)
    assert (made.seconds, made.steps, made.warmup_seconds, made.seed, made.cold) == (3.0, 50, 0.5, 7, True)


@pytest.mark.parametrize("text", [BARE, FULL])
def test_the_command_line_comes_before_the_spec(spec, text):
    planned = settings(
        spec(text), step=parse_step({"simulate": "5ms", "dispatch": 2}), seconds=1.5, steps=9, cold=False, timeout=4.0
    )
    assert planned.step.arguments["base_ms"] == 5.0
    assert (planned.dispatch, planned.seconds, planned.steps) == (2, 1.5, 9)
    assert (planned.cold, planned.timeout) == (False, 4.0)


@pytest.mark.parametrize("written", ["0ms", {"base": "1ms"}, {"every": {10: "2ms"}}])
def test_a_simulated_step_is_run_as_it_is_written(written: object) -> None:
    job = settings(step=parse_step({"simulate": written})).step
    line = json.loads(json.dumps(job.arguments))
    start, end = start_step(job.kind, line, StepContext()).submit("batch")
    assert end - start == (1_000_000 if written == {"base": "1ms"} else 0)


@pytest.mark.parametrize(
    ("measure", "asked", "expected"),
    [
        ("{steps: 50}", {}, (None, 50)),
        ("{seconds: 3, steps: 50}", {}, (3.0, 50)),
        ("{seconds: 3}", {"steps": 9}, (None, 9)),
        ("{steps: 50}", {"seconds": 2.0}, (2.0, 50)),
        ("{}", {"steps": 9}, (None, 9)),
    ],
)
def test_steps_asked_for_alone_take_as_long_as_they_take(spec, measure, asked, expected):
    planned = settings(spec(f"{BARE}measure: {measure}\n"), **asked)
    assert (planned.seconds, planned.steps) == expected


def test_a_python_step_is_found_beside_the_spec_or_in_the_working_folder(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = spec(f'{BARE}step: {{python: "maps/f.py:step", dispatch: 2}}\n')
    planned = settings(loaded)
    assert planned.step == StepJob("python", {"target": f"{tmp_path}/project/maps/f.py:step"})
    assert (planned.step_text, planned.dispatch) == ("python: maps/f.py:step", "sync")
    planned = settings(loaded, step=parse_step("python:steps/mine.py:train"))
    assert planned.step.arguments["target"] == f"{tmp_path}/steps/mine.py:train"


def test_every_part_of_a_simulated_step_is_passed_on_and_named():
    step = parse_step({"simulate": {"base": "4ms", "stdev": "500us", "every": {1000: "400ms"}}})
    planned = settings(step=step)
    assert planned.step == StepJob("simulate", {"base_ms": 4.0, "stdev_ms": 0.5, "every": [(1000, 400.0)]})
    assert planned.step_text == "simulate: 4ms, stdev 0.5ms, 400ms every 1000"


def test_a_worker_gets_what_it_needs_of_a_spec(spec, tmp_path):
    loaded = spec(FULL)
    made = settings(loaded, data_dirs={"photos": "/cache/photos"}, memory_limit=5_000)
    project = tmp_path / "project"
    assert made.user_files == [str(loaded.path), str(project / "maps" / "f.py")]
    there = in_worker(json.loads(encode(to_worker(made))))
    assert from_pairs(there.data) == loaded.data
    assert replace(there, data=None) == replace(made, loaded=None, base_dir=str(project))


def test_a_worker_gets_the_file_of_a_function_and_that_of_the_step():
    made = settings(step=parse_step("python:/opt/my:odd/s.py:train"))
    there = in_worker(json.loads(encode(to_worker(made))))
    assert (there.kind, str(there.target), there.data) == ("function", "/somewhere/f.py:make", None)
    assert there.step_given is True
    assert there.user_files == ["/somewhere/f.py", "/opt/my:odd/s.py"]


KEYS = st.text() | st.integers() | st.booleans() | st.none()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_a_specs_data_comes_through_json_with_its_keys(data):
    back = from_pairs(json.loads(json.dumps(as_pairs(data))))
    assert repr(back) == repr(data)


@pytest.fixture
def trained(recorded, tmp_path, monkeypatch):
    """The settings and the profile of a training script."""
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text("for batch in data(): pass\n")
    return make_options(parse_target("train.py", scripts=True)), recorded("script-loop")


def test_the_step_of_a_script_is_replayed_where_it_does_not_train(trained):
    first, profile = trained
    for cpu_ms, proves in ((0.1, True), (2.4, False), (None, False)):
        profile.device.cpu_ms = cpu_ms
        changed = again(first, profile)
        step = changed.step
        assert (step.kind, changed.main) == ("recorded", main_place(profile))
        assert step.arguments["mean_ms"] == pytest.approx(2.62, abs=0.01)
        assert (cannot_replay(step.arguments) is None) is proves
    assert cannot_replay({}) is None


def test_further_processes_may_write_again_what_the_first_one_has_made(trained):
    first, profile = trained
    files = {"model.keras": True, "log.csv": False}
    profile.training.written = [WrittenFile(file=name, bytes=3, new=new) for name, new in files.items()]
    assert list(again(first, profile).made) == [str(Path("model.keras").absolute())]


def test_a_step_whose_length_is_not_known_is_not_replayed(trained):
    first, profile = trained
    profile.training.wait, profile.training.unknown, profile.steps.wait_ms = None, ON_GPU, None
    with pytest.raises(ProfileError, match="on a GPU TensorFlow returns"):
        again(first, profile)
    assert "on a GPU TensorFlow returns" in FindBest._prepare(SimpleNamespace(settings=first, profile=profile))
