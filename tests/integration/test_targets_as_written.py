"""Targets as users write them, in scripts and tutorials that know nothing of pipeprof."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf
from absl import flags
from integration import forked
from integration.test_targets import USERS, Recorder, job, said_there, sampled, stages_of

from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.worker.error_report import describe_error
from pipeprof.profiles.worker.pipeline import call_target, import_early
from pipeprof.profiles.worker.sample import JobRun

TUTORIAL = USERS / "tutorial.py"


@pytest.fixture(autouse=True)
def _as_a_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test imports the file afresh; the flags that it defines go with it."""
    monkeypatch.setattr(sys, "argv", [str(TUTORIAL)])
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "tutorial", raising=False)
    yield
    for name in [one for one in flags.FLAGS if one.startswith("flowers_")]:
        flags.FLAGS.remove_flag_values([name])
    flags.FLAGS.unparse_flags()


def elements(function: str, **arguments: str) -> list[object]:
    dataset = call_target(f"{TUTORIAL}:{function}", arguments.items()).dataset
    return [one.tolist() if hasattr(one, "tolist") else one.decode() for one in dataset.as_numpy_iterator()]


def test_a_class_an_object_and_a_method_that_give_datasets() -> None:
    assert elements("Artificial", count="2") == [0, 1]
    assert elements("made_at_import") == [[0, 1, 2], [3, 4, 5]]
    assert elements("Flowers.train") == [[0, 1], [2, 3]]
    assert elements("Flowers.eval") == [[0, 1]]
    assert said_there(stages_of(f"{TUTORIAL}:Artificial")["source"]).startswith("from_generator(")


@pytest.mark.parametrize("function", ["step_of_three", "with_model"])
def test_a_step_that_does_not_fit_is_told_before_anything_is_measured(function: str) -> None:
    with pytest.raises(UsageError, match=function):
        call_target(f"{TUTORIAL}:{function}")


def test_a_file_is_run_as_it_would_be_beside_files_with_the_names_of_pythons_own(tmp_path: Path) -> None:
    for name in ("random", "queue", "types", "trace", "tensorflow", "pipeprof"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('of the user')\n")
    program = str(Path(sys.executable).with_name("pipeprof"))
    options = ["--step", "simulate:10ms", "--steps", "20", "--no-verify", "-q", "--out", "p.json"]
    done = subprocess.run(
        [program, "run", f"{TUTORIAL}:from_options", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    profile = Profile.model_validate_json((tmp_path / "p.json").read_text())
    assert profile.output == "command line: [] random: random True"
    assert "flags" in [one.code for one in profile.warnings]


@pytest.mark.parametrize(("function", "code"), [("leaves", "sys.exit("), ("step_that_raises", "raise ValueError")])
def test_what_ends_a_run_has_its_line(function: str, code: str, tmp_path: Path) -> None:
    done = forked.run(["run", f"{TUTORIAL}:{function}", "--no-verify", "-q", "--out", "p.json"], tmp_path)
    assert done.returncode == 5
    (problem,) = Profile.model_validate_json((tmp_path / "p.json").read_text()).errors
    line = next(n for n, one in enumerate(TUTORIAL.read_text().splitlines(), 1) if code in one)
    assert (problem.file, problem.line) == (str(TUTORIAL), line)


@pytest.mark.parametrize(
    ("function", "line"),
    [
        ("missing_file", "TFRecordDataset("),
        ("broken_image", ".map(lambda text:"),
        ("broken_in_a_function", ".map(tf.io.decode_image"),
    ],
)
def test_what_tensorflow_raises_has_the_line_of_the_stage(function: str, line: str) -> None:
    sample = JobRun(job(f"{TUTORIAL}:{function}"), Recorder())
    with pytest.raises(tf.errors.OpError) as caught:
        sample.run()
    # The frames of this test count as the user's as well.
    said = describe_error(caught.value.with_traceback(None), sample)
    assert line in TUTORIAL.read_text().splitlines()[said.frame.line - 1]
    assert said.frame.file == str(TUTORIAL)


def test_why_a_graph_cannot_be_read_is_said_without_nodes() -> None:
    reason = sampled(f"{TUTORIAL}:on_a_device").one("graphs").written["reason"]
    assert "GeneratorDatasetOp" in reason
    assert "{{" not in reason


def test_without_eager_execution_there_is_one_sentence(tmp_path: Path) -> None:
    done = forked.run(["run", f"{TUTORIAL}:without_eager", "--no-verify", "-q", "--out", "p.json"], tmp_path)
    assert done.returncode == 2
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


def test_a_setting_in_a_function_that_is_not_called_at_import_imports_nothing_early(tmp_path: Path) -> None:
    late, early = tmp_path / "late_settings.py", tmp_path / "early_settings.py"
    setting = "    tf.config.set_soft_device_placement(True)\n"
    late.write_text(
        "# set_memory_growth(gpu, True)\nimport tensorflow as tf\n"
        f"def make():\n{setting}    return tf.data.Dataset.range(3)\n"
    )
    early.write_text(f"import tensorflow as tf\ndef configure():\n{setting}configure()\ndef make(): ...\n")
    assert import_early(f"{late}:make") == []
    assert [code for code, _ in import_early(f"{early}:make")] == ["imported-early"]
