"""The verdict: the marks, every form of the sentence, and that nothing is claimed that was not measured."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeprof.profiles import wording as words
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Finding, Predicted, Verdict
from pipeprof.profiles.document.measured import Device, Throughput
from pipeprof.profiles.document.memory import LedgerEntry, Memory, MemoryGrowth
from pipeprof.profiles.document.messages import Problem
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Contention, Gaps, Phase, Quantiles, Steps
from pipeprof.profiles.document.stages import Causes, Headspace, OpCost, Stage
from pipeprof.profiles.document.subject import Host, Target, Tool
from pipeprof.profiles.time.verdict import savable_share
from pipeprof.profiles.time.waits import classify_wait
from pipeprof.profiles.time.words import conclude


def same(ms: float) -> Quantiles:
    return Quantiles(mean=ms, p50=ms, p95=ms, p99=ms, max=ms)


def steps(wait_share: float = 0.5, dispatch: object = "sync", interval: float = 24.3) -> Steps:
    return Steps(
        count=412,
        dispatch=dispatch,
        seconds=10.0,
        interval_ms=same(interval),
        wait_ms=same(interval * wait_share),
        fetch_ms=same(interval * wait_share),
        wait_share=wait_share,
    )


def stage(id_: str, share: float | None, name: str | None = None, op: str = "map", origin: str = "written") -> Stage:
    return Stage(id=id_, name=name, origin=origin, op=op, share=share)


def profile(**parts: object) -> Profile:
    base = {
        "tool": Tool(version="0"),
        "target": Target(kind="spec", text="spec.yaml"),
        "host": Host(system="Linux", machine="m", cores=2),
        "complete": True,
        "exit_code": 0,
        "phases": [Phase(name="import", seconds=1.0), Phase(name="measure", seconds=10.0)],
    }
    return Profile(**{**base, **parts})


def headline(**parts: object) -> str:
    return conclude(profile(**parts)).headline


def details(**parts: object) -> dict[str, str]:
    return {detail.label: detail.text for detail in conclude(profile(**parts)).details}


@pytest.mark.parametrize(
    ("share", "bound"),
    [(0.0, "step"), (0.0499, "step"), (0.05, "balanced"), (0.1999, "balanced"), (0.20, "input"), (1.0, "input")],
)
def test_marks(share: float, bound: str) -> None:
    assert classify_wait(share) == bound
    assert conclude(profile(steps=steps(share))).bound == bound


def test_input_bound_names_the_stage_with_most_work() -> None:
    stages = [
        stage("source", 0.1, op="list_files"),
        stage("stages.0", 0.7, "decode"),
        stage("stages.1", 0.2, op="batch"),
    ]
    found = conclude(profile(steps=steps(0.5), stages=stages))
    assert found.headline == "The device waits for data 50 % of the time: 12 of every 24 ms."
    assert [(detail.label, detail.text) for detail in found.details] == [
        ("most work", "decode (map), 70 % of the pipeline's work")
    ]
    assert found.sentence == f"{found.headline} Most work: decode (map), 70 % of the pipeline's work."
    assert (found.limit, found.stage) == (None, "stages.0")


def test_stages_of_one_function_are_named_together() -> None:
    """A function that builds a part of the pipeline was called for each of three inputs."""
    line = {"location": Location(file="/a/input.py", line=12)}
    alike = [stage(f"source.{number}.0", 0.1 + number / 100, "tokenize").model_copy(update=line) for number in range(3)]
    other = stage("stages.0", 0.13, "pack").model_copy(update={"location": Location(file="/a/input.py", line=30)})
    found = conclude(profile(steps=steps(), stages=[*alike, other]))
    assert found.stage == "source.2.0"
    assert [(detail.label, detail.text) for detail in found.details] == [
        ("most work", "tokenize ×3 (map, input.py:12), together 33 % of the pipeline's work")
    ]
    elsewhere = [
        each.model_copy(update={"location": Location(file="/a/input.py", line=n)}) for n, each in enumerate(alike)
    ]
    assert conclude(profile(steps=steps(), stages=[*elsewhere, other])).stage is None


def test_few_stages_with_about_as_much_work_are_named_where_they_have_most_of_it_together() -> None:
    shares = {"chunk": 0.24, "tokenize": 0.22, "normalize": 0.2, "filter": 0.18, "pack": 0.16}

    def named(*names: str) -> dict[str, str]:
        return details(steps=steps(), stages=[stage(f"stages.{name}", shares[name], name) for name in names])

    assert named("chunk", "tokenize", "normalize", "pack") == {
        "most work": "chunk (map), tokenize (map) and normalize (map), 24 %, 22 % and 20 % of the pipeline's work"
    }
    # Two that have less than half of it, and four that are most of the pipeline.
    assert named("chunk", "tokenize") == {}
    shares["filter"] = 0.21
    assert named("chunk", "tokenize", "normalize", "filter") == {}


def test_no_stage_is_the_verdicts_that_the_details_do_not_name() -> None:
    several = [stage(f"stages.{place}", 0.16 - 0.04 * place) for place in range(4)]
    assert conclude(profile(steps=steps(), stages=several)).stage is None
    assert conclude(profile(steps=steps(0.01), stages=[stage("stages.0", 0.9)])).stage is None
    alone = profile(steps=steps(), stages=[stage("stages.0", 0.9)], headspace=worth(0.02))
    assert conclude(alone).stage is None


def test_a_stage_has_its_place() -> None:
    placed = stage("stages.0", 0.7, "decode").model_copy(update={"location": Location(file="/a/spec.yaml", line=12)})
    found = details(steps=steps(), stages=[placed])
    assert found["most work"] == "decode (map, spec.yaml:12), 70 % of the pipeline's work"
    assert "(spec.yaml:12)" in details(steps=steps(), stages=[placed.model_copy(update={"name": None})])["most work"]


def test_no_stage_is_named_that_a_user_cannot_change() -> None:
    alone = details(steps=steps(), stages=[stage("stages.1", 0.9, op="batch")])
    assert alone["most work"] == "batch, 90 % of the pipeline's work"
    injected = stage("injected.0", 0.9, op="prefetch", origin="injected")
    assert details(steps=steps(), stages=[injected]) == {}
    smaller = stage("stages.0", 0.1, op="batch")
    assert details(steps=steps(), stages=[smaller, injected]) == {}
    several = [stage(f"stages.{place}", 0.16 - 0.04 * place) for place in range(4)]
    assert details(steps=steps(), stages=several) == {}
    unknown = [stage(f"stages.{place}", None) for place in range(2)] + [stage("stages.2", 0.9, op="batch")]
    assert "finished before their costs could be read" in details(steps=steps(), stages=unknown)["most work"]


@pytest.mark.parametrize("stages", [None, [], [stage("stages.0", None)], [stage("stages.0", 0.0)]])
def test_no_stage_is_named_without_a_model(stages: list[Stage] | None) -> None:
    assert details(steps=steps(0.5), stages=stages) == {}


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.01, "The pipeline keeps up: the device waits for data 1.0 % of the time: 0.24 of every 24 ms."),
        (0.1, "The device waits for data 10 % of the time: 2.4 of every 24 ms."),
        (0.5, "The device waits for data 50 % of the time: 12 of every 24 ms."),
    ],
)
@pytest.mark.parametrize("dispatch", ["sync", 1, 2])
def test_headlines(share: float, words: str, dispatch: object) -> None:
    assert headline(steps=steps(share, dispatch)) == words


@pytest.mark.parametrize(("share", "keeps_up"), [(0.049, True), (0.05, False), (0.5, False)])
def test_the_pipeline_keeps_up_only_when_the_step_bounds(share: float, keeps_up: bool) -> None:
    assert (headline(steps=steps(share)) or "").startswith("The pipeline keeps up") is keeps_up


@pytest.mark.parametrize(
    ("build", "first", "said"),
    [
        (14.1, 44.5, "58.6 s until the first batch: 14.1 s to build the pipeline, 44.5 s for the iterator and the"),
        (0.5, 9.4, None),
        (0.5, 9.6, "10.1 s until the first batch"),
        (None, 90.0, None),
    ],
)
def test_a_long_time_until_the_first_batch_is_stated(build: float | None, first: float, said: str | None) -> None:
    phases = [Phase(name="import", seconds=60.0), Phase(name="build", seconds=build)]
    phases += [Phase(name="first_element", seconds=first), Phase(name="measure", seconds=10.0)]
    found = details(phases=phases, steps=steps()).get("start-up")
    assert found is None if said is None else (found or "").startswith(said)


def test_a_start_that_is_longer_than_the_measurement_is_stated_with_what_is_copied() -> None:
    phases = [Phase(name="build", seconds=1.5), Phase(name="first_element", seconds=4.5)]
    constant = Finding(rule="graph-constant", title="", status="unverified", evidence={"constant_bytes": 40 << 20})
    short = replace(steps(), seconds=5.0)
    said = details(phases=phases, steps=short, findings=[constant])["start-up"]
    assert said.endswith("; TensorFlow copies 40.0 MiB of graph constants for every new iterator")
    assert "start-up" not in details(phases=phases, steps=steps(), findings=[constant])
    hurried = [Phase(name="build", seconds=0.5), Phase(name="first_element", seconds=1.0)]
    assert "start-up" not in details(phases=hurried, steps=replace(steps(), seconds=1.0))


BELOW = "every step below 24.3 ms would wait for it"


def test_a_simulated_step_of_a_spec_says_for_which_steps_the_verdict_holds() -> None:
    made = profile(steps=steps(0.5), device=Device(kind="simulate", text="simulate: 12ms"))
    assert {detail.label: detail.text for detail in conclude(made).details}[
        "step"
    ] == f"simulated step of 12 ms; {BELOW}"
    named = made.model_copy(update={"command": ["pipeprof", "run", "spec.yaml", "--step", "simulate:12ms"]})
    assert "step" not in [detail.label for detail in conclude(named).details]


def test_what_a_free_pipeline_saves_leaves_the_time_in_which_the_step_is_busy() -> None:
    # A step that is busy 314 of 1,270 ms: a replay of two batches, in which it does less, is no promise.
    measured = replace(steps(0.75, "sync", 1270.0), busy_ms=same(314.0))
    made = profile(steps=measured, headspace=worth(0.995))
    assert savable_share(made) == pytest.approx(0.753, abs=0.001)
    assert details(steps=measured, headspace=worth(0.995))["limit"].startswith("4.0× faster")
    assert savable_share(profile(steps=steps(1.0, None), headspace=worth(0.99))) == 0.99


def test_no_step_has_its_own_headline() -> None:
    found = conclude(
        profile(
            steps=steps(0.01, None, 1.232),
            throughput=Throughput(batches_per_second=812.4, elements_per_second=207_974.0, elements_per_batch=256),
        )
    )
    assert found.bound == "input"
    assert (
        found.sentence
        == found.headline
        == ("Pipeline alone: 812 batches/s (no training step given); every step below 1.23 ms would wait for it.")
    )


@pytest.mark.parametrize(("code", "word"), [(130, "Interrupted"), (143, "Terminated")])
def test_ended_by_a_signal(code: int, word: str) -> None:
    parts = {"complete": False, "exit_code": code, "errors": [Problem(code="interrupted", message="…")]}
    found = conclude(profile(steps=steps(0.5), **parts))
    assert found.bound == "input"
    assert found.headline == f"{word} in phase measure after 412 steps."
    assert found.sentence == (
        f"{word} in phase measure after 412 steps. Until then: the device waits for data 50 % of the time: "
        "12 of every 24 ms."
    )


def test_a_headline_that_was_told_stays_whatever_comes_later() -> None:
    parts = {"complete": False, "exit_code": 130, "errors": [Problem(code="interrupted", message="…")]}
    found = conclude(profile(steps=steps(0.5), **parts), "Input-bound: as it was known.")
    assert found.headline == "Input-bound: as it was known."
    assert (found.details[0].label, found.details[0].text) == ("ended", "Interrupted in phase measure after 412 steps")
    full = {"memory": Memory(peak_bytes=95), "host": Host(system="L", machine="m", cores=2, memory_limit_bytes=100)}
    for told, shown in (("Memory: 95 B. Input-bound: so.", False), ("Input-bound: so.", True)):
        found = conclude(profile(steps=steps(0.5), **full, findings=[finding("memory")]), told)
        assert found.headline == told
        assert ("memory" in [detail.label for detail in found.details]) is shown


PHASES = ("import", "data", "build", "first_element", "warmup", "measure")
UNKNOWN = "rate, waiting and memory of the pipeline are unknown"


@pytest.mark.parametrize("code", ["interrupted", "hung"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_run_that_was_stopped_before_its_first_step_says_how_far_it_came_and_no_more(phase: str, code: str) -> None:
    """Whatever had been sampled or predicted by then: no step ran, so no share, owner or peak means anything."""
    ran = [Phase(name=name, seconds=2.0) for name in PHASES[: PHASES.index(phase)]]
    found = conclude(
        profile(
            complete=False,
            exit_code={"interrupted": 130, "terminated": 143}.get(code, 5),
            errors=[Problem(code=code, message="…")],
            phases=[*ran, Phase(name=phase, peak_rss_bytes=3 * 10**9)],
            memory=Memory(
                baseline_bytes=400 * 10**6,
                peak_bytes=3 * 10**9,
                ledger=[LedgerEntry(owner="shuffle", stage="stages.0", bytes=10**9, how="predicted")],
                growth=MemoryGrowth(leak=True),
            ),
            host=Host(system="Linux", machine="m", cores=2, memory_limit_bytes=4 * 10**9),
            stages=[stage("stages.0", 1.0)],
            findings=[finding("memory", 10**9)],
            headspace=Headspace.of(20.0, 5.0, 4),
            causes=Causes(worker_cores=2.0),
        )
    )
    word = {"interrupted": "Interrupted", "terminated": "Terminated"}.get(code, "Failed")
    first = "measured step" if phase in ("warmup", "measure") else "batch"
    if phase == "measure" and word != "Failed":
        first = "reported step"
    phase = words.phase_words(phase)
    assert found.headline.startswith(f"{word} in phase {phase}, before the first {first}")
    passed = [words.phase_words(one.name) for one in ran]
    took = ", ".join(f"{name} 2.00 s" for name in passed)
    took = took.replace(f", {passed[-1]} ", f" and {passed[-1]} ") if passed else ""
    known = f"{took}; " if took else ""
    assert [(detail.label, detail.text) for detail in found.details] == [
        ("known", f"{known}{phase} had not ended; {UNKNOWN}")
    ]
    assert (found.bound, found.limit, found.stage, found.headspace_share) == (None, None, None, None)
    assert not any(word in found.sentence for word in ("%", "peak", "GiB", "GB"))


def test_a_first_batch_that_came_is_not_denied() -> None:
    ran = [Phase(name="build", seconds=1.0), Phase(name="first_element", seconds=3.0)]
    assert headline(complete=False, exit_code=130, phases=ran).endswith("before the first measured step.")


def test_memory_that_ended_a_run_before_its_first_step_is_its_reason() -> None:
    parts = {"complete": False, "exit_code": 5, "phases": [Phase(name="first_element")]}
    held = Memory(baseline_bytes=400 * 10**6, peak_bytes=3 * 10**9)
    failed = profile(errors=[Problem(code="out-of-memory", message="…")], memory=held, **parts)
    assert [detail.label for detail in conclude(failed).details] == ["memory"]
    raised = profile(errors=[Problem(code="raised", message="…")], memory=held, **parts)
    assert conclude(raised).details == []


def test_failed_names_phase_and_stage() -> None:
    problem = Problem(code="out-of-memory", message="…", stage="stages.1")
    parts = {"complete": False, "exit_code": 5, "errors": [problem], "phases": [Phase(name="first_element")]}
    rest = "in phase first element, before the first batch: out of memory."
    assert headline(**parts) == f"Failed {rest}"
    placed = Problem(code="out-of-memory", message="…", stage="stages.1", file="train.py", line=8)
    assert headline(**{**parts, "errors": [placed]}) == f"Failed at train.py:8 {rest}"
    named = headline(**parts, stages=[stage("stages.1", None, "mix", "shuffle")])
    assert named == f"Failed at mix (shuffle) {rest}"


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        ("script", "exited", "the script exited"),
        ("script", "raised", "the script raised an error"),
        ("script", "hung", "it hangs"),
        ("function", "exited", "the worker ended by itself"),
    ],
)
def test_a_script_ends_by_itself(kind: str, code: str, reason: str) -> None:
    target = Target.model_validate({"kind": kind, "text": "train.py"})
    parts = {"complete": False, "exit_code": 5, "errors": [Problem(code=code, message="…")]}
    assert headline(**parts, target=target, phases=[Phase(name="build")]).endswith(f": {reason}.")


@pytest.mark.parametrize(
    "said",
    [
        "The script raised an exception at train.py:41, phase measure after 8 steps: JaxRuntimeError: "
        "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4.00TiB with allocator GPU_0_bfc on device 0.",
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 16384.00 GiB. GPU 0 has a capacity of 139.80 GiB",
        "ResourceExhaustedError: OOM when allocating tensor with shape[9] on /device:GPU:0 by allocator GPU_0_bfc",
        "ValueError: no GPU, out of memory of ideas",
    ],
)
def test_memory_that_a_gpu_refused_is_that_of_the_gpu(said: str) -> None:
    parts = {"complete": False, "exit_code": 5, "errors": [Problem(code="step-raised", message=said)]}
    words = headline(**parts, phases=[Phase(name="build")]).rpartition(": ")[2]
    refused = "the memory of the GPU was not enough."
    assert words == ("the step raised an error." if "ValueError" in said else refused)


def test_an_unfinished_record_says_so() -> None:
    assert headline(complete=False, exit_code=None).startswith("Not finished: the record stops in phase measure")


def test_no_steps_at_all() -> None:
    assert conclude(profile()).sentence == "Nothing was measured."
    assert conclude(profile(steps=replace(steps(), count=0))).bound is None


@pytest.mark.parametrize(
    "name", [path.stem for path in (Path(__file__).parents[2] / "recorded/profiles").glob("*.json")]
)
def test_one_sentence_without_advice(name: str) -> None:
    from pipeprof.profiles.document.store import load_profile

    text = conclude(load_profile(Path(__file__).parents[2] / "recorded/profiles" / f"{name}.json")).sentence
    assert text.endswith(".")
    assert "\n" not in text
    assert not any(word in text.lower() for word in ("prefetch the", "increase", "try ", "should", "recommend"))


def with_restarts(wait_share: float, restart_share: float) -> Profile:
    measured = steps(wait_share)
    measured.restart_share, measured.epochs = restart_share, 10
    return profile(steps=measured)


def test_restarts_are_stated_where_they_are_most_of_the_waiting() -> None:
    found = conclude(with_restarts(0.49, 0.47))
    assert found.bound == "input"
    assert found.headline == (
        "The device waits for data 49 % of the time: 12 of every 24 ms; restarts of the dataset take 47 % of the time."
    )
    assert [(detail.label, detail.text) for detail in found.details] == [
        (
            "restarts",
            "10 restarts, 470 ms each; measure more data or, if training has no more, add `repeat()` before `batch` "
            "and give `fit` `steps_per_epoch`, which then ends the epochs",
        )
    ]


def test_a_little_waiting_for_a_new_epoch_is_not_held_against_the_pipeline() -> None:
    found = conclude(with_restarts(0.06, 0.04))
    assert found.bound == "step"
    assert found.headline == (
        "The pipeline keeps up: within an epoch the device waits for data 2.1 % of the time, 6.0 % with the restarts."
    )
    assert found.details == []


@pytest.mark.parametrize(("restart_share", "stated"), [(0.28, True), (0.04, False)])
def test_restarts_without_a_step(restart_share: float, stated: bool) -> None:
    measured = steps(1.0, None)
    measured.restart_share, measured.epochs = restart_share, 48
    stages = [stage("stages.0", 0.2, op="batch")]
    found = conclude(profile(steps=measured, stages=stages))
    clause = "; restarts of the dataset take 28 % of the time" if stated else ""
    alone = "Pipeline alone: 24.3 ms per batch (no training step given); every step below 24.3 ms would wait for it"
    assert found.headline == f"{alone}{clause}."
    fix = (
        "measure more data or, if training has no more, add `repeat()` before `batch` and give `fit` "
        "`steps_per_epoch`, which then ends the epochs"
    )
    told = [("restarts", f"48 restarts, 58.3 ms each; {fix}")] if stated else []
    assert [(detail.label, detail.text) for detail in found.details] == told


def worth(share: float) -> Headspace:
    return Headspace(interval_ms=10.0, replayed_ms=10.0 * (1 - share), share=share, speedup=1 / (1 - share), batches=4)


def at_best(share: float, wait_share: float = 0.5, dispatch: object = "sync", **more: object) -> str | None:
    found = details(steps=steps(wait_share, dispatch), headspace=worth(share), **more)
    return found.get("limit", found.get("speed"))


def test_headspace_is_what_a_free_pipeline_would_bring() -> None:
    assert at_best(0.5) == "2.0× faster, if no step waited for data"
    without = {"steps": steps(0.5, None), "headspace": worth(0.5)}
    assert headline(**without).endswith(f"per batch (no training step given); {BELOW}.")
    assert details(**without) == {}


def test_headspace_without_waiting_is_no_gain_from_the_pipeline() -> None:
    # The device was idle for other reasons, such as other processes on its cores.
    assert details(steps=steps(0.02), headspace=worth(0.25)) == {}


def traced(unknown: str | None = None, seconds: float | None = 2.0, **by_cause: float) -> Device:
    gaps = Gaps(count=40, by_cause=by_cause, seconds=seconds)  # type: ignore[arg-type]
    return Device(kind="jax", on="gpu", idle_share=0.6, gaps=gaps, gaps_unknown=unknown)


def test_a_device_that_idles_for_other_reasons_than_the_pipeline_has_a_line() -> None:
    found = details(steps=steps(0.02), device=traced(pipeline=0.1, sync=0.8, op=0.3))
    assert found["device"] == (
        "idles 60 % of its traced time, 55 % not for the pipeline; most of that: waits for results"
    )


@pytest.mark.parametrize(
    "device",
    [
        traced(pipeline=1.1, sync=0.05),
        traced(seconds=None, pipeline=0.1, sync=1.1),
        traced("cannot say: the clocks disagree", sync=1.1),
        None,
    ],
    ids=["the pipeline", "by the loop's clock", "cannot say", "no device"],
)
def test_without_a_trace_that_shows_it_no_line_is_about_the_device(device: Device | None) -> None:
    assert "device" not in details(steps=steps(0.02), device=device)


@pytest.mark.parametrize("wait_share", [0.05, 0.1, 0.5])
def test_where_preloaded_batches_come_no_faster_there_is_one_answer(wait_share: float) -> None:
    parts = {"headspace": worth(0.02), "stages": [stage("stages.0", 0.9)], "causes": Causes(worker_cores=1.9)}
    found = conclude(profile(steps=steps(wait_share), **parts))
    assert (found.bound, found.limit, found.stage) == ("step", "step", None)
    assert found.headline.endswith(", and barely less with preloaded batches.")
    assert [detail.label for detail in found.details] == ["speed"]


def test_a_stage_that_only_the_trace_knows_is_named_without_a_share() -> None:
    traced = stage("stages.0", None, "decode").model_copy(update={"ops": [OpCost(op="DecodeJpeg", ms_per_batch=9.0)]})
    others = stage("stages.1", 1.0, op="batch").model_copy(update={"cpu_ms_per_batch": 1.0})
    found = details(steps=steps(), stages=[traced, others])
    assert found["most work"] == "decode (map), by the trace (it had finished when costs were read)"


def finding(family: str, saved: int | None = None, status: str = "unverified") -> Finding:
    predicted = Predicted(peak_rss_delta_bytes=-saved) if saved is not None else None
    return Finding(rule="r", title="t", family=family, status=status, predicted=predicted)


def memory_detail(**parts: object) -> str | None:
    """What the verdict says of memory, also in its headline.

    With 300 MiB of TensorFlow's own, 700 MiB of the pipeline, and a limit of 8 GiB.
    """
    whole = {
        "steps": steps(0.01),
        "memory": Memory(baseline_bytes=300 << 20, peak_bytes=1000 << 20),
        "host": Host(system="L", machine="m", cores=2, memory_limit_bytes=8 << 30),
        **parts,
    }
    headline = conclude(profile(**whole)).headline or ""
    _, memory, rest = headline.partition("Memory: ")
    return details(**whole).get("memory", rest.partition(". The pipeline keeps up")[0] if memory else None)


def test_memory_is_named_where_a_finding_is_about_it() -> None:
    assert memory_detail() is None
    assert memory_detail(findings=[finding("speed", 115 << 20)]) is None
    both = [finding("speed"), finding("memory", 115 << 20)]
    assert memory_detail(findings=both) == "1,000 MiB at the peak"
    assert memory_detail(findings=[finding("memory", 115 << 20, "rejected")]) is None


def test_memory_is_named_where_it_is_large() -> None:
    entries = [
        LedgerEntry(owner="runtime", bytes=300 << 20, how="measured"),
        LedgerEntry(owner="source", stage="source", bytes=900 << 20, how="measured"),
        LedgerEntry(owner="shuffle", stage="stages.0", bytes=600 << 20, how="measured"),
    ]
    large = Memory(baseline_bytes=300 << 20, peak_bytes=2000 << 20, ledger=entries)
    stages = [stage("source", 0.5, op="from_tensor_slices"), stage("stages.0", 0.5, op="shuffle")]
    assert memory_detail(memory=large, stages=stages) == (
        "1.95 GiB at the peak; 1.66 GiB above TensorFlow itself; largest: from_tensor_slices, 900 MiB"
    )
    tight = Host(system="L", machine="m", cores=2, memory_limit_bytes=2 << 30)
    above = "700 MiB above TensorFlow itself, 34 % of the limit"
    assert memory_detail(host=tight) == f"1,000 MiB at the peak; {above}"


def test_a_leak_is_named() -> None:
    growth = MemoryGrowth(leak=True)
    leaking = Memory(baseline_bytes=300 << 20, peak_bytes=400 << 20, growth=growth)
    assert (memory_detail(memory=leaking) or "").endswith("; memory grows")
    growth.bytes, growth.steps = 30 << 20, 10
    assert (memory_detail(memory=leaking) or "").endswith("; memory grows by 3.00 MiB a step")
    growth.leak = False
    assert memory_detail(memory=leaking) is None


@pytest.mark.parametrize(
    ("command", "given"),
    [
        (["pipeprof", "run", "spec.yaml"], " (simulated step of 12 ms, as in the spec)"),
        (["pipeprof", "run", "spec.yaml", "--step", "simulate:12ms"], " (simulated step of 12 ms)"),
        (["pipeprof", "run", "spec.yaml", "--step=simulate:12ms"], " (simulated step of 12 ms)"),
    ],
)
def test_a_headline_about_a_device_that_is_simulated_says_so(command: list[str], given: str) -> None:
    found = conclude(profile(steps=steps(0.5), device=Device(kind="simulate", text="simulate: 12ms"), command=command))
    assert found.headline == f"The device waits for data 50 % of the time: 12 of every 24 ms{given}."
    real = conclude(profile(steps=steps(0.5), device=Device(kind="keras", text="keras: a.py:model"), command=command))
    assert real.headline.endswith("12 of every 24 ms.")


def test_a_step_that_init_has_made_up_is_named_with_its_line() -> None:
    invented = Device(kind="simulate", text="simulate: 20ms", from_init=Location(file="/w/spec.yaml", line=21))
    found = conclude(profile(steps=steps(0.5), device=invented, command=["pipeprof", "run", "spec.yaml"]))
    (text,) = [detail.text for detail in found.details if detail.label == "step"]
    assert text.startswith("simulated step of 20 ms from init: put your own in spec.yaml:21; every step below")


def memory_first(memory: Memory, *, wait_share: float, dispatch: object = "sync", **more: object) -> Verdict:
    return conclude(profile(steps=steps(wait_share, dispatch), memory=memory, **more))


def test_the_headline_speaks_of_memory_first_where_memory_is_the_problem() -> None:
    growth = MemoryGrowth(leak=True)
    leaking = Memory(baseline_bytes=300 << 20, peak_bytes=400 << 20, growth=growth)
    found = memory_first(leaking, wait_share=0.5)
    assert found.headline == (
        "Memory: 400 MiB at the peak; memory grows. The device waits for data 50 % of the time: 12 of every 24 ms."
    )
    assert not [detail for detail in found.details if detail.label == "memory"]
    large = Memory(baseline_bytes=300 << 20, peak_bytes=2000 << 20)
    assert memory_first(large, wait_share=0.01).headline.startswith("Memory: 1.95 GiB at the peak; ")
    assert memory_first(large, wait_share=0.0, dispatch=None).headline.startswith("Memory: 1.95 GiB")
    # A device that waits comes first, unless the limit is near.
    assert memory_first(large, wait_share=0.5).headline.startswith("The device waits")
    near = Host(system="L", machine="m", cores=2, memory_limit_bytes=2200 << 20)
    assert memory_first(large, wait_share=0.5, host=near).headline.startswith("Memory: ")
    small = Memory(baseline_bytes=300 << 20, peak_bytes=400 << 20)
    assert memory_first(small, wait_share=0.01).headline.startswith("The pipeline keeps up")


def test_whether_it_was_disturbed_is_unknown_where_nobody_counts() -> None:
    assert conclude(profile(steps=steps())).disturbed is None
    free = Contention(worker_cores=1.0, others_cores=0.0, runnable_wait_share=0.1)
    assert conclude(profile(steps=steps(), contention=free)).disturbed is False


def test_restarts_that_are_all_of_the_waiting_leave_no_other_bottleneck() -> None:
    measured = steps(0.49)
    measured.restart_share, measured.epochs = 0.47, 10
    full = Causes(worker_cores=1.9)
    found = conclude(profile(steps=measured, causes=full, stages=[stage("stages.0", 0.9)]))
    assert (found.limit, [detail.label for detail in found.details]) == (None, ["restarts"])
