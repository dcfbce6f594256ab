"""Edits that are tried although no rule has proposed them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, SetArgument, SetOption, from_document
from pipeprof.pipelines.changes.in_spec import apply_to_data
from pipeprof.profiles.advise.as_finding import finding_of
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Causes, Headspace, OpCost, PythonCost, Stage
from pipeprof.profiles.predict.predict import predict
from pipeprof.profiles.verify.guessing import search

Recorded = Callable[[str], Profile]


def guesses(*given: Any, **more: Any) -> list[Finding]:
    """What is tried, as the profile has it."""
    return [finding_of(one) for one in search.guesses(*given, **more)]


def profile_of(
    recorded: Recorded, *ops: str, stage: str, kind: str = "function", parallelism: float | None = None
) -> Profile:
    """A run of these stages whose verdict names one of them."""
    found = recorded("input-bound").model_copy(deep=True)
    found.target.kind = kind  # type: ignore[assignment]
    addresses = ["source", *(f"stages.{number}" for number in range(len(ops) - 1))]
    found.stages = [
        Stage(id=address, origin="written", op=op, parallelism=parallelism if address == stage else None)
        for address, op in zip(addresses, ops, strict=True)
    ]
    assert found.verdict is not None
    found.verdict.bound, found.verdict.stage = "input", stage
    found.findings = []
    return found


def waiting_side(address: str) -> list[Stage]:
    """Numbers, and a map that waits for 30 ms of a batch."""
    waits = {"time_ms_per_batch": 31.0, "cpu_ms_per_batch": 1.0, "blocked_ms_per_batch": 30.0}
    return [
        Stage(id=f"{address}.source", origin="written", op="range", tf_op="RangeDataset", time_ms_per_batch=0.1),
        Stage(id=f"{address}.stages.0", origin="written", op="map", tf_op="MapDataset", **waits),
    ]


def slow_sides(recorded: Recorded, kind: str = "function") -> Profile:
    """A zip of two maps that wait, one after the other."""
    sides = "source.datasets" if kind == "spec" else "source.inputs"
    found = profile_of(recorded, "zip", "batch", stage=f"{sides}.0.stages.0", kind=kind)
    assert found.steps is not None
    found.steps.interval_ms.mean, found.headspace, found.options = 64.0, None, None
    found.steps.busy_ms, found.steps.dispatch, found.steps.restart_share = None, None, None
    found.stages = [
        Stage(id="source", origin="written", op="zip", tf_op="ZipDataset"),
        *(one for side in (0, 1) for one in waiting_side(f"{sides}.{side}")),
        Stage(id="stages.0", origin="written", op="batch", tf_op="BatchDatasetV2"),
    ]
    return found


def kinds(found: Profile, data: dict[str, Any] | None = None, limit: int | None = None) -> list[str]:
    return [edit.kind or "" for finding in guesses(found, data, limit) for edit in finding.edit or []]  # type: ignore[union-attr]


def test_options_that_hold_tensorflow_back_are_tried_as_they_are_by_default(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0")
    pool, switch = "threading.private_threadpool_size", "experimental_optimization.apply_default_optimizations"
    budget = "autotune.cpu_budget"
    found.host.cores = 8.0
    for options, values in (
        ({pool: 2}, {pool: 8}),
        ({pool: 1, switch: False, "deterministic": False}, {switch: True, pool: 8}),
        ({pool: 8, switch: True}, {}),
        ({pool: 0, budget: 0}, {}),
        ({budget: 2}, {budget: 0}),
        (None, {}),
    ):
        found.options = options  # type: ignore[assignment]
        guess = next((one for one in guesses(found) if "default options" in one.title), None)
        assert (guess is not None) is bool(values)
        if guess is not None and isinstance(guess.edit, list):
            edits = [from_document(edit.model_dump()) for edit in guess.edit]
            assert {edit.path: edit.value for edit in edits if isinstance(edit, SetOption)} == values
            assert (guess.change or "").startswith("options.")
            assert guess.semantics == "same"
    found.options = {pool: 2}
    found.stages[1].random = True  # type: ignore[index]
    assert [one.semantics for one in guesses(found) if "default options" in one.title] == ["randomness"]


@pytest.mark.parametrize(
    ("calls", "pool", "blocked", "edits"),
    [
        (64, None, 0.0, [SetArgument("stages.0", "map", "num_parallel_calls", "AUTOTUNE")]),
        (1, 128, 0.0, [SetOption("threading.private_threadpool_size", 2)]),
        (4, 4, 0.0, []),
        (64, 128, 90.0, []),
    ],
)
def test_many_more_calls_or_threads_than_cores_are_tried_with_as_many(
    recorded: Recorded, calls: float, pool: int | None, blocked: float, edits: list[Any]
) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0", parallelism=calls)
    assert found.stages is not None
    found.host.cores, found.causes, found.options = 2.0, Causes(worker_cores=1.9), {}
    found.stages[1].cpu_ms_per_batch, found.stages[1].blocked_ms_per_batch = 10.0, blocked
    if pool is not None:
        found.options = {"threading.private_threadpool_size": pool}
    titles = "Run no more calls and threads than 2 cores can"
    tried = [[from_document(edit.model_dump()) for edit in one.edit] for one in guesses(found) if one.title == titles]  # type: ignore[union-attr]
    assert tried == ([edits] if edits else [])


def test_a_map_before_a_batch_is_vectorised_made_parallel_and_prefetched(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0")
    assert kinds(found) == ["VectoriseMap", "SetArgument", "InsertStage"]
    assert all(finding.status == "unverified" and finding.predicted is None for finding in guesses(found))


@pytest.mark.parametrize("by_number", [True, False])
def test_noise_is_tried_on_whole_batches_and_one_number_for_a_picture_is_not(
    recorded: Recorded, by_number: bool
) -> None:
    found = profile_of(recorded, "range", "map", "shuffle", "batch", stage="stages.0")
    assert found.stages is not None
    found.stages[1].random, found.stages[1].draws_by_number = True, by_number
    made = {one.semantics for one in guesses(found) if one.title == "Apply map to whole batches"}
    assert made == ({"randomness"} if by_number else set())


def test_what_runs_in_parallel_is_not_made_so(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "shuffle", stage="stages.0", parallelism=64.0)
    found.host.cores = 64.0
    assert kinds(found) == ["InsertStage"]


@pytest.mark.parametrize(
    ("calls", "waiting", "pool", "edits"),
    [
        (8.0, True, None, [("num_parallel_calls", 32), ("threading.private_threadpool_size", 32)]),
        (8.0, True, 32, [("num_parallel_calls", 32)]),
        (40.0, True, 32, [("num_parallel_calls", 64), ("threading.private_threadpool_size", 64)]),
        (64.0, True, None, []),
        # Computing needs more calls than cores, not many more.
        (2.0, False, None, [("num_parallel_calls", 8)]),
        (8.0, False, None, []),
    ],
)
def test_a_stage_with_a_fixed_number_of_calls_gets_more(
    recorded: Recorded, calls: float, waiting: bool, pool: int | None, edits: list[tuple[str, int]]
) -> None:
    found = profile_of(recorded, "range", "map", "shuffle", stage="stages.0", parallelism=calls)
    assert found.stages is not None
    found.options = {"threading.private_threadpool_size": pool} if pool is not None else {}
    found.host.cores = 2.0
    found.stages[1].cpu_ms_per_batch, found.stages[1].blocked_ms_per_batch = (1.0, 30.0) if waiting else (30.0, 1.0)
    found.causes = Causes(worker_cores=1.2)
    more = [one for one in guesses(found) if one.title == "Run more calls of map at a time"]
    made = [from_document(edit.model_dump()) for one in more for edit in one.edit or ()]  # type: ignore[union-attr]
    assert [(getattr(edit, "argument", getattr(edit, "path", None)), getattr(edit, "value", 0)) for edit in made] == [
        *edits
    ]
    assert all(f"num_parallel_calls: {calls:.0f} → " in (one.change or "") for one in more)
    found.causes = Causes(worker_cores=1.95)
    assert ("Run more calls of map at a time" in [one.title for one in guesses(found)]) is (waiting and bool(edits))
    found.stages[1].tunable = True
    assert "Run more calls of map at a time" not in [one.title for one in guesses(found)]


@pytest.mark.parametrize(
    ("chosen", "used", "blocked", "calls"),
    [
        (2.0, 2.1, 1.0, 16),
        # It keeps the cores busy, has one for each, waits for something else, or is not known.
        (2.0, 15.9, 1.0, None),
        (16.0, 2.1, 1.0, None),
        (2.0, 2.1, 90.0, None),
        (None, 2.1, 1.0, None),
    ],
)
def test_a_number_of_calls_that_tensorflow_left_low_is_set_to_the_cores(
    recorded: Recorded, chosen: float | None, used: float, blocked: float, calls: int | None
) -> None:
    found = profile_of(recorded, "range", "map", "shuffle", stage="stages.0", parallelism=chosen)
    assert found.stages is not None
    found.host.cores, found.causes, found.options = 16.0, Causes(worker_cores=used), {}
    found.stages[1].tunable, found.stages[1].cpu_ms_per_batch = True, 30.0
    found.stages[1].blocked_ms_per_batch = blocked
    more = [one for one in guesses(found) if one.title == "Run more calls of map at a time"]
    assert [one.change for one in more] == (
        [f"num_parallel_calls: AUTOTUNE, which chose 2, → {calls}"] if calls is not None else []
    )


@pytest.mark.parametrize(("lock", "tried"), [(0.7, False), (0.05, True)])
def test_calls_that_wait_for_the_gil_get_no_more(recorded: Recorded, lock: float, tried: bool) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0", parallelism=60.0)
    assert found.stages is not None
    found.stages[1].cpu_ms_per_batch, found.stages[1].blocked_ms_per_batch = 26.0, 55.0
    found.stages[1].python = [PythonCost(function="features", ms_per_batch=28.0, share=1.0, lock_share=lock)]
    found.causes = Causes(worker_cores=0.9, python_lock_share=lock)
    assert any(one.title == "Run more calls of map at a time" for one in guesses(found)) is tried


@pytest.mark.parametrize(("used", "tried"), [(0.1, True), (1.2, False)])
def test_calls_wait_where_cores_idle_though_no_trace_has_shown_it(recorded: Recorded, used: float, tried: bool) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0", parallelism=16.0)
    found.options, found.host.cores = {"threading.private_threadpool_size": 2}, 2.0
    found.causes = Causes(worker_cores=used)
    changes = [one.change for one in guesses(found) if one.title == "Run more calls of map at a time"]
    assert changes == ["num_parallel_calls: 16 → 64, options.threading.private_threadpool_size: 64"] * tried


def test_a_map_that_draws_at_random_gets_other_numbers_in_parallel(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "shuffle", stage="stages.0")
    assert found.stages is not None
    found.stages[1].random = True
    first = guesses(found)[0]
    assert (first.change, first.semantics) == ("num_parallel_calls: not set → AUTOTUNE", "randomness")


def test_a_spec_gets_what_its_data_can_say(recorded: Recorded) -> None:
    ops: dict[str, Any] = {"ops": [{"tf.cast": {"dtype": "float32"}}]}
    data = {"source": {"range": {"stop": 9}}, "stages": [{"map": ops}, {"batch": {"batch_size": 4}}]}
    found = guesses(profile_of(recorded, "range", "map", "batch", stage="stages.0", kind="spec"), data)
    assert [finding.title for finding in found] == [
        "Apply map to whole batches",
        "Run map in parallel",
        "Prefetch after map",
    ]
    assert all(finding.in_spec for finding in found)
    vectorised = apply_to_data(data, found[0].edits)
    assert [next(iter(stage)) for stage in vectorised["stages"]] == ["batch", "map"]
    assert "tf.vectorized_map" in str(vectorised["stages"][1])


def test_what_a_finding_proposes_is_not_tried_twice(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "shuffle", stage="stages.0")
    first = guesses(found)[0]
    found.findings = [Finding(rule="a", title="a", status="unverified", edit=first.edit)]
    assert kinds(found) == kinds(found)[: len(kinds(found))]
    assert isinstance(first.edit, list)
    assert first.edit[0] not in [edit for finding in guesses(found) for edit in finding.edit or ()]
    assert isinstance(first.edit[0], Edit)


@pytest.mark.parametrize("bound", ["step", None])
def test_nothing_is_tried_where_the_pipeline_is_not_the_limit(recorded: Recorded, bound: str | None) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0")
    assert found.verdict is not None
    found.verdict.bound = bound  # type: ignore[assignment]
    assert guesses(found) == []


def test_nothing_is_tried_where_a_free_pipeline_gains_nothing(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0")
    found.headspace = Headspace.of(10.0, 9.9, 4)
    assert guesses(found) == []


def test_a_stage_inside_a_function_is_tried_there_and_around_it(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "interleave", "batch", stage="stages.0")
    assert found.stages is not None
    assert found.verdict is not None
    found.stages.append(Stage(id="stages.0.stages.1", origin="written", op="map", depth=1))
    found.verdict.stage = "stages.0.stages.1"
    tried = guesses(found)
    assert [finding.title for finding in tried] == [
        "Run map in parallel",
        "Run interleave in parallel",
        "Prefetch after interleave",
    ]
    assert [finding.stage for finding in tried] == ["stages.0.stages.1", "stages.0", "stages.0"]


def test_what_reads_one_after_the_other_is_interleaved(recorded: Recorded) -> None:
    found = profile_of(recorded, "list_files", "flat_map", "batch", stage="stages.0")
    first = guesses(found)[0]
    assert (first.title, first.semantics, first.in_spec) == ("Interleave what flat_map reads", "order", False)
    found.target.kind = "spec"
    inner = {"source": {"TFRecordDataset": {}}}
    data = {
        "source": {"list_files": {"file_pattern": "a*"}},
        "stages": [{"flat_map": {"map_func": inner}}, {"batch": {"batch_size": 4}}],
    }
    changed = apply_to_data(data, guesses(found, data)[0].edits)
    assert changed["stages"][0] == {"interleave": {"map_func": inner, "num_parallel_calls": "AUTOTUNE"}}


@pytest.mark.parametrize("op", ["flat_map", "interleave"])
def test_many_are_read_at_a_time_where_reading_waits(recorded: Recorded, op: str) -> None:
    found = profile_of(recorded, "list_files", op, "batch", stage="stages.0")
    assert found.stages is not None
    found.options = {}
    waits = {"cpu_ms_per_batch": 1.0, "blocked_ms_per_batch": 30.0}
    found.stages.append(Stage(id="stages.0.source", origin="written", op="from_generator", depth=1, **waits))
    first = guesses(found)[0]
    edits = [from_document(edit.model_dump()) for edit in first.edit or ()]  # type: ignore[union-attr]
    assert edits == [
        SetArgument("stages.0", op, "cycle_length", 16),
        SetArgument("stages.0", op, "num_parallel_calls", 16),
        SetOption("threading.private_threadpool_size", 16),
    ]
    assert (first.title, first.semantics) == (f"Read 16 at a time in {op}", "order")
    change = {
        "flat_map": "flat_map → interleave(cycle_length=16, num_parallel_calls=16)",
        "interleave": "cycle_length: 16, num_parallel_calls: 16",
    }
    assert first.change == f"{change[op]}; options.threading.private_threadpool_size: 16"
    found.stages[1].parallelism = 16.0
    assert "Read 16" not in guesses(found)[0].title
    found.stages[1].parallelism, found.stages[-1].cpu_ms_per_batch = None, 40.0
    assert "Read 16" not in guesses(found)[0].title
    found.stages[-1].cpu_ms_per_batch, found.target.kind = 1.0, "spec"
    inner = {"source": {"TFRecordDataset": {}}}
    data = {
        "source": {"list_files": {"file_pattern": "a*"}},
        "stages": [{op: {"map_func": inner}}, {"batch": {"batch_size": 4}}],
    }
    changed = apply_to_data(data, guesses(found, data)[0].edits)
    assert changed["stages"][0] == {"interleave": {"map_func": inner, "cycle_length": 16, "num_parallel_calls": 16}}
    assert changed["options"] == {"threading": {"private_threadpool_size": 16}}


def test_a_slow_source_reads_several_files_and_ahead(recorded: Recorded) -> None:
    found = profile_of(recorded, "TFRecordDataset", "map", "batch", stage="source")
    assert [finding.title for finding in guesses(found)] == [
        "Read several files of TFRecordDataset at a time",
        "Prefetch after TFRecordDataset",
    ]


def test_a_prefetch_before_it_is_tried_after_a_stage_that_works(recorded: Recorded) -> None:
    titles = [one.title for one in guesses(profile_of(recorded, "from_generator", "map", "shuffle", stage="stages.0"))]
    assert "Prefetch before map" in titles
    titles = [one.title for one in guesses(profile_of(recorded, "range", "map", "shuffle", stage="stages.0"))]
    assert "Prefetch before map" not in titles


@pytest.mark.parametrize(
    ("ops", "random", "moves"),
    [
        (("range", "map", "shuffle", "batch"), False, [("MoveStage", "stages.0", "stages.2")]),
        (("range", "map", "shuffle", "take", "batch"), False, [("MoveStage", "stages.0", "stages.3")]),
        (("range", "map", "map", "filter", "shuffle"), False, [("MoveFilter", "stages.2", "stages.0")]),
        (("range", "map", "shuffle", "batch"), True, []),
        (("range", "map", "shuffle", "batch"), None, []),
        (("range", "map", "cache", "batch"), False, []),
        (("range", "map", "repeat", "batch"), False, []),
        (("range", "map", "shuffle"), False, []),
    ],
)
def test_a_deterministic_map_changes_places_with_its_neighbours(
    recorded: Recorded, ops: tuple[str, ...], random: bool | None, moves: list[tuple[str, str, str]]
) -> None:
    found = profile_of(recorded, *ops, stage="stages.0")
    assert found.stages is not None
    found.stages[1].random = random
    edits = [edit for finding in guesses(found) for edit in finding.edit or []]  # type: ignore[union-attr]
    found_moves = [(edit.kind, edit.stage, edit.before) for edit in edits if (edit.kind or "").startswith("Move")]  # type: ignore[attr-defined]
    assert found_moves == moves


def test_a_map_before_a_filter_takes_whole_batches_once_the_filter_is_before_it(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "filter", "batch", stage="stages.0")
    assert found.stages is not None
    found.stages[1].random = False
    edits = {one.title: [edit.kind for edit in one.edit or []] for one in guesses(found)}  # type: ignore[union-attr]
    assert edits["Move filter before map"] == ["MoveFilter"]
    assert edits["Move filter before map, then use batches"] == ["MoveFilter", "VectoriseMap"]


def repeating(recorded: Recorded, **changes: Any) -> Profile:
    """Twenty epochs of half a second of 1,000 elements of 1 kB."""
    found = profile_of(recorded, "range", "map", "shuffle", "batch", stage="stages.0")
    assert found.stages is not None
    assert found.steps is not None
    found.steps.epochs, found.steps.count, found.steps.interval_ms.mean = 20, 1000, 10.0
    found.stages[1] = found.stages[1].model_copy(
        update={"cardinality": 1000, "bytes_per_element": 1000.0, "random": False, **changes}
    )
    return found


def inserts(found: Profile, limit: int | None = None) -> list[str]:
    edits = [edit for finding in guesses(found, None, limit) for edit in finding.edit or []]  # type: ignore[union-attr]
    return [edit.op for edit in edits if edit.kind == "InsertStage"]  # type: ignore[attr-defined]


def test_short_epochs_are_cached_where_that_fits(recorded: Recorded) -> None:
    assert "cache" in inserts(repeating(recorded))
    assert "cache" in inserts(repeating(recorded), 9_488_000)
    assert "cache" not in inserts(repeating(recorded), 9_487_999)
    found = repeating(recorded)
    assert found.steps is not None
    found.steps.interval_ms.mean = 31.0
    assert "cache" not in inserts(found)
    titles = [finding.title for finding in guesses(found, longest_epoch=1.6)]
    assert "Cache map's output" in titles


def test_an_epoch_that_the_run_did_not_end_is_cached_where_its_length_is_known(recorded: Recorded) -> None:
    found = repeating(recorded, elements=8_000)
    assert found.steps is not None
    found.steps.epochs = 0
    assert "cache" in inserts(found)
    assert "cache" not in inserts(repeating_once(found, 6_000))
    assert "cache" not in inserts(repeating_once(found, 0))


def repeating_once(found: Profile, elements: int) -> Profile:
    assert found.stages is not None
    found.stages[1] = found.stages[1].model_copy(update={"elements": elements})
    return found


@pytest.mark.parametrize(
    "changes", [{"random": None}, {"random": True}, {"cardinality": -1}, {"bytes_per_element": None}]
)
def test_nothing_else_is_cached(recorded: Recorded, changes: dict[str, Any]) -> None:
    assert "cache" not in inserts(repeating(recorded, **changes))


def test_in_a_spec_the_shuffle_comes_after_the_cache(recorded: Recorded) -> None:
    data = {
        "source": {"range": {"args": [1000]}},
        "stages": [{"shuffle": {"buffer_size": 9}}, {"map": {"ops": ["tf.abs"]}}, {"batch": {"batch_size": 8}}],
    }
    found = profile_of(recorded, "range", "shuffle", "map", "batch", stage="stages.1", kind="spec")
    assert found.stages is not None
    assert found.steps is not None
    found.steps.epochs, found.steps.count, found.steps.interval_ms.mean = 20, 1000, 10.0
    known = {"cardinality": 1000, "bytes_per_element": 1000.0, "random": False}
    found.stages[2] = found.stages[2].model_copy(update=known)
    cached = next(finding.edits for finding in guesses(found, data) if finding.title.startswith("Cache"))
    assert [next(iter(stage)) for stage in apply_to_data(data, cached)["stages"]] == [
        "shuffle",
        "map",
        "cache",
        "shuffle",
        "batch",
    ]


def test_nothing_is_cached_after_a_shuffle(recorded: Recorded) -> None:
    found = repeating(recorded)
    assert found.verdict is not None
    found.verdict.stage = "stages.2"
    assert found.stages is not None
    found.stages[3] = found.stages[3].model_copy(update={"cardinality": 10, "bytes_per_element": 1000.0})
    assert "cache" not in inserts(found)


def test_what_most_of_the_work_makes_is_cached_where_nothing_of_the_bottleneck_can_be(recorded: Recorded) -> None:
    found = repeating(recorded)
    assert found.verdict is not None
    assert found.stages is not None
    found.verdict.stage = "stages.2"
    for share, cached in ((0.4, False), (0.6, True)):
        found.stages[1] = found.stages[1].model_copy(update={"share": share})
        assert ("cache" in inserts(found)) is cached


def test_stages_that_pass_elements_on_may_stand_between_a_map_and_its_batch(recorded: Recorded) -> None:
    found = guesses(profile_of(recorded, "range", "map", "shuffle", "repeat", "batch", stage="stages.0"))
    assert [edit.model_dump() for edit in found[0].edit or []] == [  # type: ignore[union-attr]
        {"kind": "VectoriseMap", "stage": "stages.0", "batch": "stages.3"}
    ]
    for between in ("cache", "filter", "map"):
        profile = profile_of(recorded, "range", "map", between, "batch", stage="stages.0")
        assert "VectoriseMap" not in kinds(profile)


def test_what_tensorflow_does_not_vectorise_is_not_written_with_vectorized_map(recorded: Recorded) -> None:
    found = profile_of(recorded, "TextLineDataset", "map", "batch", stage="stages.0")
    assert found.stages is not None
    texts = [one.change or "" for one in guesses(found)]
    assert any("with tf.vectorized_map" in text for text in texts)
    found.stages[1].ops = [OpCost(op="StringLower", ms_per_batch=1.0)]
    (first, *_) = guesses(found)
    assert first.change == "move map after batch, to whole batches"
    for op in ("StringSplitV2", "DecodeRaw", "SparseToDense", "LookupTableFindV2"):
        found.stages[1].ops = [OpCost(op=op, ms_per_batch=1.0)]
        assert "VectoriseMap" not in kinds(found)


def test_a_map_with_much_of_the_work_is_tried_on_whole_batches_although_it_is_not_the_bottleneck(
    recorded: Recorded,
) -> None:
    found = profile_of(recorded, "range", "flat_map", "map", "batch", stage="stages.0")
    assert found.stages is not None
    assert "VectoriseMap" not in kinds(found)
    found.stages[2].share = 0.3
    (finding,) = [one for one in guesses(found) if one.title.startswith("Apply")]
    assert finding.stage == "stages.1"


def test_where_the_verdict_names_no_stage_the_one_with_most_of_the_work_is_tried(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0")
    assert found.verdict is not None
    assert found.stages is not None
    found.verdict.stage = None
    assert kinds(found) == []
    found.stages[1].share = 0.9
    assert "VectoriseMap" in kinds(found)


def test_sides_that_take_turns_get_several_calls_together(recorded: Recorded) -> None:
    found = slow_sides(recorded)
    first = guesses(found)[0]
    edits = [from_document(edit.model_dump()) for edit in first.edit or ()]  # type: ignore[union-attr]
    sides = [SetArgument(f"source.inputs.{side}.stages.0", "map", "num_parallel_calls", 16) for side in (0, 1)]
    assert edits == [*sides, SetOption("threading.private_threadpool_size", 32)]
    expected = predict(found, [edit for edit in edits if edit is not None])
    alone = predict(found, sides[:1])
    assert expected is not None
    assert alone is not None
    assert expected.speedup > 10 > 2.5 > alone.speedup


def test_the_sides_of_a_spec_get_them_where_they_are_written(recorded: Recorded) -> None:
    inner = [{"source": {"range": {"stop": 9}}, "stages": [{"map": {"python": f"a.py:{name}"}}]} for name in "ab"]
    data = {"source": {"zip": {"datasets": inner}}, "stages": [{"batch": {"batch_size": 4}}]}
    changed = apply_to_data(data, guesses(slow_sides(recorded, "spec"), data)[0].edits)
    assert [side["stages"][0]["map"]["num_parallel_calls"] for side in changed["source"]["zip"]["datasets"]] == [16, 16]
    assert changed["options"] == {"threading": {"private_threadpool_size": 32}}


def test_one_slow_side_is_tried_alone(recorded: Recorded) -> None:
    found = slow_sides(recorded)
    assert found.stages is not None
    found.stages[4].time_ms_per_batch, found.stages[4].blocked_ms_per_batch = 0.1, 0.0
    assert "all at once" not in " ".join(finding.title for finding in guesses(found))


def test_a_filter_before_a_map_leaves_less_for_a_cache(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "filter", "batch", stage="stages.0")
    assert found.stages is not None
    assert found.steps is not None
    found.steps.epochs, found.steps.count, found.steps.interval_ms.mean = 20, 1000, 10.0
    for stage in found.stages:
        stage.random, stage.cardinality, stage.elements, stage.bytes_per_element = False, 1000, 20_000, 1000.0
    edits = {one.title: one.edit or () for one in guesses(found)}
    cached = [edit.model_dump(exclude_none=True) for edit in edits["Move filter before map, then use a cache"]]  # type: ignore[union-attr]
    assert [one["kind"] for one in cached] == ["MoveFilter", "InsertStage"]
    found.steps.interval_ms.mean = 500.0
    assert not any("use a cache" in one.title for one in guesses(found))


def in_a_row(recorded: Recorded, *ops: str, shares: Sequence[float]) -> list[str]:
    """The stages of the edits that move several maps onto whole batches, in their order."""
    found = profile_of(recorded, "TextLineDataset", *ops, "batch", stage="stages.1")
    assert found.stages is not None
    for stage, share in zip(found.stages[1:], shares, strict=False):
        stage.share, stage.random = share, False
    edits = [edit for one in guesses(found) if " and " in one.title for edit in one.edit or ()]  # type: ignore[union-attr]
    return [edit.stage for edit in edits if edit.kind == "VectoriseMap"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ops", "shares", "moved"),
    [
        (("map", "map"), (0.3, 0.6), ["stages.1", "stages.0"]),
        (("map", "shuffle", "map"), (0.3, 0.0, 0.6), []),
        (("map", "map", "shuffle", "map"), (0.3, 0.3, 0.0, 0.1), ["stages.3", "stages.1", "stages.0"]),
        (("map", "map"), (0.1, 0.6), []),
        (("map", "cache"), (0.3, 0.0), []),
    ],
)
def test_maps_in_a_row_with_much_work_take_whole_batches_together(
    recorded: Recorded, ops: tuple[str, ...], shares: tuple[float, ...], moved: list[str]
) -> None:
    assert in_a_row(recorded, *ops, shares=shares) == moved


def test_maps_in_a_row_stay_in_their_order(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "map", "batch", stage="stages.1", kind="spec")
    assert found.stages is not None
    for stage in found.stages:
        stage.share, stage.random = 0.4, False
    maps = [{"map": {"ops": [{"tf.add": {"y": number}}]}} for number in (1, 2)]
    data = {"source": {"range": {"stop": 9}}, "stages": [*maps, {"batch": {"batch_size": 4}}]}
    both = next(one for one in guesses(found, data) if " and " in one.title)
    ops = [stage["map"]["ops"] for stage in apply_to_data(data, both.edits)["stages"][1:]]
    assert ops == [[{"tf.vectorized_map": {"fn": [{"tf.add": {"y": number}}]}}] for number in (1, 2)]


def parts(recorded: Recorded, count: int = 3) -> Profile:
    """Parts that are concatenated; one line makes the map of each, which is serial and slow."""
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0")
    place = Location(file="parts.py", line=7, column=4)
    rows = [("source", "range"), ("stages.0", "map"), ("stages.1", "batch")]
    for number in range(2, count + 1):
        inner = f"stages.{number}.inputs.1"
        rows += [(f"stages.{number}", "concatenate")]
        rows += [(f"{inner}.source", "range"), (f"{inner}.stages.0", "map"), (f"{inner}.stages.1", "batch")]
    mapped = {"name": "load", "location": place, "share": 0.3, "tf_op": "MapDataset", "random": False}
    found.stages = [
        Stage(id=address, origin="written", op=op, **(mapped if op == "map" else {})) for address, op in rows
    ]
    return found


def test_a_change_of_stages_that_one_line_makes_is_one_change(recorded: Recorded) -> None:
    found = parts(recorded)
    assert found.verdict is not None
    maps = ["stages.0", "stages.2.inputs.1.stages.0", "stages.3.inputs.1.stages.0"]
    for found.verdict.stage in maps:
        by_title = {finding.title: finding for finding in guesses(found)}
        for title in ("Run load in parallel", "Apply load to whole batches", "Prefetch after load"):
            finding = by_title[title]
            assert len(finding.edits) == 3
            assert [getattr(edit, "stage", None) or getattr(edit, "after", None) for edit in finding.edits] == maps
            assert (finding.change or "").endswith("; this line makes 3 such stages, all of them change")


def test_what_does_not_fit_all_of_them_is_no_change_of_the_line(recorded: Recorded) -> None:
    found = parts(recorded)
    assert found.stages is not None
    found.stages[-1].op = "shuffle"
    titles = [finding.title for finding in guesses(found)]
    assert "Run load in parallel" in titles
    assert "Apply load to whole batches" not in titles


def test_the_end_of_a_part_can_run_ahead(recorded: Recorded) -> None:
    found = slow_sides(recorded)
    assert found.stages is not None
    for stage in (found.stages[2], found.stages[4]):
        stage.name, stage.location = "load", Location(file="parts.py", line=7)
    (finding,) = [one for one in guesses(found) if one.title == "Prefetch after load"]
    assert [edit.after for edit in finding.edits if isinstance(edit, InsertStage)] == [
        "source.inputs.0.stages.0",
        "source.inputs.1.stages.0",
    ]


def test_without_a_bottleneck_work_is_done_once_or_ahead(recorded: Recorded) -> None:
    found = repeating(recorded)
    assert found.verdict is not None
    assert found.stages is not None
    found.verdict.stage = None
    for stage in found.stages:
        stage.share = 0.01
    assert not guesses(found)
    for stage in found.stages:
        stage.share = None if stage.op == "map" else 0.01
    assert {"Cache map's output", "Prefetch at the end"} <= {finding.title for finding in guesses(found)}
    found.stages[-1].op = "prefetch"
    assert [finding.title for finding in guesses(found)] == ["Cache map's output"]


def test_nothing_is_tried_inside_of_a_call_of_the_users(recorded: Recorded) -> None:
    """The map between the filter and the end of ``rejection_resample`` stands in no line of the program."""
    found = profile_of(recorded, "range", "filter", "map", "choose_from_datasets", "batch", stage="stages.1")
    inside = Location(file="input.py", line=5, column=3, call="rejection_resample")
    assert found.stages is not None
    plain = guesses(found)
    assert any(finding.stage == "stages.1" for finding in plain)
    found.stages[1:4] = [stage.model_copy(update={"location": inside}) for stage in found.stages[1:4]]
    assert {
        edit.stage for finding in guesses(found) for edit in finding.edit or [] if hasattr(edit, "stage")
    }.isdisjoint({"stages.0", "stages.1"})
