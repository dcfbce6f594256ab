"""Stores documents of the installed minor version: ``python tests/recorded/versions/store.py``, on an idle machine.

Later versions must load them (`tests/unit/test_promises.py`). Profiles of a run and of a search, the result of a
comparison, a baseline and a plan, of one small pipeline, without names of this machine. Takes about five minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from pipeprof.cli.private import private_of
from pipeprof.pipelines.edits.plan import read_plan, write_plan
from pipeprof.profiles.document.store import encode, load_profile
from pipeprof.profiles.judge.saved import is_result, load_result
from pipeprof.profiles.redaction.document import redact

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from unit.plan_documents import edits as every_edit
from unit.plan_documents import plan

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SPEC = """\
version: 1
name: promised
source:
  range: {stop: 100000}
stages:
  - map: {name: noise, ops: [{tf.cast: {dtype: float32}}, tf.sin], num_parallel_calls: 1}
  - batch: {batch_size: 256}
step: {simulate: 2ms}
"""
CODE = """\
import tensorflow as tf

def wave(x):
    return tf.sin(tf.cast(x, tf.float32))

def make():
    return tf.data.Dataset.range(100000).map(wave).batch(256)
"""
COMMANDS = {
    "profile.json": ("run", "spec.yaml", "--seconds", "1", "--budget", "40"),
    "fix.json": ("fix", "train.py:make", "--step", "simulate:2ms", "--budget", "40"),
    "result.json": ("compare", "spec.yaml", "spec.yaml", "--b-set", "stages.noise.num_parallel_calls=2"),
    "baseline.json": ("gate", "spec.yaml", "--update-baseline", "--baseline", "baseline.json"),
}


def main() -> None:
    """Run the commands, and store what they write."""
    folder = HERE / ".".join(version("pipeprof").split(".")[:2])
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "spec.yaml").write_text(SPEC, encoding="utf-8")
        (work / "train.py").write_text(CODE, encoding="utf-8")
        for name, arguments in COMMANDS.items():
            out = () if name in arguments else ("--out", name)
            command = [sys.executable, "-m", "pipeprof", *arguments, *out, "--max-time", "240"]
            done = subprocess.run(command, cwd=work, stdout=subprocess.DEVNULL, check=False)
            print(name, "exit code", done.returncode)
            private = private_of(work, Path.home(), {}, ())
            path = work / name
            document = load_result(path) if is_result(path) else load_profile(path)
            compact = json.dumps(
                json.loads(encode(redact(document, private))), separators=(",", ":"), ensure_ascii=False
            )
            (folder / name).write_text(f"{compact}\n", encoding="utf-8")
    # A search finds few kinds of edits; this plan has one of each kind that a plan can hold.
    text = write_plan(read_plan(json.dumps(plan(*every_edit())), "x"))
    (folder / "changes.plan.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
