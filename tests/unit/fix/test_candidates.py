"""What is tried on a pipeline, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, SetArgument, SetOption, VectoriseMap
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace, Stage
from pipeprof.profiles.fix.candidates import EVERYWHERE, candidates, everywhere
from pipeprof.profiles.propose.queue import LIKE


def stage(address: str, op: str, share: float = 0.0, **given: Any) -> Stage:
    return Stage(id=address, op=op, origin="written", share=share, **given)


WAITING = {"blocked_ms_per_batch": 25.0, "cpu_ms_per_batch": 2.0}


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    """Two slow sides of a zip, and an interleave with a map in its function."""
    found = recorded("jpeg-folder")
    found.findings = []
    found.stages = [
        stage("source", "zip"),
        stage("source.inputs.0.source", "range"),
        stage("source.inputs.0.stages.0", "map", 0.4, **WAITING),
        stage("source.inputs.1.source", "range"),
        stage("source.inputs.1.stages.0", "map", 0.4, **WAITING),
        stage("stages.0", "interleave", 0.1),
        stage("stages.0.source", "from_tensors"),
        stage("stages.0.stages.0", "map", 0.01),
        stage("stages.1", "batch", 0.05),
    ]
    return found


def calls(address: str, number: object, op: str = "map") -> SetArgument:
    return SetArgument(address, op, "num_parallel_calls", number)


def test_autotune_everywhere_is_all_stages_outside_of_functions_and_a_prefetch(profile: Profile) -> None:
    found = everywhere(profile)
    assert found is not None
    assert found.edits == (
        calls("source.inputs.0.stages.0", "AUTOTUNE"),
        calls("source.inputs.1.stages.0", "AUTOTUNE"),
        calls("stages.0", "AUTOTUNE", "interleave"),
        calls("stages.1", "AUTOTUNE", "batch"),
        InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, "stages.1"),
    )


def test_what_tensorflow_tunes_is_not_given_autotune_once_more(profile: Profile) -> None:
    assert profile.stages is not None
    for stage in profile.stages:
        stage.tunable = True
    found = everywhere(profile)
    assert found is not None
    assert found.edits == (InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, "stages.1"),)
    set_ = [
        edit for one in candidates(profile, "calls", {"same"}) for edit in one.edits if isinstance(edit, SetArgument)
    ]
    assert set_
    assert not [edit for edit in set_ if edit.value == "AUTOTUNE"]


def test_stages_that_wait_get_a_thread_for_every_call(profile: Profile) -> None:
    found = [candidate.edits for candidate in candidates(profile, "calls", {"same"})]
    sides = ("source.inputs.0.stages.0", "source.inputs.1.stages.0")
    assert (*(calls(side, 16) for side in sides), SetOption("threading.private_threadpool_size", 32)) in found
    assert any(edits == (calls(sides[0], "AUTOTUNE"),) for edits in found)


def test_calls_at_the_same_time_where_numbers_are_drawn_are_another_class(profile: Profile) -> None:
    assert profile.stages is not None
    profile.stages[2].random = True
    assert not [one for one in candidates(profile, "calls", {"same"}) if one.title == EVERYWHERE]
    assert [one for one in candidates(profile, "calls", {"same", "randomness"}) if one.title == EVERYWHERE]


def test_a_stage_that_computes_gets_several_calls_for_each_core_too(profile: Profile) -> None:
    def numbers(cores: int) -> set[object]:
        profile.host.cores = cores
        edits = [edit for one in candidates(profile, "calls", {"same"}) for edit in one.edits if len(one.edits) == 1]
        return {edit.value for edit in edits if isinstance(edit, SetArgument) and edit.stage == "stages.0"}

    assert numbers(4) == {"AUTOTUNE", 4, 32, 8, 2}
    # Every call holds an element: more of them are not tried on large machines.
    assert numbers(32) == {"AUTOTUNE", 32, 64, 2}


def test_a_pipeline_that_keeps_up_gets_nothing(profile: Profile) -> None:
    assert profile.verdict is not None
    profile.verdict.bound = "step"
    profile.headspace = None
    assert candidates(profile, "calls", {"same"}) == []


def test_the_most_promising_change_is_tried_with_a_prefetch_at_the_end_too(profile: Profile) -> None:
    found = candidates(profile, "calls", {"same"})
    place = next(number for number, one in enumerate(found) if one.title.endswith(", with a prefetch at the end"))
    best, both = found[place - 1], found[place]
    assert both.title == f"{best.title}, with a prefetch at the end"
    assert both.edits == (*best.edits, InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, None))
    assert best.speedup == max(one.speedup or 0.0 for one in found if one.title != EVERYWHERE and one is not both)
    assert profile.stages is not None
    profile.stages.append(Stage(id="stages.9", origin="written", op="prefetch"))
    assert not [one for one in candidates(profile, "calls", {"same"}) if "with a prefetch" in one.title]


@pytest.mark.parametrize(("replayed_ms", "tried"), [(98.0, False), (96.0, True)])
def test_a_free_pipeline_has_to_save_what_can_be_proven(profile: Profile, replayed_ms: float, tried: bool) -> None:
    assert profile.verdict is not None
    profile.verdict.bound = "step"
    profile.headspace = Headspace.of(100.0, replayed_ms, batches=8)
    assert bool(candidates(profile, "calls", {"same"})) == tried


def test_what_the_model_predicts_to_help_most_comes_first(recorded: Callable[[str], Profile]) -> None:
    found = [one for one in candidates(recorded("jpeg-folder"), "calls", {"same"}) if one.title != EVERYWHERE]
    known = [one.speedup if one.speedup is not None else 1.1 for one in found if not one.for_memory]
    first = next((number for number, one in enumerate(found) if "together" not in one.title), 0)
    # Of like gains the simpler change comes first.
    logs = [math.log(gain) if gain > 1 else 0.0 for gain in known[first:]]
    assert all(after <= LIKE * before for before, after in pairwise(logs))
    assert any(one.speedup is not None for one in found)


def test_the_key_of_a_candidate_has_no_address() -> None:
    one, other = (Proposal("a", "b", (calls(address, 2),)) for address in ("stages.0", "stages.1"))
    assert one.key == other.key


def test_one_change_of_two_inputs_is_two_candidates() -> None:
    addresses = ("source.datasets.0.stages.0", "source.datasets.1.stages.0", "source.datasets.1.stages.1")
    one, other, shifted = (Proposal("a", "b", (calls(address, 2),)) for address in addresses)
    assert one.key != other.key == shifted.key


def test_of_a_spec_what_no_rule_proposes_is_tried(recorded: Callable[[str], Profile]) -> None:
    found = recorded("jpeg-folder")
    found.findings = []
    found.stages = [
        stage("source", "range"),
        stage("stages.0", "map", 0.9, random=False),
        stage("stages.1", "batch", 0.05),
        stage("stages.2", "cache", 0.0),
    ]
    assert found.verdict is not None
    found.verdict.stage = "stages.0"
    stages = [{"map": {"ops": ["tf.square"], "num_parallel_calls": 2}}, {"batch": {"batch_size": 2}}, {"cache": {}}]
    data = {"version": 1, "source": {"range": {"stop": 9}}, "stages": stages}

    def kinds(written: dict[str, Any] | None) -> set[type]:
        proposed = candidates(found, "spec", {"same"}, data=written)
        return {type(edit) for one in proposed if one.rule == "measured" for edit in one.edits}

    assert kinds(data) == {InsertStage, SetArgument, VectoriseMap}
    assert kinds(None) == set()
