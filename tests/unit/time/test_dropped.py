"""Work whose results are thrown away, as the verdict states it."""

from __future__ import annotations

import pytest

from pipeprof.cli.report.rows import rows_per_line, write_inputs
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.top_stage import count_inputs, find_dropped


def stage(address: str, op: str, share: float = 0.0, **more: object) -> Stage:
    return Stage.model_validate({"id": address, "origin": "written", "op": op, "share": share, **more})


def told(*stages: Stage) -> tuple[str | None, str, float, float] | None:
    """The work that is dropped: whose it is, by what, elements in for one out, and its share."""
    found = find_dropped(stages)
    return None if found is None else (found.stage.name, found.by.op, round(found.each, 2), round(found.share, 2))


def dropped(op: str, each: float, share: float = 0.98) -> tuple[str | None, str, float, float] | None:
    return told(
        stage("source", "range"),
        stage("stages.0", "map", share, name="tokenize"),
        stage("stages.1", op, 0.01, inputs_each=each, inputs_each_by="graph"),
        stage("stages.2", "batch", inputs_each=8.0, inputs_each_by="graph"),
    )


@pytest.mark.parametrize(
    ("op", "each", "share"),
    [("shard", 4.0, 0.73), ("filter", 20.2, 0.93), ("skip", 1.25, 0.2), ("filter", 1.05, None), ("filter", 0.9, None),
     ("window", 32.0, None)],
)  # fmt: skip
def test_elements_that_are_made_and_dropped(op: str, each: float, share: float | None) -> None:
    assert dropped(op, each) == (("tokenize", op, each, share) if share else None)


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
    assert text == ("load", "filter", 10.0, 0.72)


def test_what_is_cheap_before_it_may_be_dropped() -> None:
    assert dropped("shard", 4.0, share=0.1) is None


def test_what_comes_after_it_is_not_thrown_away() -> None:
    assert (
        told(
            stage("source", "range"),
            stage("stages.0", "shard", inputs_each=4.0, inputs_each_by="graph"),
            stage("stages.1", "map", 0.98, name="tokenize"),
        )
        is None
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
    assert text == ("load", "filter", 10.0, 0.72)


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
    assert told(*stages) == ("load", "filter", 5.0, 0.64)
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
    assert told(*stages) == ("load", "filter", 10.0, 0.81)


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
    # The work is half of one branch and nine tenths of the other.
    assert told(*stages) == ("load", "filter", 2.0, 0.63)


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
    assert text == ("load", "shard", 4.0, 0.75)
