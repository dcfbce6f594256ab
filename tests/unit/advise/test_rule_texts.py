"""The texts of a hit of every rule, as goldens; other tests assert its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.advise import (
    dropped_views,
    function_views,
    host_views,
    test_proposals,
    test_rule_memory_grows,
    test_rules_before_batch,
    test_rules_correctness,
    test_rules_environment,
    test_rules_functions,
    test_rules_memory,
    test_rules_of_batches,
    test_rules_of_buffers,
    test_rules_of_source,
    test_rules_order,
    test_rules_overlap,
    test_rules_pools,
    test_rules_step,
    training_views,
    window_views,
)
from unit.advise.memory_views import batch, cache, line, load, run, shuffle, slices
from unit.advise.views import MeasuredFacts, PipelineView, function, measured

from pipeprof.profiles.advise.rule import bar_to_try, rules
from pipeprof.profiles.advise.text.in_words import describe_change
from pipeprof.profiles.propose.proposal import Proposal

MB = 1_000_000
POOLS = test_rules_pools


def releasing_python() -> PipelineView:
    view = function_views.python_map()
    assert view.facts is not None
    facts: dict[str, Any] = vars(view.facts) | {"python_lock_share": 0.05, "runnable_wait_share": 0.4}
    return replace(view, facts=MeasuredFacts(**facts))


def batched_rows() -> PipelineView:
    rows = slices(500 * MB).stages[0]
    return slices(500 * MB, shuffle("stages.0", 1000, rows), batch("stages.1", 32, rows))


def endless() -> PipelineView:
    *below, again = test_rules_memory.repeated()
    return line(*below, again, cache("stages.2", again))


def other_ops() -> PipelineView:
    body = function("ParseExampleV2", "DecodeRaw", "Reshape")
    return measured(function_views.records(body, written={"python": "input.py:parse"}), interval_ms=6.0)


VIEWS: dict[str, Callable[[], PipelineView]] = {
    "batch-before-shuffle": test_rules_correctness.grouped,
    "cache-after-augment": test_rules_correctness.frozen,
    "cache-after-shuffle": test_rules_order.kept_order,
    "cache-in-memory-over-budget": lambda: test_rules_memory.cached(20_000),
    "cache-never-complete": lambda: test_rules_correctness.taken(256),
    "cache-smaller-elements": test_rules_memory.decoded,
    "concatenated-parts": dropped_views.parts,
    "csv-row-by-row": dropped_views.csv,
    "drop-after-expensive-map": dropped_views.dropped,
    "records-batched-inside": dropped_views.interleaved,
    "group-after-expensive-map": dropped_views.taken_of_groups,
    "groups-never-full": dropped_views.groups,
    "read-once-per-branch": dropped_views.per_class,
    "readers-of-small-records": dropped_views.readers,
    "files-of-few-records": dropped_views.small_files,
    "windows-from-array": dropped_views.taking,
    "changing-shapes": test_rules_of_batches.texts,
    "filter-after-expensive-map": function_views.late_filter,
    "from-generator-per-element": function_views.generator,
    "from-tensor-slices-big-array": lambda: slices(500 * MB),
    "generator-waits": test_proposals.waiting,
    "discarded-transformation": lambda: test_rules_of_source.with_slip("discarded-transformation"),
    "file-cache-fits-memory": test_rules_of_buffers.cached,
    "prefetch-of-batches": lambda: test_rules_of_buffers.prefetched(64),
    "first-again": lambda: test_rules_of_source.with_slip("first-again"),
    "random-at-tracing": lambda: test_rules_of_source.with_slip("random-at-tracing"),
    "graph-constant": lambda: test_rules_memory.captured(100 * MB),
    "heap-slack": lambda: test_rules_environment.keeping("glibc's heap", 300 * MB),
    "memory-grows": test_rule_memory_grows.soaked,
    "library-threads": releasing_python,
    "list-instead-of-array": lambda: test_rules_memory.built(line(test_rules_memory.numbers()), 2.2, growth=112 * MB),
    "map-before-batch-scalar": lambda: measured(function_views.small_map(), interval_ms=4.0),
    "no-prefetch": lambda: test_rules_overlap.turns(test_rules_overlap.taking_turns(**{"autotune.enabled": False})),
    "no-prefetch-between": lambda: test_rules_overlap.drained(test_rules_overlap.in_a_row()),
    "padding-waste": test_rules_step.padded,
    "parse-single-example": lambda: measured(function_views.records(), interval_ms=6.0),
    "pool-slack": lambda: test_rules_environment.keeping("TensorFlow's pool", 300 * MB),
    "py-function-gil": function_views.python_map,
    "serial-map-cpu": lambda: POOLS.computing(POOLS.mapped(what=POOLS.RANDOM)),
    "serial-map-latency": lambda: POOLS.waiting(POOLS.mapped()),
    "shard-after-read": host_views.read_then_sharded,
    "shuffle-before-shard-unseeded": host_views.shuffled_names,
    "shuffle-buffer-bytes": test_rules_memory.loaded_then_shuffled,
    "threadpool-caps-blocking-map": lambda: POOLS.waiting(POOLS.parallel()),
    "threadpool-too-small": lambda: POOLS.waiting(POOLS.parallel(16, ms=60.0, options={POOLS.POOL: 3})),
    "copy-before-step": test_rules_of_batches.copied,
    "idle-device": test_rules_of_batches.idling,
    "wide-batches": test_rules_of_batches.pictures,
    "windows-one-by-one": window_views.windows,
    **training_views.FLAWS,
}
MORE: dict[str, tuple[str, Callable[[], PipelineView]]] = {
    **training_views.OTHER_FLAWS,
    "drop-in-zip": ("drop-after-expensive-map", dropped_views.zipped),
    "resampled": (
        "read-once-per-branch",
        lambda: dropped_views.branches(("map", {}), ("filter", {}), call="rejection_resample", used=640),
    ),
    "split-line": ("map-before-batch-scalar", test_rules_before_batch.lines),
    "array-before-batch": ("from-tensor-slices-big-array", batched_rows),
    "array-in-a-run": (
        "from-tensor-slices-big-array",
        lambda: run(slices(500 * MB), peak=2_000 * MB, runtime=500 * MB),
    ),
    "array-of-float64": ("from-tensor-slices-big-array", lambda: slices(500 * MB, dtype="float64")),
    "cache-of-random-maps": (
        "cache-after-shuffle",
        lambda: test_rules_order.kept_order(load("stages.2", 1000, "RandomUniform", "Mul")),
    ),
    "cache-read-in-part": (
        "cache-never-complete",
        lambda: test_rules_correctness.taken(256, function=function("RandomUniform", "Mul")),
    ),
    "constant-source": ("graph-constant", lambda: slices(100 * MB, constant=True)),
    "endless-cache": ("cache-in-memory-over-budget", endless),
    "generator-and-prefetch": (
        "from-generator-per-element",
        lambda: test_rules_functions.generated_pictures(dispatch=None),
    ),
    "quick-generator": ("from-generator-per-element", lambda: function_views.generator(ms=3.0)),
    "records-with-other-ops": ("parse-single-example", other_ops),
    "python-lock-measured": ("py-function-gil", lambda: function_views.python_map(python_lock=0.95)),
    "python-in-parallel": ("py-function-gil", lambda: function_views.python_map(ms=140.0, parallelism=8.0)),
}
"""Variants of texts: the name of the golden, the rule, and a view."""


def text_of(view: PipelineView, hit: Proposal) -> str:
    predicted = hit.predicted.formula if hit.predicted is not None else None
    parts = {
        "title": hit.title,
        "sentence": hit.sentence,
        "recommendation": hit.recommendation,
        "change": describe_change(view, hit.edits, hit.change_detail),
        "predicted": predicted,
    }
    return "".join(f"{name}: {text}\n" for name, text in parts.items() if text)


def hits(rule: str, view: PipelineView) -> list[Proposal]:
    if view.kind == "static":
        return list(rules()[rule].check(view))
    if rules()[rule].reports_untried:
        return list(rules()[rule].diagnose(view))
    with bar_to_try():
        return list(rules()[rule].diagnose(view))


def test_every_rule_has_its_text_here() -> None:
    assert VIEWS.keys() == rules().keys()


@pytest.mark.parametrize("name", [*VIEWS, *MORE])
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    rule, make = MORE[name] if name in MORE else (name, VIEWS[name])
    view = make()
    golden(f"advice/{name}.txt", "\n".join(text_of(view, hit) for hit in hits(rule, view)))
