"""Rules about training scripts: each fires on its flaw and is silent on its twin, and states what was observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from unit.advise.training_views import (
    FLAWS,
    OTHER_FLAWS,
    REBUILT,
    SAVED,
    TWINS,
    VALIDATED,
    in_a_module,
    in_fit,
    paced,
    place,
    traced,
    trained,
    validated,
)
from unit.advise.views import function, measured, pipeline, stage

from pipeprof.pipelines.static.slips import Slip
from pipeprof.profiles.advise.advise import advise, findings_for
from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.advise.text.loops import calls_in_loop, iterated_at, reads_in_loop
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.view.view import PipelineView

ALL = {**{name: (name, make) for name, make in FLAWS.items()}, **OTHER_FLAWS}
IN_TRAINING = {name: rule for name, rule in rules().items() if rule.in_training}


def found(view: PipelineView) -> set[str]:
    findings, messages = advise(view, rules=IN_TRAINING)
    assert not messages
    return {finding.rule for finding in findings}


def test_nothing_is_shuffled_before_a_source() -> None:
    view = FLAWS["shuffle-refilled"]()
    generator = stage("source", "from_generator", function=function("rows"), ms=9.0, line=2)
    _, _, shuffle, *rest = view.stages
    without_map = replace(view, stages=(generator, replace(shuffle, inputs=("source",)), *rest))
    (finding,) = advise(without_map, rules=IN_TRAINING)[0]
    assert "Repeat before" in finding.recommendation
    assert finding.python is not None
    assert "repeat().shuffle(100)" in finding.python


@pytest.mark.parametrize(("batches", "epochs", "together"), [(4000, 4, 50), (4000, 125, 32), (4000, 0, 50)])
def test_no_more_steps_are_put_into_a_call_than_an_epoch_has(batches: int, epochs: int, together: int) -> None:
    view = paced(in_fit({"batches": batches}, apart_ms=0.1, last="batch", epochs=epochs), 0.6)
    (finding,) = advise(view, rules=IN_TRAINING)[0]
    assert finding.python == f"model.compile(..., steps_per_execution={together})"
    assert f"steps_per_execution={together}." in finding.recommendation


def test_an_epoch_of_one_step_is_a_call_already() -> None:
    assert found(paced(in_fit({"batches": 4000}, apart_ms=0.1, last="batch", epochs=4000), 0.6)) == set()


def test_every_rule_has_a_flaw() -> None:
    assert FLAWS.keys() == IN_TRAINING.keys()


@pytest.mark.parametrize("name", ALL)
def test_a_flaw_is_found_alone_with_its_line_and_its_cost(name: str) -> None:
    rule, make = ALL[name]
    view = make()
    findings, _ = advise(view, rules=IN_TRAINING)
    assert [finding.rule for finding in findings] == [rule]
    (finding,) = findings
    if name != "callback-of-keras":
        assert finding.location is not None
        assert finding.location.file == "train.py"
    assert finding.recommendation
    # A change was not tried: nothing of it is called measured.
    assert finding.status == "unverified"
    assert finding.measured is None
    assert finding.predicted is None or "at most" in (finding.predicted.formula or "") or not finding.predicted.speedup


@pytest.mark.parametrize(("rule", "make"), TWINS)
def test_a_twin_is_silent(rule: str, make: Callable[[], PipelineView]) -> None:
    assert rule not in found(make())


def only(view: PipelineView) -> Finding:
    (finding,) = advise(view, rules=IN_TRAINING)[0]
    return finding


def test_a_name_of_a_function_of_another_module_counts() -> None:
    finding = only(in_a_module("def make():\n    unused = made()\n", 2))
    assert (finding.rule, finding.evidence["name"]) == ("unused-dataset", "unused")


def test_code_is_given_only_where_it_runs() -> None:
    def code(view: PipelineView) -> str | None:
        return only(view).python

    savers = {
        "tensorflow.train.Checkpoint.write": "Checkpoint(...).write(..., options=options)",
        "tensorflow.train.CheckpointManager.save": "CheckpointManager(...).save(options=options)",
        "keras.Model.save": None,
        "torch.save": None,
    }
    for name, call in savers.items():
        found = code(trained(**{**SAVED, "saver": place(name)}))
        assert found is None if call is None else (found or "").endswith(call)
    assert code(FLAWS["two-iterators"]()) is None
    assert "reduce_retracing" in (code(FLAWS["retraced-step"]()) or "")
    assert code(OTHER_FLAWS["made-anew"][1]()) is None
    library = traced(name="one_step_on_data", traces=40, trace_seconds=3.0)
    assert code(trained(functions=[library])) is None
    assert "async_safe" in (code(FLAWS["waits-for-results"]()) or "")
    assert code(OTHER_FLAWS["callback-of-keras"][1]()) is None


def test_advice_fits_what_was_seen() -> None:
    assert only(OTHER_FLAWS["made-anew"][1]()).recommendation == "Make it once, before the loop."
    assert only(OTHER_FLAWS["epoch-ends"][1]()).title != only(FLAWS["training-stalls"]()).title
    assert "if it only stores or prints" in (only(FLAWS["waits-for-results"]()).recommendation or "")
    unknown = only(in_fit(callbacks=[place("LossHistory")]))
    assert unknown.evidence == {"callback": "LossHistory"}
    assert only(trained({**REBUILT, "seeded": True})).semantics == "order"
    assert only(trained({**REBUILT, "seeded": False})).semantics == "same"


def test_a_cache_of_the_validation_saves_its_fetches_but_the_first() -> None:
    """4 validations of 1 s, of which 0.75 s are fetches: 2.25 of 10 s of training."""
    predicted = only(FLAWS["validation-again"]()).predicted
    assert predicted is not None
    assert predicted.speedup == pytest.approx(1 / (1 - 0.225))
    without = only(in_fit(None, validated(datasets=4, equal=True, fetch_seconds=None), **VALIDATED))
    assert without.predicted is None


def test_a_healthy_training_and_a_function_are_silent() -> None:
    assert found(replace(trained(), texts={})) == set()
    assert found(measured(pipeline(stage("source", "range"), stage("stages.0", "map", ms=4.0)))) == set()


def test_what_a_device_waits_does_not_count() -> None:
    """The wait is small, or unknown: what the training costs was observed all the same."""
    view = FLAWS["retraced-step"]()
    assert view.profile is not None
    assert view.profile.steps is not None
    idle = replace(view.profile.steps, wait_share=0.0)
    assert found(replace(view, profile=view.profile.model_copy(update={"steps": idle}))) == {"retraced-step"}


def test_without_a_graph_the_training_is_judged_all_the_same() -> None:
    profile = FLAWS["retraced-step"]().profile
    assert profile is not None
    findings, _ = findings_for(profile)
    assert [finding.rule for finding in findings or []] == ["retraced-step"]


def test_the_measured_rule_takes_the_place_of_the_text() -> None:
    slip = Slip("first-again", "next(iter(dataset))", "iter", "dataset", Path("train.py"), 4, 9)
    both = {name: rules()[name] for name in ("first-again", "iterator-each-step")}
    for make, rule in ((FLAWS["iterator-each-step"], "iterator-each-step"), (trained, "first-again")):
        findings, _ = advise(replace(make(), slips=(slip,)), rules=both)
        assert [finding.rule for finding in findings] == [rule]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("    loss = step(x)\n    print(loss.numpy())\n", [3]),
        ("    a, loss = step(x)\n    total += loss.item()\n", [3]),
        ("    if n % 100 == 0:\n        print(float(step(x)))\n", []),
        ("    rows = x.numpy()\n    step(rows)\n", []),
        ("    with timer:\n        history.append(float(step(x)))\n", [3]),
        ("    size = int(length(x))\n", []),
    ],
)
def test_reads_of_each_step(body: str, lines: list[int]) -> None:
    reads = reads_in_loop(f"for x in dataset:\n{body}", 1, {"step"})
    assert [read.line for read in reads] == lines


def test_functions_of_a_loop_and_texts_that_are_no_python() -> None:
    text = "def step(x): ...\ndef log(x): ...\nwhile True:\n    x = next(it)\n    log(step(x))\n    print(x)\n"
    assert calls_in_loop(text, 4) == (3, ["log", "step"])
    assert calls_in_loop("for", 1) is None
    assert reads_in_loop("for", 1) == []


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("for x in ds.take(3):\n    step(x)\n", 1, "ds.take(3)"),
        ("for x in tqdm(enumerate(self.ds)):\n    step(x)\n", 1, "self.ds"),
        ("x = next(\n    iter(\n        ds.batch(2)\n    )\n)\n", 3, "ds.batch(2)"),
        ("for x, y in zip(a, b):\n    step(x)\n", 1, ""),
        ("for x in ds:\n    step(x)\n", 2, ""),
        ("for", 1, ""),
    ],
)
def test_what_a_loop_iterates_is_as_written(text: str, line: int, name: str) -> None:
    assert iterated_at(text, line) == name


@pytest.mark.parametrize("rule", ["iterator-each-step", "python-between-steps", "waits-for-results"])
@pytest.mark.parametrize(
    ("head", "written"),
    [("for batch in self.rows.take(9):", "self.rows.take(9)"), ("for batch in zip(dataset, others):", "...")],
)
def test_code_iterates_what_the_loop_does(rule: str, head: str, written: str) -> None:
    view = OTHER_FLAWS["loss-read"][1]() if rule == "waits-for-results" else FLAWS[rule]()
    text = view.texts["train.py"].replace("for batch in dataset:", head)
    finding = only(replace(view, texts={"train.py": text}))
    assert finding.rule == rule
    assert f"({written}" in (finding.python or "")
    assert "dataset" not in (finding.python or "")
    if rule == "iterator-each-step":
        assert ("of the dataset before" in (finding.recommendation or "")) == (written == "...")


def with_rhythm(own_ms: float, slow_ms: float) -> PipelineView:
    view = FLAWS["python-between-steps"]()
    assert view.profile is not None
    assert view.profile.training is not None
    assert view.profile.steps is not None
    training = replace(view.profile.training, own_ms=own_ms)
    steps = replace(view.profile.steps, slow_every=20, slow_ms=slow_ms)
    text = "def log(): ...\ndef snapshot(): ...\n\nfor batch in dataset:\n    log()\n    if n:\n        snapshot()\n"
    return replace(
        view, texts={"train.py": text}, profile=view.profile.model_copy(update={"steps": steps, "training": training})
    )


def test_python_in_each_twentieth_step_is_named_by_that_rhythm() -> None:
    finding = only(with_rhythm(6.0, 130.0))
    assert finding.sentence == (
        "Every 20 steps the loop at train.py:4 takes 130 ms, in others 10.0 ms at the median: in Python, for at least "
        "6.00 ms a step (60 %), outside of tf.functions and fetches. It calls snapshot()."
    )
    assert finding.recommendation == "Call snapshot() less often than every 20 steps, or in a thread of its own."
    assert "number % 200 == 0" in (finding.python or "")


def test_more_than_a_step_takes_is_spent_between_epochs() -> None:
    assert advise(with_rhythm(600.0, 40.0), rules=IN_TRAINING)[0] == []


def test_python_in_every_step_is_named_whatever_the_rhythm_of_the_others() -> None:
    finding = only(with_rhythm(6.0, 40.0))
    assert "It calls log()." in finding.sentence
    assert "number % 100 == 0" in (finding.python or "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model.compile(\n    'adam',\n    run_eagerly=True,\n)\nmodel.fit(dataset)\n", 3),
        ("model.run_eagerly = True\nmodel.fit(dataset)\n", 1),
        ("one.compile(run_eagerly=False)\nmodel.compile(run_eagerly=debug)\nmodel.fit(dataset)\n", 2),
        ("model = made(eager=True)\nmodel.fit(dataset)\n", 12),
    ],
)
def test_an_argument_is_named_where_it_is_written(text: str, line: int) -> None:
    view = in_fit(eager=[place("run_eagerly=True")])
    finding = only(replace(view, texts={"train.py": text}))
    assert (finding.rule, finding.location.line if finding.location else 0) == ("functions-eager", line)
    assert f"`run_eagerly=True` in train.py:{line}" in finding.sentence
