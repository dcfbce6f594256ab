"""A pipeline in another environment, which has TensorFlow and what that needs, and nothing that pipeprof needs."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.target.import_path import child_command
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.harness.harness import run_sample
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.judge import other_python as module
from pipeprof.profiles.judge.other_python import BROUGHT, other_python

OF_PIPEPROF = ("pipeprof", "typer", *BROUGHT)
SPEC = """version: 1
source: {range: {stop: 100000}}
stages:
  - map: {python: "f.py:where"}
  - batch: {batch_size: 8}
  - repeat: {}
"""
FUNCTION = """
import sys

import tensorflow as tf

print("measured in", sys.prefix, tf.__file__)


def where(x):
    return x + 1
"""


def environment(folder: Path) -> Path:
    """An environment with what this one has, but for what only pipeprof needs."""
    venv.create(folder, symlinks=True)
    here, there = (Path(sysconfig.get_path("purelib", vars=paths)) for paths in ({}, _paths(folder)))
    for entry in here.iterdir():
        if not entry.name.startswith(OF_PIPEPROF) and not (there / entry.name).exists():
            (there / entry.name).symlink_to(entry)
    return folder / "bin" / "python"


def _paths(folder: Path) -> dict[str, str]:
    return {"base": str(folder), "platbase": str(folder)}


def test_a_spec_is_measured_by_another_python_that_lacks_what_pipeprof_needs(tmp_path: Path) -> None:
    python = environment(tmp_path / "other")
    (tmp_path / "f.py").write_text(FUNCTION)
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    (tmp_path / "links").mkdir()
    settings = RunSettings(
        target=ParsedTarget("spec", path),
        loaded=check_spec(path, []),
        steps=20,
        warmup_seconds=0.1,
        lock=False,
        interpreter=other_python(str(python), tmp_path / "links", spec=True),
    )
    profile = run_sample(settings, ProfileWriter([tmp_path / "profile.json"]), Silent())
    assert (profile.exit_code, profile.errors) == (0, [])
    assert f"measured in {tmp_path / 'other'} {tmp_path / 'other'}" in (profile.output or "")
    assert profile.versions["tensorflow"] is not None
    assert profile.steps is not None
    assert profile.steps.count == 20


def test_this_python_lacks_nothing_and_takes_no_module_of_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    found = other_python(sys.executable, tmp_path / "links", spec=True)
    (tmp_path / "json.py").write_text("raise SystemExit('from the current folder')")
    command = child_command(module.__name__, interpreter=found)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["lacking"] == []


def test_the_worker_of_a_function_imports_nothing_that_only_pipeprof_needs() -> None:
    refused = f"""
import sys

class Refuse:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {[*BROUGHT, "rich", "typer"]}:
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import pipeprof.profiles.worker.copies.fork_server, pipeprof.profiles.worker.turns.turn_run
"""
    done = subprocess.run([sys.executable, "-c", refused], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
