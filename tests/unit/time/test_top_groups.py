"""Stages whose work is one: those of one function, and the datasets that it makes."""

from __future__ import annotations

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage
from pipeprof.profiles.time.top_stage import as_one, label_groups, share_of_work, top_cpu_groups, top_groups

WHOLE_MS = 10.0


def stage(address: str, ms: float, name: str | None = None, op: str = "map", line: int = 1, depth: int = 0) -> Stage:
    return Stage(
        id=address,
        origin="written",
        op=op,
        name=name,
        depth=depth,
        location=Location(file="input.py", line=line, column=4),
        cpu_ms_per_batch=ms,
        time_ms_per_batch=ms,
        share=ms / WHOLE_MS,
    )


def windows(opening: float = 3.0) -> list[Stage]:
    return [
        stage("stages.0", 0.5, op="window"),
        stage("stages.1", opening, "as_batch", "flat_map", 2),
        stage("stages.1.source", 2.5, op="batch", line=3, depth=1),
        stage("stages.2", 4.0, "split", line=4),
    ]


def mixture(*names: str) -> list[Stage]:
    """Each of three sources has a cheap map and a dear one; what mixes them is the dearest stage alone."""
    parts = [stage("source", 2.2, op="sample_from_datasets", line=9)]
    for number, name in enumerate(names):
        parts += [
            stage(f"source.datasets.{number}.stages.0", 0.6, "clean", line=5),
            stage(f"source.datasets.{number}.stages.1", 1.6 + number / 10, name, line=6),
        ]
    return parts


def test_datasets_that_a_function_makes_are_its_work_unless_opening_them_costs_little():
    top = top_groups(windows())
    assert label_groups(top) == "as_batch (flat_map, input.py:2) with the datasets in it"
    assert share_of_work(top) == "together 55 % of the pipeline's work"
    assert sum(group.share or 0.0 for group in top) <= 1.0
    assert [group.label for group in top_groups([*windows(opening=0.1)[:3]])] == ["batch (input.py:3)"]


def test_a_function_inside_a_function_is_named_for_itself():
    decode = stage("stages.1.stages.0", 5.0, "decode", line=8, depth=1)
    assert top_groups([*windows(), decode])[0].label.startswith("as_batch")
    assert top_groups([*windows(opening=1.0), decode])[0].stage.id == "stages.1.stages.0"


def test_inputs_of_a_mixture_are_not_inside_it_and_their_names_may_end_in_a_number():
    assert top_groups(mixture("tokenize", "tokenize"))[0].stage.id == "source.datasets.1.stages.1"
    top = top_groups(mixture("tokenize_0", "tokenize_1", "tokenize_2"))
    assert label_groups(top) == "tokenize ×3 (map, input.py:6)"
    assert share_of_work(top) == "together 51 % of the pipeline's work"
    apart = [stage(f"source.datasets.{number}.stages.1", 2.0, "tokenize", line=number) for number in range(3)]
    assert [len(group.members) for group in top_groups(apart)] == [1, 1, 1], "on lines of their own"


def test_cpu_time_of_stages_is_counted_once():
    for stages in (windows(), windows(opening=0.1), mixture(*["tokenize"] * 3)):
        groups = top_cpu_groups(stages)
        members = [member.id for group in groups for member in group.members]
        assert len(members) == len(set(members))
        assert groups[0].stage.id == top_groups(stages)[0].stage.id


def test_all_stages_of_a_line_are_counted_with_those_that_were_not_at_work() -> None:
    working = [stage(f"stages.{number}", 3.0, "load", line=7) for number in range(2)]
    idle = stage("stages.9", 0.0, "load", line=7)
    assert label_groups(top_groups([*working, idle])).startswith("load ×3 (map, ")


def test_parts_that_no_trace_has_seen_do_what_the_others_do() -> None:
    """Of 200 parts, 79 ran while the trace was made: what the others took is no copying."""
    seen = stage("stages.0", 3.0, "load", line=7)
    seen.ops = [OpCost(op="PyFunc", ms_per_batch=2.0), OpCost(op="Cast", ms_per_batch=0.5)]
    seen.python = [PythonCost(function="read", ms_per_batch=1.0, share=0.25, parent="PyFunc")]
    found = as_one([seen, stage("stages.1", 6.0, "load", line=7), stage("stages.2", 0.0, "load", line=7)])
    assert {cost.op: cost.ms_per_batch for cost in found.ops or ()} == {"PyFunc": 6.0, "Cast": 1.5}
    # A share of the time that was sampled is none of what was not: a line had 216 % of the Python time.
    assert [(cost.ms_per_batch, cost.share) for cost in found.python or ()] == [(3.0, 0.25)]
    assert as_one([seen]).ops == seen.ops
