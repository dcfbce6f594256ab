"""Work whose results are thrown away, as the verdict states it."""

from __future__ import annotations

import pytest

from pipeprof.cli.report.rows import rows_per_line, write_inputs
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.subject import Host, Target, Tool
from pipeprof.profiles.time.limits.thrown_away import describe_thrown_away
from pipeprof.profiles.time.limits.user_calls import count_inputs


def stage(address: str, op: str, share: float = 0.0, **more: object) -> Stage:
    return Stage.model_validate({"id": address, "origin": "written", "op": op, "share": share, **more})


def told(*stages: Stage) -> str:
    return describe_thrown_away(
        Profile(
            tool=Tool(version="1"),
            target=Target(kind="spec", text="a.yaml"),
            host=Host(system="Linux", machine="x86_64", cores=2),
            stages=list(stages),
        )
    )


def dropped(op: str, each: float, by: str = "graph", share: float = 0.98) -> str:
    return told(
        stage("source", "range"),
        stage("stages.0", "map", share, name="tokenize"),
        stage("stages.1", op, 0.01, inputs_each=each, inputs_each_by=by),
        stage("stages.2", "batch", inputs_each=8.0, inputs_each_by="graph"),
    )


@pytest.mark.parametrize(
    ("op", "each", "by", "words", "percent"),
    [
        ("shard", 4.0, "graph", "of 4 elements that tokenize (map) makes, 3 are dropped by shard", 74),
        ("filter", 20.2, "counters", "of about 20 elements that tokenize (map) makes, 19 are dropped by filter", 93),
        ("filter", 2.5, "epochs", "of about 25 elements that tokenize (map) makes, 15 are dropped by filter", 59),
        ("skip", 1.25, "graph", "20 % of the elements that tokenize (map) makes are dropped by skip", 20),
        ("filter", 1.05, "counters", "", 0),
        ("filter", 0.9, "counters", "", 0),
        ("window", 32.0, "counters", "", 0),
    ],
)  # fmt: skip
def test_elements_that_are_made_and_dropped(op: str, each: float, by: str, words: str, percent: int) -> None:
    assert dropped(op, each, by) == (f"{words}: {percent} % of the pipeline's work" if words else "")


def test_copies_of_a_stage_in_another_branch_are_not_dropped() -> None:
    line = {"name": "load", "location": Location(file="/a/input.py", line=4, column=8)}
    text = told(
        stage("source", "sample_from_datasets"),
        stage("source.inputs.0.source", "range"),
        stage("source.inputs.0.stages.0", "map", 0.1, elements=600, **line),
        stage("source.inputs.1.source", "range"),
        stage("source.inputs.1.stages.0", "map", 0.8, elements=5400, **line),
        stage("source.inputs.1.stages.1", "filter", 0.01, inputs_each=10.0, inputs_each_by="epochs", elements=540),
    )
    # 4,860 of 6,000; the work is that of the branch.
    assert text == (
        "of about 53 elements that load (map, input.py:4) makes, 43 are dropped by filter: 72 % of the pipeline's work"
    )


def test_what_is_cheap_before_it_may_be_dropped() -> None:
    assert dropped("shard", 4.0, share=0.1) == ""


def test_what_comes_after_it_is_not_thrown_away() -> None:
    assert (
        told(
            stage("source", "range"),
            stage("stages.0", "shard", inputs_each=4.0, inputs_each_by="graph"),
            stage("stages.1", "map", 0.98, name="tokenize"),
        )
        == ""
    )


def test_the_sides_of_what_is_before_it_count_and_a_call_of_the_users_is_named() -> None:
    place = Location(file="input.py", line=5, column=3, call="rejection_resample")
    text = told(
        stage("source", "sample_from_datasets", location=place),
        stage("source.inputs.1.source", "zip", depth=1, location=place),
        stage("source.inputs.1.source.inputs.1.source", "range", depth=2),
        stage("source.inputs.1.source.inputs.1.stages.0", "map", 0.8, name="load", depth=2),
        stage("source.inputs.1.stages.1", "filter", 0.02, depth=1, location=place, inputs_each=10.0),
        stage("stages.0", "map", 0.1, name="augment"),
    )
    assert text == (
        "of about 10 elements that load (map) makes, 9 are dropped by rejection_resample (its filter, input.py:5): "
        "72 % of the pipeline's work"
    )


