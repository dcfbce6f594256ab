"""The verdict: the marks, every form of the sentence, and that nothing is claimed that was not measured."""

import doctest
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles import wording as words
from pipeprof.profiles.document.findings import Verdict
from pipeprof.profiles.document.measured import Phase, Quantiles, Steps, Throughput
from pipeprof.profiles.document.memory import Memory
from pipeprof.profiles.document.messages import Message, Problem
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Causes, Headspace, OpCost, Stage
from pipeprof.profiles.document.subject import Host, Target, Tool
from pipeprof.profiles.time import verdict as module
from pipeprof.profiles.time.verdict import INPUT_BOUND_FROM, SLOW_DELETE, STEP_BOUND_BELOW, bound_of, verdict


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


def sentence(**parts: object) -> str:
    return verdict(profile(**parts)).sentence


@pytest.mark.parametrize(
    ("share", "bound"),
    [(0.0, "step"), (0.0499, "step"), (0.05, "balanced"), (0.1999, "balanced"), (0.20, "input"), (1.0, "input")],
)
def test_marks(share: float, bound: str) -> None:
    assert bound_of(share) == bound
    assert verdict(profile(steps=steps(share))).bound == bound


def test_marks_are_the_published_ones() -> None:
    assert (STEP_BOUND_BELOW, INPUT_BOUND_FROM) == (0.05, 0.20)


def test_input_bound_names_the_owner() -> None:
    stages = [
        stage("source", 0.1, op="list_files"),
        stage("stages.0", 0.7, "decode"),
        stage("stages.1", 0.2, op="batch"),
    ]
    assert sentence(steps=steps(0.5), stages=stages) == (
        "Bound by the input: with dispatch sync, the device waits for the next batch 12.2 ms of every 24.3 ms step "
        '(50 %); "decode" (map, stages.0) has 70 % of the time spent inside the pipeline.'
    )


def test_no_owner_is_named_that_a_user_cannot_act_on() -> None:
    assert "; batch (stages.1) has 90 % of" in sentence(steps=steps(), stages=[stage("stages.1", 0.9, op="batch")])
    injected = stage("injected.0", 0.9, op="prefetch", origin="injected")
    assert sentence(steps=steps(), stages=[injected]).endswith("step (50 %).")
    smaller = stage("stages.0", 0.1, op="batch")
    assert sentence(steps=steps(), stages=[smaller, injected]).endswith("step (50 %).")
    several = [stage(f"stages.{place}", 0.16 - 0.04 * place) for place in range(4)]
    assert sentence(steps=steps(), stages=several).endswith("step (50 %).")
    unknown = [stage("stages.0", None), stage("stages.1", 0.9, op="batch")]
    assert sentence(steps=steps(), stages=unknown).endswith("map (stages.0) ended before its cost could be read.")


@pytest.mark.parametrize("stages", [None, [], [stage("stages.0", None)], [stage("stages.0", 0.0)]])
def test_no_owner_without_a_model(stages: list[Stage] | None) -> None:
    assert sentence(steps=steps(0.5), stages=stages).endswith("step (50 %).")


@pytest.mark.parametrize(
    ("dispatch", "words"), [("sync", "dispatch sync"), (1, "1 step in flight"), (2, "2 steps in flight")]
)
def test_dispatch_is_named(dispatch: object, words: str) -> None:
    for share in (0.01, 0.1, 0.5):
        assert f"with {words}, the device waits" in sentence(steps=steps(share, dispatch))


@pytest.mark.parametrize(("share", "leave"), [(0.049, True), (0.05, False), (0.5, False)])
def test_leave_its_speed_alone_only_when_the_step_bounds(share: float, leave: bool) -> None:
    assert ("leave its speed alone" in sentence(steps=steps(share))) is leave


def test_a_partial_run_advises_nothing() -> None:
    text = sentence(steps=steps(0.01), complete=False, exit_code=130)
    assert text.endswith("; the pipeline keeps up.")


