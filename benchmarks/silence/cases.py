"""The pipelines, what is demanded of each, and why; ratios are those of plain loops over both pipelines in turns."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

CORES = len(os.sched_getaffinity(0))
LEFT_ALONE = ("even a free pipeline would", "The pipeline keeps up")


@dataclass(frozen=True)
class Case:
    """A pipeline and what is demanded of the run.

    Attributes:
        about: What it stands for, in a line.
        target: The spec or function, in this folder.
        options: More of the command line.
        says: The rules that must speak.
        may_say: Rules that may: of memory or correctness, or, beside one that must, of speed.
        bound: The verdict's word: step (with a text of `LEFT_ALONE`), input, or none if it is not at issue.
        limit: What the verdict must name as the limit; empty if that is not at issue.
        change: What the change must hold, by rule.
        moves: Whether an edit may move a stage.
        cores: How many cores the command may use; 0 for all of them.
    """

    about: str
    target: str
    options: tuple[str, ...] = ()
    says: frozenset[str] = frozenset()
    may_say: frozenset[str] = frozenset()
    bound: str | None = "step"
    limit: str = ""
    change: dict[str, str] = field(default_factory=dict)
    moves: bool = True
    cores: int = 0


def drained(about: str, target: str, **more: object) -> Case:
    """A case without a step, so that nothing on speed is withheld."""
    return Case(about, target, ("--step", "none"), **{"bound": "input", **more})  # type: ignore[arg-type]


def only(*rules: str) -> frozenset[str]:
    """These rules."""
    return frozenset(rules)


HEALTHY = {
    "slices": Case("small slices, shuffled whole, no prefetch written; epochs end", "slices.yaml"),
    "indices": Case("100,000 indices shuffled whole, then loaded", "pipelines.py:indices", ("--step", "simulate:40ms")),
    "busy_step": Case("a step that computes on all cores, 80 ms, and 2 ms of pipeline", "busy_step.yaml"),
    "uneven": Case(
        "a deterministic map of uneven cost, four calls per core",
        "uneven.yaml",
        ("--set", f"stages.work.num_parallel_calls={4 * CORES}"),
    ),
    "numpy_per_batch": Case("a numpy_function once per batch of 512", "numpy_per_batch.yaml"),
    "cache_before_random": Case("a cache that fits, before augmentation", "cache_before_random.yaml"),
    "encoded_cache": Case("encoded records cached, decoded in every epoch", "encoded_cache.yaml"),
    "padded": Case("padded_batch of uniform lengths", "padded.yaml"),
    "tiny_map": drained(
        "a serial map of 5 µs over batches of 1,024; a prefetch before it 1.5×, TensorFlow's own options 1.2×",
        "tiny_map.yaml",
        may_say=only("prefetch-between", "default-options"),
    ),
    "one_of_four": Case("one worker's quarter of GZIP shards of equal size", "one_of_four.yaml"),
    "habits": Case("repeat after shuffle, a name, a smaller last batch, an unknown cardinality", "habits.yaml"),
    "prefetch_twice": drained("prefetch twice, on tiny elements", "prefetch_twice.yaml"),
}
TRAPS = {
    "bursts": Case("P1: TensorFlow adds the prefetch that is not written", "bursts.yaml"),
    "steady": Case("P2: the same with steady computing", "steady.yaml", bound=None),
    "spectra": drained("P3, P17: constants are free; on batches 7.5×", "spectra.yaml", may_say=only("whole-batches")),
    "slow_opening": drained("P6: work in an interleave's function is serial whatever is set", "slow_opening.yaml"),
    "encoded_cache_drained": drained("P7: decoded 200 MB fit: 5.8×", "encoded_cache.yaml", may_say=only("cache")),
    "rows": Case("P8: a row at a time from a generator, but the step is slower", "rows.yaml"),
    "serial_one_core": drained("P9: a serial map that computes, on one core", "serial.yaml", cores=1),
    "noisy_numbers": drained("P11: random; two calls 1.4×", "noisy_numbers.yaml", may_say=only("parallel-calls")),
    "filtered_then_shuffled": Case(
        "P12: a shuffle does not move below a filter",
        "filtered_then_shuffled.yaml",
        may_say=only("shuffle-buffer-bytes"),
        moves=False,
    ),
    "zipped_sides": Case("P13: the prefetches of a zip's sides are in their place", "zipped_sides.yaml"),
    "small_records": drained("P16: small warm records; cached 1.4×", "small_records.yaml", may_say=only("cache")),
}
TWINS = {
    "bursts_without_prefetch": Case(
        "of bursts: nothing is added with autotune off",
        "bursts.yaml",
        ("--set", "options.autotune.enabled=false"),
        says=only("default-options"),
        may_say=only("parallel-calls"),
        bound="input",
    ),
    "waiting": Case(
        "a map that waits, one call at a time; P5: calls come with threads",
        "waiting.yaml",
        says=only("parallel-calls"),
        bound="input",
        limit="latency",
        change={"parallel-calls": "private_threadpool_size"},
    ),
    "waiting_calls": Case(
        "the same with 16 calls: P5, the pool has a thread per core; a flag gives the 16, so no diff can",
        "waiting.yaml",
        ("--set", "stages.fetch.num_parallel_calls=16"),
        says=only("parallel-calls"),
        bound="input",
        limit="latency",
        change={"parallel-calls": "private_threadpool_size"},
    ),
    "rows_drained": drained("of rows: without a step", "rows.yaml", says=only("generator-per-element")),
    "serial": drained(
        "of serial_one_core: on all cores", "serial.yaml", says=only("parallel-calls"), limit="serial-stage"
    ),
    "numbers": drained("of noisy_numbers: nothing random", "numbers.yaml", says=only("whole-batches")),
    "zipped_in_turn": Case(
        "of zipped_sides: drawn one after the other; a prefetch on each side and calls with threads as good, 1.2×",
        "zipped_in_turn.yaml",
        says=only("parallel-calls"),
        may_say=only("prefetch-between"),
        bound="input",
    ),
    "cache_after_random": Case(
        "of cache_before_random: the cache keeps the random flips",
        "cache_after_random.yaml",
        says=only("cache-after-augment"),
    ),
    "python_loop": drained(
        "of numpy_per_batch: a Python loop per element", "python_loop.yaml", says=only("py-function-gil"), limit="gil"
    ),
    "records": drained(
        "records parsed one by one", "records.yaml", says=only("parse-in-batches"), may_say=only("cache")
    ),
    "big_table": Case(
        "of slices: 500 MB; memory is spoken of though the device never waits", "big_table.yaml", says=only("big-array")
    ),
}
CASES = HEALTHY | TRAPS | TWINS