def test_a_call_that_reads_its_input_twice_drops_of_all_that_is_made_for_it() -> None:
    """Of 6,000 elements that both copies make 1,200 come out: the filter of one copy drops more of its own."""
    place = Location(file="input.py", line=5, column=3, call="rejection_resample")
    side = "source.inputs.1.source.inputs.1"
    stages = [
        stage("source", "sample_from_datasets", location=place, elements=1200),
        stage("source.inputs.0.source", "range", depth=1, elements=650),
        stage("source.inputs.0.stages.0", "map", 0.1, name="load", depth=1, elements=650),
        stage("source.inputs.0.stages.1", "map", depth=1, location=place, elements=650),
        stage("source.inputs.1.source", "zip", depth=1, location=place, elements=5350),
        stage(f"{side}.source", "range", depth=2, elements=5350, same_as="source.inputs.0.source"),
        stage(f"{side}.stages.0", "map", 0.7, name="load", depth=2, elements=5350, same_as="source.inputs.0.stages.0"),
        stage("source.inputs.1.stages.0", "map", 0.1, depth=1, location=place, elements=5350),
        stage("source.inputs.1.stages.1", "filter", depth=1, location=place, inputs_each=10.0, elements=535),
    ]
    count_inputs(stages)
    assert (stages[0].inputs_each, stages[0].inputs_each_by) == (5.0, "counters")
    assert told(*stages) == (
        "of about 5 elements that load (map) makes, 4 are dropped by rejection_resample (its filter, input.py:5): "
        "64 % of the pipeline's work"
    )
    merged = next(row for row in rows_per_line(stages) if row.stage.op == "rejection_resample")
    assert write_inputs(merged.stage) == "~5:1"


def test_batches_that_a_call_makes_are_no_elements_that_it_drops() -> None:
    place = Location(file="input.py", line=5, column=3, call="own")
    stages = [
        stage("source", "range", elements=640),
        stage("stages.0", "filter", location=place, elements=320, inputs_each=2.0),
        stage("stages.1", "batch", location=place, elements=10),
    ]
    count_inputs(stages)
    assert stages[2].inputs_each is None


def test_the_branches_of_one_line_count_together() -> None:
    place = Location(file="input.py", line=5, column=3)
    inside = "source.inputs.{}"
    stages = [stage("source", "sample_from_datasets")]
    for number in range(2):
        at = inside.format(number)
        stages += [
            stage(f"{at}.source", "range", depth=1),
            stage(f"{at}.stages.0", "map", 0.45, name="load", depth=1),
            stage(f"{at}.stages.1", "filter", 0.02, depth=1, location=place, inputs_each=10.0, inputs_each_by="graph"),
        ]
    assert told(*stages) == (
        "of 10 elements that load (map) makes, 9 are dropped by filter (input.py:5): 81 % of the pipeline's work"
    )


def test_calls_of_one_line_that_do_not_read_each_other_are_counted_apart() -> None:
    """A loop makes one for each of two sources: 1,000 elements become 500 in one branch, 900 become 90 in the other."""
    place = Location(file="input.py", line=5, column=3, call="own")
    stages = [stage("source", "sample_from_datasets", elements=590)]
    for number, (made, left) in enumerate([(1000, 500), (900, 90)]):
        at = f"source.inputs.{number}"
        load = {"name": "load", "location": Location(file="input.py", line=3, column=3)}
        stages += [
            stage(f"{at}.source", "range", depth=1, elements=made),
            stage(f"{at}.stages.0", "map", 0.45, depth=1, elements=made, **load),
            stage(f"{at}.stages.1", "map", depth=1, location=place, elements=made),
            stage(f"{at}.stages.2", "filter", depth=1, location=place, elements=left),
        ]
    count_inputs(stages)
    assert [one.inputs_each for one in stages if one.op == "filter"] == [2.0, 10.0]
    # Of 1,900 elements 500 and 810 are dropped; the work is half of one branch and nine tenths of the other.
    assert told(*stages) == (
        "of about 32 elements that load (map, input.py:3) makes, 22 are dropped by own (its filter, input.py:5): "
        "63 % of the pipeline's work"
    )


def test_what_both_sides_of_a_zip_make_is_dropped_of_both() -> None:
    line = {"name": "load", "location": Location(file="/a/input.py", line=4, column=8)}
    text = told(
        stage("source", "zip", elements=800),
        stage("source.inputs.0.source", "range", depth=1),
        stage("source.inputs.0.stages.0", "map", 0.5, depth=1, elements=800, **line),
        stage("source.inputs.1.source", "range", depth=1),
        stage("source.inputs.1.stages.0", "map", 0.5, depth=1, elements=800, **line),
        stage("stages.0", "filter", elements=800),
        stage("stages.1", "shard", elements=200, inputs_each=4.0, inputs_each_by="graph"),
    )
    assert text == (
        "of 4 elements that load (map, input.py:4) makes, 3 are dropped by shard: 75 % of the pipeline's work"
    )