def test_no_step_has_its_own_sentence() -> None:
    found = verdict(
        profile(
            steps=steps(0.01, None, 1.232),
            throughput=Throughput(batches_per_second=812.4, elements_per_second=207_974.0, elements_per_batch=256),
        )
    )
    assert found.bound == "input"
    assert found.sentence == (
        "No step to feed: the pipeline alone gives 812 batches/s (208,000 elements/s, 1.23 ms per batch)."
    )


def test_no_step_and_no_rates() -> None:
    assert sentence(steps=steps(1, None, 1.25)) == "No step to feed: the pipeline alone takes 1.25 ms per batch."


@pytest.mark.parametrize(("code", "word"), [(130, "Interrupted"), (143, "Terminated")])
def test_ended_by_a_signal(code: int, word: str) -> None:
    parts = {"complete": False, "exit_code": code, "errors": [Problem(code="interrupted", message="…")]}
    assert sentence(**parts) == f"{word} in phase measure; nothing was measured."
    found = verdict(profile(steps=steps(0.5), **parts))
    assert found.bound == "input"
    assert found.sentence.startswith(f"{word} in phase measure after 412 steps. Until then bound by the input: with ")


def test_failed_names_phase_and_stage() -> None:
    problem = Problem(code="out-of-memory", message="…", stage="stages.1")
    parts = {"complete": False, "exit_code": 5, "errors": [problem], "phases": [Phase(name="first_element")]}
    assert sentence(**parts) == "Failed in phase first_element at stages.1: out of memory; nothing was measured."
    named = sentence(**parts, stages=[stage("stages.1", None, "mix", "shuffle")])
    assert named.startswith('Failed in phase first_element at "mix" (shuffle, stages.1): out of memory')


def test_an_unfinished_record_says_so() -> None:
    assert sentence(complete=False, exit_code=None).startswith("Not finished: the record stops in phase measure")


def test_no_steps_at_all() -> None:
    assert verdict(profile()).sentence == "Nothing was measured."
    assert verdict(profile(steps=steps().model_copy(update={"count": 0}))).bound is None


def test_later_quantities_stay_empty() -> None:
    found = verdict(profile(steps=steps(0.5), stages=[stage("stages.0", 1.0)]))
    assert (found.limit, found.stage, found.headspace_share) == (None, None, None)


@pytest.mark.parametrize(
    "name", [path.stem for path in (Path(__file__).parents[2] / "recorded/profiles").glob("*.json")]
)
def test_one_sentence_without_advice(name: str) -> None:
    from pipeprof.profiles.document.store import load_profile

    text = verdict(load_profile(Path(__file__).parents[2] / "recorded/profiles" / f"{name}.json")).sentence
    assert text.endswith(".")
    assert "\n" not in text
    assert not any(word in text.lower() for word in ("prefetch the", "increase", "try ", "should", "recommend"))


@given(value=st.floats(min_value=1e-9, max_value=1e15))
def test_significant_is_right_to_three_digits(value: float) -> None:
    shown = float(words.significant(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=0.00501)
    assert "e" not in words.significant(value)


@given(value=st.floats())
def test_numbers_never_raise(value: float) -> None:
    for function in (words.significant, words.percent, words.milliseconds):
        assert function(value)


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (words.significant, 9.996, "10.0"),
        (words.significant, 999.6, "1,000"),
        (words.significant, -12.345, "-12.3"),
        (words.significant, float("inf"), "n/a"),
        (words.percent, 0.0994, "9.9 %"),
        (words.percent, 0.0996, "10 %"),
        (words.percent, 1.0, "100 %"),
        (words.milliseconds, 0.0, "0 ms"),
    ],
)
def test_rounding(function: Callable[[float], str], value: float, expected: str) -> None:
    assert function(value) == expected


@pytest.mark.parametrize("one", [words, module])
def test_examples_in_the_docstrings(one: object) -> None:
    result = doctest.testmod(one)
    assert result.attempted > 0
    assert result.failed == 0


