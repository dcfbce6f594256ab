"""Verify made-up findings of a small spec, and print what they are; arguments: ``FOLDER BUDGET [FINDING …]``."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeprof.pipelines.changes.edits import InsertStage, SetArgument, to_document
from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.steps.step import parse_step
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.experiment.evidence import Evidence
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.verify import trials
from pipeprof.profiles.verify.judge_edit import Judgement, judge
from pipeprof.profiles.verify.verify import verify

SPEC = """\
version: 1
name: sleeper
source: {range: {stop: 1000000}}
stages:
  - map: {name: work, ops: [tf.cast: {dtype: float32}, tf.math.square], num_parallel_calls: 1}
  - batch: {batch_size: 8}
"""
WAITS = """\
import time

import tensorflow as tf


def wait(number):
    time.sleep(0.005)
    return number


def load(number):
    return tf.ensure_shape(tf.numpy_function(wait, [number], tf.int64), [])
"""
WAITING_SPEC = (
    SPEC.replace("ops: [tf.cast: {dtype: float32}, tf.math.square]", 'python: "waits.py:load"')
    .replace("batch_size: 8", "batch_size: 2")
    .replace(", num_parallel_calls: 1", "")
    + "options: {experimental_optimization: {inject_prefetch: false, map_and_batch_fusion: false}}\n"
)
"""Its step waits as long as its map, and TensorFlow adds nothing that works ahead."""
AHEAD = InsertStage("prefetch", {"buffer_size": 2}, "stages.1")
FINDINGS = {
    "parallel": (SetArgument("stages.0", "map", "num_parallel_calls", 2), "same"),
    "other-batches": (SetArgument("stages.1", "batch", "batch_size", 4), "same"),
    "other-values": (
        SetArgument("stages.0", "map", "ops", [{"tf.cast": {"dtype": "int32"}}, "tf.math.square"]),
        "values",
    ),
    "no-such-stage": (SetArgument("stages.9", "map", "num_parallel_calls", 2), "same"),
    "raises": (SetArgument("source", "range", "stop", 0), "same"),
    "without-edit": (None, "values"),
    "without-edit-too": (None, "values"),
}
RECORDED = Path(__file__).parents[2] / "recorded" / "profiles" / "input-bound.json"


class Progress:
    """Notes go to stderr."""

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        del rate, total
        print("tick", done, file=sys.stderr, flush=True)

    def phase(self, name: str, seconds: float | None) -> None:
        del seconds
        self.note(name)

    def standing(self, words: str) -> None: ...

    def ends_in(self, seconds: float | None, what: str = "") -> None: ...

    def data(self, name: str, done: int, total: int) -> None: ...

    def close(self) -> None: ...


def kept_whatever_it_gains(evidence: Evidence, semantics: Any, **about: Any) -> Judgement:
    """A verdict that does not depend on the machine."""
    return replace(judge(evidence, semantics, **about), status="kept", settled=len(evidence.ratios()) >= 6)


def main() -> None:
    folder, budget, *names = sys.argv[1:]
    # What is measured here does not matter.
    vars(QUICK).update(warm_seconds=0.2, block_seconds=0.05)
    path = Path(folder, "spec.yaml")
    overlap = "overlap" in names
    path.write_text(WAITING_SPEC if overlap else SPEC)
    Path(folder, "waits.py").write_text(WAITS)
    # A step waits, so that the cores are free for other tests.
    step = parse_step("simulate:10ms" if overlap else "simulate:3ms")
    profile = Profile.model_validate_json(RECORDED.read_text())
    assert profile.steps is not None
    profile.steps.interval_ms.mean = 1.0
    profile.memory.peak_bytes = 600 << 20
    assert profile.verdict is not None
    profile.verdict.bound = "step"  # Nothing else than the findings is tried.
    profile.stages = [
        Stage(id=address, name=name, origin="written", op=op)
        for address, name, op in (("source", None, "range"), ("stages.0", "work", "map"), ("stages.1", None, "batch"))
    ]
    profile.findings = [
        Finding(
            rule=name,
            title=name,
            status="unverified",
            family="speed",
            in_spec=edit is not None,
            edit=Edit.model_validate(to_document(edit)) if edit is not None else None,
            semantics=semantics,
            stage=stage,
        )
        for name in names
        if name in FINDINGS
        for edit, semantics in [FINDINGS[name]]
        for stage in ["stages.0" if name.startswith("without-edit") else None]
    ]
    if overlap:
        assert profile.device is not None
        trials.judge = kept_whatever_it_gains
        profile.steps.interval_ms.mean, profile.steps.dispatch, profile.device.kind = 20.0, "sync", "simulate"
        ahead = Edit.model_validate(to_document(AHEAD))
        profile.findings = [
            Finding(
                rule="overlap", title="overlap", status="unverified", family="speed", in_spec=True,
                semantics="same", edit=ahead,
            )
        ]  # fmt: skip
    settings = RunSettings(
        parse_target(str(path)),
        check_spec(path),
        ["pipeprof"],
        lock=False,
        **({"step": step, "dispatch": "sync"} if step else {}),
    )
    writer = ProfileWriter([Path(folder, "saved.json")])
    verify(profile, settings, float(budget), Progress(), save=lambda: writer.write(profile))
    found = {finding.rule: finding.model_dump() for finding in profile.findings}
    print(
        json.dumps(
            {"findings": found, "exit_code": profile.exit_code, "verification": profile.verification.model_dump()}
        )
    )
