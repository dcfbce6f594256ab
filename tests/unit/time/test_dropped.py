"""Work whose results are thrown away, as the verdict states it."""

from __future__ import annotations

import pytest

from pipeprof.cli.report.rows import rows_per_line, write_inputs
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.top_stage import count_inputs, find_dropped


def stage(address: str, op: str, share: float = 0.0, **more: object) -> Stage:
    return Stage.model_validate({"id": address, "origin": "written", "op": op, "share": share, **more})


PLACE = Location(file="input.py", line=5, column=3)
CALL = Location(file="input.py", line=5, column=3, call="rejection_resample")
LOAD = {"name": "load", "location": Location(file="/a/input.py", line=4, column=8)}
SIDE = "source.inputs.1.source.inputs.1"


def told(*stages: Stage) -> tuple[str | None, str, float, float] | None:
    """The work that is dropped: whose it is, by what, elements in for one out, and its share."""
    found = find_dropped(stages)
    return None if found is None else (found.stage.name, found.by.op, round(found.each, 2), round(found.share, 2))


@pytest.mark.parametrize(
    ("op", "each", "work", "share"),
    [("shard", 4.0, 0.98, 0.73), ("filter", 20.2, 0.98, 0.93), ("skip", 1.25, 0.98, 0.2), ("filter", 1.05, 0.98, None),
     ("filter", 0.9, 0.98, None), ("window", 32.0, 0.98, None), ("shard", 4.0, 0.1, None)],
)  # fmt: skip
def test_elements_that_are_made_and_dropped(op: str, each: float, work: float, share: float | None) -> None:
    found = told(
        stage("source", "range"),
        stage("stages.0", "map", work, name="tokenize"),
        stage("stages.1", op, 0.01, inputs_each=each, inputs_each_by="graph"),
        stage("stages.2", "batch", inputs_each=8.0, inputs_each_by="graph"),
    )
    assert found == (("tokenize", op, each, share) if share else None)


def test_a_call_that_reads_its_input_twice_drops_of_all_that_is_made_for_it() -> None:
    """Of 6,000 elements that both copies make 1,200 come out: the filter of one copy drops more of its own."""
    stages = [
        stage("source", "sample_from_datasets", location=CALL, elements=1200),
        stage("source.inputs.0.source", "range", depth=1, elements=650),
        stage("source.inputs.0.stages.0", "map", 0.1, name="load", depth=1, elements=650),
        stage("source.inputs.0.stages.1", "map", depth=1, location=CALL, elements=650),
        stage("source.inputs.1.source", "zip", depth=1, location=CALL, elements=5350),
        stage(f"{SIDE}.source", "range", depth=2, elements=5350, same_as="source.inputs.0.source"),
        stage(f"{SIDE}.stages.0", "map", 0.7, name="load", depth=2, elements=5350, same_as="source.inputs.0.stages.0"),
        stage("source.inputs.1.stages.0", "map", 0.1, depth=1, location=CALL, elements=5350),
        stage("source.inputs.1.stages.1", "filter", depth=1, location=CALL, inputs_each=10.0, elements=535),
    ]
    count_inputs(stages)
    assert (stages[0].inputs_each, stages[0].inputs_each_by) == (5.0, "counters")
    assert told(*stages) == ("load", "filter", 5.0, 0.64)
    merged = next(row for row in rows_per_line(stages) if row.stage.op == "rejection_resample")
    assert write_inputs(merged.stage) == "~5:1"


def test_batches_that_a_call_makes_are_no_elements_that_it_drops() -> None:
    stages = [
        stage("source", "range", elements=640),
        stage("stages.0", "filter", location=CALL, elements=320, inputs_each=2.0),
        stage("stages.1", "batch", location=CALL, elements=10),
    ]
    count_inputs(stages)
    assert stages[2].inputs_each is None


def test_calls_of_one_line_that_do_not_read_each_other_are_counted_apart() -> None:
    """A loop makes one for each of two sources: 1,000 elements become 500 in one branch, 900 become 90 in the other."""
    stages = [stage("source", "sample_from_datasets", elements=590)]
    for number, (made, left) in enumerate([(1000, 500), (900, 90)]):
        at = f"source.inputs.{number}"
        stages += [
            stage(f"{at}.source", "range", depth=1, elements=made),
            stage(f"{at}.stages.0", "map", 0.45, depth=1, elements=made, **LOAD),
            stage(f"{at}.stages.1", "map", depth=1, location=CALL, elements=made),
            stage(f"{at}.stages.2", "filter", depth=1, location=CALL, elements=left),
        ]
    count_inputs(stages)
    assert [one.inputs_each for one in stages if one.op == "filter"] == [2.0, 10.0]
    # The work is half of one branch and nine tenths of the other.
    assert told(*stages) == ("load", "filter", 2.0, 0.63)


def branch(at: str) -> list[Stage]:
    load = stage(f"{at}.stages.0", "map", 0.45, name="load", depth=1)
    drops = stage(f"{at}.stages.1", "filter", 0.02, depth=1, location=PLACE, inputs_each=10.0)
    return [stage(f"{at}.source", "range", depth=1), load, drops]


DROPPED = {
    "copies of a stage in another branch are not dropped": [
        stage("source", "sample_from_datasets"),
        stage("source.inputs.0.source", "range"),
        stage("source.inputs.0.stages.0", "map", 0.1, elements=600, **LOAD),
        stage("source.inputs.1.source", "range"),
        stage("source.inputs.1.stages.0", "map", 0.8, elements=5400, **LOAD),
        stage("source.inputs.1.stages.1", "filter", 0.01, inputs_each=10.0, elements=540),
    ],
    "what comes after it is not thrown away": [
        stage("source", "range"),
        stage("stages.0", "shard", inputs_each=4.0),
        stage("stages.1", "map", 0.98, name="tokenize"),
    ],
    "the sides of what is before it count, and a call of the user's is named": [
        stage("source", "sample_from_datasets", location=CALL),
        stage("source.inputs.1.source", "zip", depth=1, location=CALL),
        stage(f"{SIDE}.source", "range", depth=2),
        stage(f"{SIDE}.stages.0", "map", 0.8, name="load", depth=2),
        stage("source.inputs.1.stages.1", "filter", 0.02, depth=1, location=CALL, inputs_each=10.0),
        stage("stages.0", "map", 0.1, name="augment"),
    ],
    "the branches of one line count together": [
        stage("source", "sample_from_datasets"),
        *branch("source.inputs.0"),
        *branch("source.inputs.1"),
    ],
    "what both sides of a zip make is dropped of both": [
        stage("source", "zip", elements=800),
        stage("source.inputs.0.source", "range", depth=1),
        stage("source.inputs.0.stages.0", "map", 0.5, depth=1, elements=800, **LOAD),
        stage("source.inputs.1.source", "range", depth=1),
        stage("source.inputs.1.stages.0", "map", 0.5, depth=1, elements=800, **LOAD),
        stage("stages.0", "filter", elements=800),
        stage("stages.1", "shard", elements=200, inputs_each=4.0),
    ],
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("copies of a stage in another branch are not dropped", ("load", "filter", 10.0, 0.72)),
        ("what comes after it is not thrown away", None),
        ("the sides of what is before it count, and a call of the user's is named", ("load", "filter", 10.0, 0.72)),
        ("the branches of one line count together", ("load", "filter", 10.0, 0.81)),
        ("what both sides of a zip make is dropped of both", ("load", "shard", 4.0, 0.75)),
    ],
)
def test_whose_work_is_dropped(name: str, expected: object) -> None:
    assert told(*DROPPED[name]) == expected