def with_restarts(wait_share: float, restart_share: float) -> Profile:
    measured = steps(wait_share)
    measured.restart_share, measured.epochs = restart_share, 10
    return profile(steps=measured)


def test_waiting_for_a_new_epoch_is_told_apart_in_the_sentence() -> None:
    found = verdict(with_restarts(0.49, 0.47))
    assert found.bound == "input"
    assert "when the dataset starts again, every" in found.sentence


def test_a_little_waiting_for_a_new_epoch_is_not_held_against_the_pipeline() -> None:
    found = verdict(with_restarts(0.06, 0.04))
    assert found.bound == "step"
    assert "starts again" not in found.sentence


def with_headspace(share: float, wait_share: float = 0.5, dispatch: object = "sync") -> str:
    worth = Headspace(interval_ms=10.0, replayed_ms=10.0 * (1 - share), share=share, speedup=1 / (1 - share), batches=4)
    return sentence(steps=steps(wait_share, dispatch), headspace=worth)


def test_headspace_says_what_a_faster_pipeline_would_be_worth() -> None:
    assert "would make it 2.0× as fast" in with_headspace(0.5)
    assert "The loop itself could take 200 batches/s" in with_headspace(0.5, dispatch=None)


def test_a_small_headspace_ends_all_advice_on_speed() -> None:
    assert "all the loop itself can take: leave its speed alone" in with_headspace(0.02, dispatch=None)
    assert with_headspace(0.02, wait_share=0.01).count("leave its speed alone") == 1


def test_what_waiting_and_headspace_say_is_brought_together_where_they_differ() -> None:
    words = "with batches that lie ready a step still takes 9.00 ms of 10.0 ms"
    assert f"would make it 1.1× as fast: {words}." in with_headspace(0.1, wait_share=0.5)
    assert "lie ready" not in with_headspace(0.1, wait_share=0.15)


def test_a_pipeline_that_keeps_up_but_ends_slowly_is_not_left_alone() -> None:
    ends = Message(code=SLOW_DELETE, message="TensorFlow took up to 2.5 s")
    found = sentence(steps=steps(0.01), warnings=[ends])
    assert "leave its speed alone" not in found
    assert "loses time between epochs (slow-delete, below)" in found


@pytest.mark.parametrize(("restart_share", "told"), [(0.8, True), (0.3, False)])
def test_without_a_step_it_is_told_where_most_of_the_time_is_an_epochs_start(restart_share: float, told: bool) -> None:
    measured = steps(1.0, None)
    measured.restart_share, measured.epochs = restart_share, 4
    found = sentence(steps=measured)
    assert ("80 % of the time passes while the dataset starts again, every 103 batches" in found) is told


@pytest.mark.parametrize("wait_share", [0.05, 0.1, 0.5])
def test_where_batches_that_lie_ready_come_no_faster_there_is_one_answer(wait_share: float) -> None:
    worth = Headspace(interval_ms=10.0, replayed_ms=9.8, share=0.02, speedup=1.02, batches=4)
    parts = {"headspace": worth, "stages": [stage("stages.0", 0.9)], "causes": Causes(worker_cores=1.9)}
    found = verdict(profile(steps=steps(wait_share), **parts))
    assert (found.bound, found.limit, found.stage) == ("step", "step", None)
    assert found.sentence.startswith("Bound by the step: with dispatch sync, the device waits for the next batch ")
    assert found.sentence.endswith(
        " %), and hardly less when batches lie ready: the pipeline keeps up, leave its speed alone."
    )


