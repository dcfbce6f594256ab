"""No fix leaves the claim of its own rule true: with the fix, the rule is silent about the same stage."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from unit.advise.dropped_views import dropped, readers
from unit.advise.edited import edited
from unit.advise.function_views import generator, late_filter, records, small_map
from unit.advise.host_views import read_then_sharded, shuffled_names
from unit.advise.memory_views import GB, MB, built, indices, line, load, run, slices
from unit.advise.specs import view_with
from unit.advise.test_proposals import waiting as waiting_generator
from unit.advise.test_rules_of_buffers import cached, prefetched
from unit.advise.test_rules_overlap import drained, in_a_row, taking_turns, turns
from unit.advise.test_rules_pools import POOL, RANDOM, computing, mapped, parallel, waiting
from unit.advise.views import function, measured, stage, tensor

from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.pipelines.spec.errors.diagnostics import SpecError
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.view.view import PipelineView

BY_SPEC = {
    "batch-before-shuffle",
    "cache-after-augment",
    "cache-after-shuffle",
    "cache-in-memory-over-budget",
    "cache-never-complete",
    "map-before-batch-scalar",
    "parse-single-example",
    "shuffle-buffer-bytes",
}
"""Rules that speak of a spec that has not run, and whose fixes its data take."""

MEASURED = {
    "file-cache-fits-memory": cached(),
    "drop-after-expensive-map": dropped(),
    "filter-after-expensive-map": late_filter(),
    "from-generator-per-element": generator(),
    "from-tensor-slices-big-array": run(slices(500 * MB)),
    "generator-waits": waiting_generator(),
    "graph-constant": run(line(indices(25), load(function=function("GatherV2", constant_bytes=50 * MB)))),
    "list-instead-of-array": built(
        line(
            stage(
                "source", "from_tensor_slices", element=(tensor("float32", 5),), elements=500_000, source_bytes=10 * MB
            )
        ),
        2.2,
    ),
    "map-before-batch-scalar": measured(small_map(), interval_ms=4.0, headspace=0.9),
    "no-prefetch": turns(taking_turns()),
    "no-prefetch-between": drained(in_a_row()),
    "parse-single-example": measured(records(), interval_ms=6.0, headspace=0.9),
    "prefetch-of-batches": prefetched(64),
    "readers-of-small-records": readers(),
    "serial-map-cpu": computing(mapped(what=RANDOM)),
    "serial-map-latency": waiting(mapped()),
    "shard-after-read": read_then_sharded(),
    "shuffle-before-shard-unseeded": shuffled_names(),
    "threadpool-caps-blocking-map": waiting(parallel()),
    "threadpool-too-small": waiting(parallel(16, ms=60.0, options={POOL: 3})),
}


BY_TEXT = {"discarded-transformation", "first-again", "py-function-gil", "random-at-tracing"}
"""Rules that say what to write, without an edit of a pipeline."""

BY_HAND = {
    "concatenated-parts",
    "csv-row-by-row",
    "files-of-few-records",
    "group-after-expensive-map",
    "groups-never-full",
    "memory-grows",
    "read-once-per-branch",
    "records-batched-inside",
    "windows-from-array",
}
"""Rules whose fix is another source, or code of the user's: a view does not know what it makes of a pipeline."""


def test_every_rule_is_tried() -> None:
    static = {
        name
        for name, rule in rules().items()
        if rule.reports_untried and not rule.pays_in_step and not rule.in_training
    }
    assert static == BY_SPEC | BY_TEXT | BY_HAND | set(MEASURED)


@pytest.mark.parametrize("name", MEASURED)
def test_a_rule_is_silent_about_what_its_fix_has_changed(name: str) -> None:
    rule, view = rules()[name], MEASURED[name]
    hits = list(rule.diagnose(view))
    assert hits
    for hit in hits:
        assert hit.edits
        again = {one for other in rule.diagnose(edited(view, hit.edits)) for one in other.stages}
        assert not again & hit.stages


# Specs at random: whatever a rule finds in them, its `--set` values end.

