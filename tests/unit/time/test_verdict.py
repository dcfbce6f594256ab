"""The verdict: its decisions by value, its sentences in a golden file; nothing is claimed that was not measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.view.views import same

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Finding, Predicted, Verdict
from pipeprof.profiles.document.memory import Device, LedgerEntry, Memory, MemoryGrowth, Throughput
from pipeprof.profiles.document.profile import Host, Problem, Profile, Target, Tool
from pipeprof.profiles.document.shared import Contention, Gaps, Phase, Steps, Training
from pipeprof.profiles.document.stages import Causes, CpuAccount, Headspace, OpCost, Stage
from pipeprof.profiles.document.store import load_profile
from pipeprof.profiles.time.verdict import classify_wait, most_gain, savable_share
from pipeprof.profiles.time.words import conclude

RECORDED = Path(__file__).parents[2] / "recorded/profiles"
MIB, GIB = 1 << 20, 1 << 30
PHASES = ("import", "data", "build", "first_element", "warmup", "measure")


def steps(wait_share: float = 0.5, dispatch: object = "sync", interval: float = 24.3, **more: Any) -> Steps:
    ms = same(interval * wait_share)
    given = {"count": 412, "seconds": 10.0, "interval_ms": same(interval), "wait_ms": ms, "fetch_ms": ms, **more}
    return Steps(dispatch=dispatch, wait_share=wait_share, **given)


def stage(id_: str, share: float | None, name: str | None = None, op: str = "map", **more: Any) -> Stage:
    return Stage.model_validate({"id": id_, "name": name, "origin": "written", "op": op, "share": share, **more})


def profile(**parts: Any) -> Profile:
    base: dict[str, Any] = {
        "tool": Tool(version="0"),
        "target": Target(kind="spec", text="spec.yaml"),
        "host": Host(system="Linux", machine="m", cores=2),
        "complete": True,
        "exit_code": 0,
        "phases": [Phase(name="import", seconds=1.0), Phase(name="measure", seconds=10.0)],
    }
    return Profile(**{**base, **parts})


def concluded(**parts: Any) -> Verdict:
    return conclude(profile(**parts))


def labels(**parts: Any) -> list[str]:
    return [detail.label for detail in concluded(**parts).details]


def worth(share: float) -> Headspace:
    return Headspace(interval_ms=10.0, replayed_ms=10.0 * (1 - share), share=share, speedup=1 / (1 - share), batches=4)


def finding(family: str, status: str = "unverified", **more: Any) -> Finding:
    predicted = Predicted(peak_rss_delta_bytes=-115 * MIB)
    given = {"rule": "r", "title": "t", "family": family, "status": status, "predicted": predicted}
    return Finding.model_validate(given | more)


def ended(code: str, exit_code: int = 5, **more: Any) -> dict[str, Any]:
    problem = Problem.model_validate({"code": code, "message": "…", **more})
    return {"complete": False, "exit_code": exit_code, "errors": [problem]}


def traced(unknown: str | None = None, seconds: float | None = 2.0, **by_cause: float) -> Device:
    gaps = Gaps(count=40, by_cause=by_cause, seconds=seconds)  # type: ignore[arg-type]
    return Device(kind="jax", on="gpu", idle_share=0.6, gaps=gaps, gaps_unknown=unknown)


DECODE = stage("stages.0", 0.9, "decode", cpu_ms_per_batch=15.0, parallelism=2.0)
BUSY = {
    "stages": [DECODE],
    "contention": Contention(worker_cores=0.6, others_cores=1.4, runnable_wait_share=0.7),
    "causes": Causes(worker_cores=0.6),
}
"""Two busy processes beside the worker."""
FULL = {
    "stages": [
        stage("stages.0", 0.7, "decode", cpu_ms_per_batch=30.0, parallelism=4.0, tf_op="ParallelMapDatasetV2"),
        stage("stages.1", 0.3, "resize", cpu_ms_per_batch=12.0, parallelism=4.0, tf_op="ParallelMapDatasetV2"),
    ],
    "cpu": CpuAccount(total_ms=46.2, stages_ms=42.0, runtime_ms=4.2),
    "causes": Causes(worker_cores=1.9),
}
"""1.9 of 2 cores compute for 46 ms in steps of 24 ms."""
SIMULATED = {"device": Device(kind="simulate", text="simulate: 12ms"), "command": ["pipeprof", "run", "spec.yaml"]}
LEAK = MemoryGrowth(leak=True)
LARGE = Memory(
    baseline_bytes=300 * MIB,
    peak_bytes=2000 * MIB,
    ledger=[
        LedgerEntry(owner="runtime", bytes=300 * MIB, how="measured"),
        LedgerEntry(owner="source", stage="source", bytes=900 * MIB, how="measured"),
        LedgerEntry(owner="shuffle", stage="stages.0", bytes=600 * MIB, how="measured"),
    ],
)
SLOW = [Phase(name="build", seconds=14.1), Phase(name="first_element", seconds=44.5), Phase(name="measure")]
PLACED = stage("stages.0", 0.7, "decode", location=Location(file="/a/spec.yaml", line=12))
SCRIPT = Target(kind="script", text="train.py")
COPIED = Finding(rule="graph-constant", title="", status="unverified", evidence={"constant_bytes": 40 * MIB})
SENTENCES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "keeps up": {"steps": steps(0.01)},
    "balanced": {"steps": steps(0.1)},
    "input-bound, one stage has most": {
        "steps": steps(), "stages": [stage("source", 0.1, op="list_files"), stage("stages.0", 0.7, "decode"),
                                     stage("stages.1", 0.2, op="batch")]},
    "with its place": {"steps": steps(), "stages": [PLACED]},
    "only the trace knows it": {
        "steps": steps(), "stages": [stage("stages.0", None, "decode", ops=[OpCost(op="DecodeJpeg", ms_per_batch=9.0)]),
                                     stage("stages.1", 1.0, op="batch", cpu_ms_per_batch=1.0)]},
    "two of unknown cost": {
        "steps": steps(), "stages": [stage("stages.0", None), stage("stages.1", None), stage("stages.2", 0.9)]},
    "no step": {"steps": steps(0.01, None, 1.232), "throughput": Throughput(batches_per_second=812.4)},
    "a simulated step of the spec": {"steps": steps(), **SIMULATED},
    "a simulated step of the command": {
        "steps": steps(), **SIMULATED, "command": ["pipeprof", "run", "--step=simulate:12ms"]},
    "a step that init has made up": {
        "steps": steps(), **SIMULATED,
        "device": Device(kind="simulate", text="simulate: 20ms", from_init=Location(file="/w/spec.yaml", line=21))},
    "a gain": {"steps": steps(), "headspace": worth(0.5)},
    "preloaded batches are no faster": {"steps": steps(), "headspace": worth(0.02), **FULL},
    "restarts": {"steps": steps(0.49, restart_share=0.47, epochs=10)},
    "restarts within what a step waits": {"steps": steps(0.06, restart_share=0.04, epochs=10)},
    "restarts without a step": {"steps": steps(1.0, None, restart_share=0.28, epochs=48)},
    "all cores, and more would do": {"steps": steps(0.4, busy_ms=same(14.58)), **FULL},
    "all cores, without a step": {"steps": steps(1.0, None), **FULL},
    "no stage stands out": {
        "steps": steps(1.0, None), **FULL, "stages": [stage("stages.0", 0.9, "decode", cpu_ms_per_batch=8.0)],
        "cpu": CpuAccount(total_ms=46.2, stages_ms=8.0, runtime_ms=38.2)},
    "disturbed": {"steps": steps(), **BUSY},
    "disturbed, and keeps up": {"steps": steps(0.01), **BUSY},
    "disturbed, without a step": {"steps": steps(1.0, None), **BUSY},
    "a device that idles for other reasons": {"steps": steps(0.02), "device": traced(pipeline=0.1, sync=0.8, op=0.3)},
    "a script whose wait is not known": {
        "steps": replace(steps(), wait_share=None, wait_ms=None), "target": SCRIPT,
        "training": Training(consumer="fit", unknown="why", interval="mean")},
    "a script": {"steps": steps(), "target": SCRIPT},
    "a slow start": {"steps": steps(), "phases": SLOW, "findings": [COPIED]},
    "large memory": {"steps": steps(), "memory": LARGE, "stages": [stage("source", 0.5), stage("stages.0", 0.5)]},
    "memory that leaks": {"steps": steps(), "memory": Memory(baseline_bytes=0, peak_bytes=400 * MIB, growth=LEAK)},
    "interrupted": {"steps": steps(), **ended("interrupted", 130)},
    "terminated before a step": {
        **ended("terminated", 143), "phases": [Phase(name="build", seconds=2.0), Phase(name="first_element")]},
    "killed at a stage": {
        **ended("out-of-memory", stage="source"), "stages": [stage("source", None, "mix", "shuffle")]},
    "killed at a line": ended("out-of-memory", file="train.py", line=8),
    "a script that ends by itself": {**ended("exited"), "target": SCRIPT},
    "a GPU that refuses memory": ended("step-raised", message="OutOfMemoryError: CUDA out of memory. Tried to"),
    "an unfinished record": {"complete": False, "exit_code": None},
}  # fmt: skip


def test_golden(golden: Callable[[str, str], None]) -> None:
    texts = [f"{name}:\n  {concluded(**parts).sentence}\n" for name, parts in SENTENCES.items()]
    golden("verdict/sentences.txt", "".join(texts))


@pytest.mark.parametrize(
    ("share", "bound"),
    [(0.0, "step"), (0.0499, "step"), (0.05, "balanced"), (0.1999, "balanced"), (0.20, "input"), (1.0, "input")],
)
def test_marks(share: float, bound: str) -> None:
    assert classify_wait(share) == bound
    assert concluded(steps=steps(share)).bound == bound


SHARES = {"chunk": 0.24, "tokenize": 0.22, "normalize": 0.2, "pack": 0.16}


@pytest.mark.parametrize(
    ("stages", "named"),
    [
        pytest.param(None, None, id="no stages"),
        pytest.param([stage("stages.0", None)], None, id="no cost is known"),
        pytest.param([stage("stages.0", 0.0)], None, id="no cost"),
        pytest.param([stage("source", 0.1), stage("stages.0", 0.7)], "stages.0", id="one has most"),
        pytest.param([stage(f"stages.{n}", 0.16 - 0.04 * n) for n in range(4)], None, id="none has much"),
        pytest.param([stage(name, share) for name, share in SHARES.items()], "chunk", id="three have most together"),
        pytest.param([stage("chunk", 0.24), stage("tokenize", 0.22)], None, id="two have less than half"),
        pytest.param([stage("a", 0.1), stage("injected.0", 0.9, origin="injected")], None, id="TensorFlow's own"),
        pytest.param(
            [stage("stages.0", 0.24), stage("stages.1", 0.22), stage("stages.2", 0.01, op="filter", inputs_each=20.0)],
            "stages.0",
            id="two have less than half, and what they make is dropped",
        ),
    ],
)
def test_without_a_limit_the_stages_with_most_work_are_named(stages: list[Stage] | None, named: str | None) -> None:
    found = concluded(steps=steps(), stages=stages)
    assert (found.limit, found.stage) == (None, named)
    assert (concluded(steps=steps(0.01), stages=stages).stage) is None
    assert (concluded(steps=steps(), stages=stages, headspace=worth(0.02)).stage) is None


def test_a_limit_is_found_only_where_steps_wait_for_the_pipeline() -> None:
    full = concluded(steps=steps(0.4), **FULL)
    assert (full.bound, full.limit, full.stage) == ("input", "cpu", "stages.0")
    free = concluded(steps=steps(0.4), headspace=worth(0.02), **FULL)
    assert (free.bound, free.limit, free.stage) == ("step", "step", None)
    between = concluded(steps=steps(0.49, restart_share=0.47, epochs=10), **FULL)
    assert (between.bound, between.limit) == ("input", None)
    host = Host(system="L", machine="m", cores=2, memory_limit_bytes=100)
    alone = steps(1.0, None, 10.0)
    assert concluded(steps=alone, headspace=worth(0.02), memory=Memory(peak_bytes=95), host=host).limit == "memory"


def test_disturbance_is_known_unknown_or_none() -> None:
    assert concluded(steps=steps(), **BUSY).disturbed is True
    assert concluded(steps=steps()).disturbed is None
    free = Contention(worker_cores=1.0, others_cores=0.0, runnable_wait_share=0.1)
    assert concluded(steps=steps(), contention=free).disturbed is False


def test_no_gain_is_stated_that_may_be_the_end_of_a_disturbance() -> None:
    """Steps of 1 ms next to busy processes: preloaded batches, measured later, came a sixth faster."""
    gains = [most_gain(profile(steps=steps(wait, 1), headspace=worth(1 / 6), **BUSY)) for wait in (0.075, 0.2)]
    assert gains == [float("inf"), pytest.approx(1.2)]


def test_what_a_free_pipeline_saves_leaves_the_time_in_which_the_step_is_busy() -> None:
    # A step that is busy 314 of 1,270 ms: a replay of two batches, in which it does less, is no promise.
    made = profile(steps=steps(0.75, "sync", 1270.0, busy_ms=same(314.0)), headspace=worth(0.995))
    assert savable_share(made) == pytest.approx(0.753, abs=0.001)
    assert most_gain(made) == pytest.approx(4.04, abs=0.01)
    assert savable_share(profile(steps=steps(1.0, None), headspace=worth(0.99))) == 0.99


@pytest.mark.parametrize(
    ("build", "first", "window", "stated"),
    [(14.1, 44.5, 10.0, True), (0.5, 9.4, 10.0, False), (0.5, 9.6, 10.0, True), (None, 90.0, 10.0, False),
     (1.5, 4.5, 5.0, True), (0.5, 1.0, 1.0, False)],
)  # fmt: skip
def test_a_long_time_until_the_first_batch_is_stated(build, first, window, *, stated):
    phases = [Phase(name="import", seconds=60.0), Phase(name="build", seconds=build)]
    phases.append(Phase(name="first_element", seconds=first))
    assert ("start-up" in labels(phases=phases, steps=steps(seconds=window))) is stated


@pytest.mark.parametrize(
    "device",
    [traced(pipeline=1.1, sync=0.05), traced(seconds=None, pipeline=0.1, sync=1.1),
     traced("cannot say: the clocks disagree", sync=1.1), None],
    ids=["the pipeline", "by the loop's clock", "cannot say", "no device"],
)  # fmt: skip
def test_without_a_trace_that_shows_it_no_line_is_about_the_device(device: Device | None) -> None:
    assert "device" not in labels(steps=steps(0.02), device=device)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        pytest.param({}, None, id="small"),
        pytest.param({"findings": [finding("speed")]}, None, id="a finding on speed"),
        pytest.param({"findings": [finding("memory")]}, "detail", id="a finding on memory"),
        pytest.param({"findings": [finding("memory", "rejected")]}, None, id="that was rejected"),
        pytest.param({"memory": LARGE}, "first", id="large"),
        pytest.param({"memory": LARGE, "steps": steps(0.5)}, "detail", id="large, and steps wait"),
        pytest.param({"memory": LARGE, "steps": steps(0.5), "limit": 2200 * MIB}, "first", id="near the limit"),
        pytest.param({"limit": 2 * GIB}, "first", id="a third of the limit"),
        pytest.param({"memory": Memory(baseline_bytes=0, peak_bytes=9, growth=LEAK)}, "first", id="a leak"),
    ],
)
def test_memory_is_stated_where_it_is_a_problem(parts: dict[str, Any], said: str | None) -> None:
    """TensorFlow has 300 MiB, the pipeline 700 MiB, of 8 GiB."""
    host = Host(system="L", machine="m", cores=2, memory_limit_bytes=parts.pop("limit", 8 * GIB))
    memory = Memory(baseline_bytes=300 * MIB, peak_bytes=1000 * MIB)
    found = concluded(**{"steps": steps(0.01), "memory": memory, "host": host, **parts})
    detail = any(one.label == "memory" for one in found.details)
    assert ("first" if found.headline.startswith("Memory: ") else "detail" if detail else None) == said


def test_a_headline_that_was_told_stays_whatever_comes_later() -> None:
    found = conclude(profile(steps=steps(0.5), **ended("interrupted", 130)), "As it was known.")
    assert (found.headline, found.details[0].label) == ("As it was known.", "ended")
    full = {"memory": Memory(peak_bytes=95), "host": Host(system="L", machine="m", cores=2, memory_limit_bytes=100)}
    for told, shown in (("Memory: 95 B. So.", False), ("So.", True)):
        found = conclude(profile(steps=steps(0.5), **full, findings=[finding("memory")]), told)
        assert found.headline == told
        assert ("memory" in [detail.label for detail in found.details]) is shown


@pytest.mark.parametrize("code", ["interrupted", "hung"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_run_that_was_stopped_before_its_first_step_says_how_far_it_came_and_no_more(phase: str, code: str) -> None:
    """Whatever had been sampled or predicted by then: no step ran, so no share, owner or peak means anything."""
    ran = [Phase(name=name, seconds=2.0) for name in PHASES[: PHASES.index(phase)]]
    found = concluded(
        **ended(code, 130 if code == "interrupted" else 5),
        phases=[*ran, Phase(name=phase, peak_rss_bytes=3 * 10**9)],
        memory=LARGE.model_copy(update={"growth": LEAK}),
        stages=[stage("stages.0", 1.0)],
        findings=[finding("memory")],
        headspace=worth(0.5),
        causes=Causes(worker_cores=2.0),
    )
    assert [detail.label for detail in found.details] == ["known"]
    assert (found.bound, found.limit, found.stage, found.headspace_share) == (None, None, None, None)
    assert not any(word in found.sentence for word in ("%", "peak", "GiB", "GB"))


def test_memory_that_ended_a_run_before_its_first_step_is_its_reason() -> None:
    parts = {"phases": [Phase(name="first_element")], "memory": LARGE}
    assert labels(**ended("out-of-memory"), **parts) == ["memory"]
    assert labels(**ended("raised"), **parts) == []


REFUSED = {
    "JaxRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4 TiB with allocator GPU_0": True,
    "OutOfMemoryError: CUDA out of memory. Tried to allocate 16384.00 GiB. GPU 0 has a capacity of 139.80": True,
    "ResourceExhaustedError: OOM when allocating tensor with shape[9] on /device:GPU:0 by allocator GPU_0_": True,
    "ValueError: no GPU, out of memory of ideas": False,
}


@pytest.mark.parametrize("said", REFUSED)
def test_memory_that_a_gpu_refused_is_that_of_the_gpu(said: str) -> None:
    found = concluded(**ended("step-raised", message=said), phases=[Phase(name="build")])
    assert ("GPU" in found.headline) is REFUSED[said]


@pytest.mark.parametrize("name", [path.stem for path in RECORDED.glob("*.json")])
def test_one_sentence_without_advice(name: str) -> None:
    text = conclude(load_profile(RECORDED / f"{name}.json")).sentence
    assert text.endswith(".")
    assert "\n" not in text
    assert not any(word in text.lower() for word in ("prefetch the", "increase", "try ", "should", "recommend"))
