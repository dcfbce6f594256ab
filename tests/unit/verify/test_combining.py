"""Edits that only pay once others are made."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveFilter,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    VectoriseMap,
    to_document,
)
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.subject import Host, Target, Tool
from pipeprof.profiles.verify.guessing.combining import fastest, together, with_more, worth_another_try

WINDOWS = ReplaceStages(("stages.0", "stages.1"), (NewStage("range", {"stop": 3}),))
BATCHES = VectoriseMap("stages.2", "stages.3")


def finding(title: str, *edits: PipelineEdit, speedup: float | None = 2.0, **facts: Any) -> Finding:
    measured = {"speedup": speedup} if speedup is not None else None
    documents = [Edit.model_validate(to_document(edit)) for edit in edits]
    return Finding(**{
        "rule": "some-rule", "title": title, "family": "speed", "status": "kept", "edit": documents,
        "measured": measured, "semantics": "same", "change": title, **facts,
    })  # fmt: skip


def profile(**shares: float) -> Profile:
    stages = [
        Stage(id=name.replace("_", "."), origin="written", op="map", share=share) for name, share in shares.items()
    ]
    return Profile(
        tool=Tool(version="0"),
        target=Target(kind="function", text="f.py:f"),
        complete=True,
        exit_code=0,
        host=Host(system="Linux", machine="x86_64", cores=2.0),
        stages=stages,
    )


BEST = finding("windows", WINDOWS)


def test_what_did_not_help_alone_is_tried_again_where_most_work_is() -> None:
    little = finding("little", SetArgument("stages.4", "map", "num_parallel_calls", 2), speedup=1.0, stage="stages.4")
    much = finding("much", BATCHES, speedup=0.8, stage="stages.2")
    refused = finding("refused", VectoriseMap("stages.5", "stages.6"), speedup=None, stage="stages.5")
    found = worth_another_try(profile(stages_2=0.5, stages_4=0.1, stages_5=0.2), BEST, [little, much, refused])
    assert [one.title for one in found] == ["much", "refused", "little"]


def test_what_made_it_much_slower_is_not() -> None:
    assert worth_another_try(profile(), BEST, [finding("slower", BATCHES, speedup=0.4)]) == []


def test_nor_is_a_cache_that_was_refused() -> None:
    cache = InsertStage("cache", {}, "stages.0")
    assert worth_another_try(profile(), BEST, [finding("refused", cache, speedup=None)]) == []
    assert worth_another_try(profile(), BEST, [finding("no gain", InsertStage("cache"), speedup=1.0)]) != []


def test_nor_is_what_changes_a_stage_that_is_gone() -> None:
    gone = [
        finding("argument", SetArgument("stages.1", "flat_map", "num_parallel_calls", 2), speedup=1.0),
        finding("after it", InsertStage("prefetch", {}, "stages.0"), speedup=1.0),
    ]
    assert worth_another_try(profile(), BEST, gone) == []


def test_two_changes_are_one_finding() -> None:
    found = with_more(BEST, finding("batches", BATCHES, semantics="order"), None, count=2)
    assert (found.title, found.rule, found.semantics) == ("Two changes together", "combined", "order")
    assert found.change == "windows; batches"
    assert isinstance(found.edit, list)
    assert [edit.kind for edit in found.edit] == ["ReplaceStages", "VectoriseMap"]


def test_of_a_spec_all_edits_have_to_fit() -> None:
    data = {
        "source": {"range": {"stop": 9}},
        "stages": [{"take": {"count": 3}}, {"skip": {"count": 1}}, {"batch": {"batch_size": 2}}],
    }
    removed = finding("a", ReplaceStages(("stages.0",)))
    size = finding("b", SetArgument("stages.2", "batch", "batch_size", 4), SetEnvironment("A", "b"))
    found = together([removed, size], data)
    assert found.in_spec
    assert not together([found, finding("c", ReplaceStages(("stages.0",)))], data).in_spec


def test_the_fastest_was_kept_for_its_speed() -> None:
    memory, rejected = finding("m", speedup=4.0, family="memory"), finding("r", speedup=5.0, status="rejected")
    assert fastest([memory, BEST, rejected]) is BEST
    assert fastest([memory]) is None


def test_what_is_put_after_a_stage_stays_where_that_was_before_another_edit_moves_it() -> None:
    words = "insert cache() after short_enough: pays off from the second epoch"
    cached = finding("cached", InsertStage("cache", {}, "stages.1"), change=words)
    moved = finding("moved", MoveFilter("stages.1", "stages.0"), change="move short_enough before encode")
    other = finding("other", MoveFilter("stages.3", "stages.2"), change="move long_enough before parse")
    stays = "insert cache() where short_enough was: pays off from the second epoch"
    assert together([cached, moved], None).change == f"{stays}; move short_enough before encode"
    assert together([cached, other], None).change == f"{words}; move long_enough before parse"