SOURCES = {
    "numbers": "range: {stop: 20000}",
    "rows": "from_tensor_slices: {tensors: {array: {shape: [20000, 16], dtype: float32}}}",
    "records": "TFRecordDataset: {filenames: a.tfrecord}",
}
STAGES = {
    "cast": "map: {name: NAME, ops: [{tf.cast: {dtype: float32}}]}",
    "enlarge": "map: {name: NAME, ops: [{tf.cast: {dtype: float32}}, {tf.broadcast_to: {shape: [100, 1000]}}]}",
    "random": "map: {name: NAME, ops: [{tf.random.uniform: {shape: [16]}}]}",
    "parse": "map: {name: NAME, ops: [{tf.io.parse_single_example: {features: {x: {FixedLenFeature: "
    "{shape: [4], dtype: float32}}}}}]}",
    "batch": "batch: {name: NAME, batch_size: 128}",
    "small batch": "batch: {name: NAME, batch_size: 4}",
    "shuffle": "shuffle: {name: NAME, buffer_size: 10000}",
    "small shuffle": "shuffle: {name: NAME, buffer_size: 50}",
    "cache": "cache: {name: NAME}",
    "prefetch": "prefetch: {name: NAME, buffer_size: 2}",
    "take": "take: {name: NAME, count: 7}",
    "repeat": "repeat: {name: NAME}",
    "filter": "filter: {name: NAME, ops: [tf.reduce_sum, {tf.greater: {y: 0}}]}",
}
EXAMPLES = {
    "batch-before-shuffle": ("numbers", ["small batch", "shuffle"], None),
    "cache-after-augment": ("numbers", ["cast", "shuffle", "random", "cache", "batch"], None),
    "cache-after-shuffle": ("rows", ["shuffle", "cast", "batch", "cache", "prefetch"], None),
    "cache-in-memory-over-budget": ("numbers", ["cast", "enlarge", "cache"], GB),
    "cache-never-complete": ("numbers", ["cast", "cache", "take"], None),
    "map-before-batch-scalar": ("numbers", ["cast", "batch"], None),
    "parse-single-example": ("records", ["parse", "batch"], None),
    "shuffle-buffer-bytes": ("numbers", ["enlarge", "filter", "shuffle", "batch"], None),
}


def written(folder: Path, source: str, stages: list[str]) -> Path:
    (folder / "a.tfrecord").touch()
    path = folder / "spec.yaml"
    items = [STAGES[one].replace("NAME", f"s{index}") for index, one in enumerate(stages)]
    text = "\n".join(["version: 1", f"source: {{{SOURCES[source]}}}", "stages:", *(f"  - {item}" for item in items)])
    path.write_text(text + "\n", encoding="utf-8")
    return path


def spoken(view: PipelineView) -> dict[tuple[str, str], tuple[PipelineEdit, ...]]:
    """The changes of each finding that a spec takes, by its rule and the name of its stage."""
    findings, messages = advise(view)
    assert not [one for one in messages if one.code == "rule-failed"], messages
    names = {one.id: one.name or one.op for one in view.stages}
    return {(one.rule, names[one.stage or ""]): one.edits if one.in_spec else () for one in findings}


def check_fixes(path: Path, limit: int | None) -> set[str]:
    """The rules that had a fix; fails where a rule speaks again of the stage that its fix was for."""
    before = spoken(view_with(path, limit=limit))
    for about, edits in before.items():
        if edits:
            assert about not in spoken(view_with(path, edits, limit)), (path.read_text(encoding="utf-8"), about, edits)
    return {rule for (rule, _), edits in before.items() if edits}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_rule_that_speaks_of_a_spec_ends_its_own_finding(name: str, tmp_path: Path) -> None:
    source, stages, limit = EXAMPLES[name]
    assert name in check_fixes(written(tmp_path, source, stages), limit)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    source=st.sampled_from(list(SOURCES)),
    stages=st.lists(st.sampled_from(list(STAGES)), min_size=2, max_size=7),
    limit=st.sampled_from([None, GB, 24 * GB]),
)
def test_so_it_is_for_pipelines_at_random(tmp_path: Path, source: str, stages: list[str], limit: int | None) -> None:
    path = written(tmp_path, source, stages)
    try:
        view_with(path)
    except SpecError:
        assume(condition=False)
    check_fixes(path, limit)


def test_the_specs_at_random_cover_the_rules() -> None:
    assert set(EXAMPLES) == BY_SPEC
