"""What a user is told of a spec that could not be built, and whose fault it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.errors import PipelineFailedError, PipeprofError, UsageError
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.harness.look import NotMadeError, error_of
from pipeprof.profiles.protocol.options import LookAnswer

SPEC = "version: 1\nsource: {range: {stop: 9}}\nstages:\n  - map: {ops: [tf.abs, tf.square]}\n"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (LookAnswer(None, "spec", "no", "stages.0", "ops.1"), SpecError, "spec.yaml:4:25: error[build]: no"),
        (LookAnswer(None, "spec", "no", "options"), SpecError, "spec.yaml:1:1: error[build]: no"),
        (
            LookAnswer(None, "python", "no", "stages.0", lines=["f.py:3 in f: x"]),
            PipelineFailedError,
            "    f.py:3 in f",
        ),
        (LookAnswer(None, "python", "sys.exit(3)"), PipelineFailedError, "spec.yaml: sys.exit(3)"),
        (LookAnswer(None, "target", "no parameter"), UsageError, "no parameter"),
        (LookAnswer(None, "ended", "SIGABRT"), PipelineFailedError, "ended (SIGABRT); `pipeprof check --no-build`"),
        (LookAnswer(None, "unmade", "no", "source"), NotMadeError, "`pipeprof run spec.yaml` makes the data"),
        (
            LookAnswer(None, "installation", "no TensorFlow"),
            PipeprofError,
            "no TensorFlow; `pipeprof check --no-build`",
        ),
    ],
)
def test_whose_fault_it_is(answer, kind, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC)
    error = error_of(answer, "spec.yaml", load_spec(Path("spec.yaml")))
    assert type(error) is kind
    assert said in str(error)