def test_nothing_holds_up_what_is_as_fast_as_the_loop() -> None:
    def found(share: float, **more: object) -> Verdict:
        worth = Headspace(interval_ms=1.0, replayed_ms=1 - share, share=share, speedup=1 / (1 - share), batches=4)
        stages = [stage("stages.0", 0.9)]
        parts = {"headspace": worth, "stages": stages, "causes": Causes(worker_cores=1.9), **more}
        return verdict(profile(steps=steps(1.0, None, 1.0), **parts))

    assert (found(0.5).limit, found(0.5).stage) == ("cpu", "stages.0")
    assert (found(0.02).limit, found(0.02).stage) == (None, None)
    assert found(0.02).sentence == (
        "No step to feed: the pipeline alone takes 1.00 ms per batch. That is all the loop itself can take: "
        "leave its speed alone."
    )
    full = {"memory": Memory(peak_bytes=95), "host": Host(system="L", machine="m", cores=2, memory_limit_bytes=100)}
    assert found(0.02, **full).limit == "memory"


def test_a_stage_that_only_the_trace_knows_is_named_without_a_share() -> None:
    traced = stage("stages.0", None, "decode").model_copy(update={"ops": [OpCost(op="DecodeJpeg", ms_per_batch=9.0)]})
    others = stage("stages.1", 1.0, op="batch").model_copy(update={"cpu_ms_per_batch": 1.0})
    assert sentence(steps=steps(), stages=[traced, others]).endswith(
        '; "decode" (map, stages.0) takes most of the time inside the pipeline, as the trace shows (its iterators had '
        "ended whenever costs were read)."
    )


def test_an_owner_whose_time_is_the_traces_is_named_so() -> None:
    traced = stage("stages.0", 0.8, "decode").model_copy(update={"timed_by": "trace"})
    others = stage("stages.1", 0.2, op="batch").model_copy(update={"timed_by": "model"})
    words = "has 80 % of the time spent inside the pipeline"
    assert sentence(steps=steps(), stages=[traced, others]).endswith(f"{words}, as the trace shows.")
    assert sentence(steps=steps(), stages=[traced]).endswith(f"{words}.")


def test_stages_that_have_as_much_are_named_with_it() -> None:
    stages = [stage("source", 0.35, op="CsvDataset"), stage("stages.0", 0.37, op="batch"), stage("stages.1", 0.28)]
    assert sentence(steps=steps(), stages=stages).endswith(
        "; batch (stages.0) and CsvDataset (source) have 37 % and 35 % of the time spent inside the pipeline."
    )


def test_where_no_stage_can_be_named_the_sentence_says_why() -> None:
    stages = [stage("source", 0.9, op="range"), stage("stages.0", None, "decode"), stage("stages.1", None)]
    text = sentence(steps=steps(), stages=stages)
    assert 'not known: "decode" (map, stages.0) and map (stages.1) ended before their costs could be read' in text
    assert "not known" not in sentence(steps=steps(), stages=[stage("stages.0", None)])


def test_steps_between_two_starts_are_a_whole_number() -> None:
    measured = steps(0.49)
    measured.restart_share, measured.epochs = 0.47, 103
    assert "starts again, every 4 steps" in sentence(steps=measured)


def test_stages_that_take_as_much_are_named_together() -> None:
    def words(*shares: float, **causes: float) -> str:
        stages = [
            Stage(id=f"stages.{place}", origin="written", op="map", share=share, cpu_ms_per_batch=20 * share)
            for place, share in enumerate(shares)
        ]
        return sentence(steps=steps(), stages=stages, causes=Causes(**causes))

    waiting = {"worker_cores": 0.1, "demanded_cores": 0.1, "blocked_share": 0.9, "disk_bytes_per_second": 0.0}
    assert "; map (stages.0) and map (stages.1) hold it up: 90 % of the time" in words(0.5, 0.45, **waiting)
    assert "; map (stages.0) holds it up: 90 % of the time" in words(0.6, 0.4, **waiting)
    # What is said of one call at a time, or of Python, is said of one stage.
    python = {"worker_cores": 1.0, "demanded_cores": 1.0, "python_share": 0.9, "blocked_share": 0.0}
    assert "; map (stages.0) holds it up: Python" in words(0.5, 0.45, **python)
