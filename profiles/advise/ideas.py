"""Ideas: changes worth measuring. None of them is said before it was measured to help.

Their conditions are wide, since a measurement decides: a stage with much of the work, and a change that fits it. What
is known to gain nothing is left out, because each try takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
)
from pipeprof.pipelines.meaning.constants import AUTOTUNE
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.batch_ideas import parse_in_batches, whole_batches, windows_at_once
from pipeprof.profiles.advise.batch_savings import copied_share, interval_ms, per_batch
from pipeprof.profiles.advise.check import idea
from pipeprof.profiles.advise.facts.cache_places import (
    CachePlace,
    caches_before,
    kept_after,
    moved_into_cache,
    moved_to_smaller,
)
from pipeprof.profiles.advise.facts.earlier import filter_earlier, position_earlier, shuffle_earlier
from pipeprof.profiles.advise.facts.environment import (
    ONE_THREAD,
    allocator_settings,
    environment_edits,
    matters,
    may_start_threads,
    not_set,
    slack_bytes,
)
from pipeprof.profiles.advise.facts.work import (
    MUCH_WORK,
    SOME_WORK,
    WAITING_CALLS,
    WAITING_CORES,
    after,
    before,
    busy,
    inside,
    is_plain,
    is_random,
    line_of,
    names_of,
    parallelism,
    proposal_about,
    runs_ahead,
    runs_python,
    share_of,
    waits,
    waits_for_gil,
    worker_cores,
)
from pipeprof.profiles.advise.proposal import Proposal, Semantics, strongest
from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.lines import reader_of
from pipeprof.profiles.time.flow import step_alone_ms
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import cores_text, listed, percent, significant, size, stage_name

CALLS: Final = "num_parallel_calls"
READS: Final = "num_parallel_reads"
CYCLE: Final = "cycle_length"
ALL_CORES: Final = 0.8
"""Share of the cores in use from which a call more has none."""
POOL: Final = "threading.private_threadpool_size"
MORE_CALLS: Final = 4
"""Times as many calls as now that a stage with a fixed number of them gets."""
MOST_CALLS: Final = 64
"""The largest number of calls, and of threads of a pool, that is tried."""
TOO_MANY: Final = 4
"""Calls or threads per core from which computing ones are tried with as many as there are cores."""
HARDLY_COMPUTES: Final = 0.8
"""The same with several calls."""
SMALL_RECORD: Final = 8192
"""Bytes of a record below which handing it over between threads may cost more than reading it."""
HANDED_OVER_US: Final = 5
"""A record between threads: measured on TensorFlow 2.21, 2 cores."""
FEWEST_KEPT: Final = 0.95
"""Share of the elements that is kept, up to which dropping the others earlier may be worth a try."""
WAITING_FOR_A_CORE: Final = 0.2
"""Share of the time of threads from which more of them run than there are cores: with free cores, threads rarely
wait."""
OTHERS_CORES: Final = 0.2
"""Share of the cores that other processes use, from which it is these that threads wait for."""
_OPTIMIZATION: Final = "experimental_optimization."
SWITCHES: Final = (
    "autotune.enabled",
    f"{_OPTIMIZATION}apply_default_optimizations",
    f"{_OPTIMIZATION}map_parallelization",
    f"{_OPTIMIZATION}map_and_batch_fusion",
    f"{_OPTIMIZATION}inject_prefetch",
    f"{_OPTIMIZATION}parallel_batch",
)
"""Options that are on unless a program turns them off (`tf.data.Options`, TensorFlow 2.21)."""
CPU_BUDGET: Final = "autotune.cpu_budget"
"""Cores that TensorFlow counts on when it chooses numbers of calls; 0 for all."""


@idea("parallel-calls")
def parallel_calls(view: PipelineView) -> Iterator[Proposal]:
    """Several calls of what runs one at a time, and more of what has a few: 16 and a thread for each where they wait.

    One of two slow stages made parallel alone leaves the other one's time, so all at once come first.
    """
    serial = [group for group in busy(view) if all(_can_be_parallel(view, stage) for stage in group)]
    if len(serial) > 1:
        every = [stage for group in serial for stage in group]
        yield _in_parallel(view, every, f"Run {names_of(every)} in parallel, all at once")
    for group in serial:
        yield _in_parallel(view, group, f"Run {names_of(group)} in parallel")
    for group in busy(view):
        more = [_more_calls(view, stage) for stage in group]
        calls = {stage.id: number for stage, number in zip(group, more, strict=True) if number is not None}
        if calls:
            edits = tuple(SetArgument(one.id, one.op, CALLS, calls[one.id]) for one in group if one.id in calls)
            waiting = max(calls.values()) if waits(group[0]) or _hardly_computes(view) else 0
            yield proposal_about(
                group,
                f"Run more calls of {names_of(group)} at a time",
                f"runs {significant(parallelism(group[0]))} calls at a time",
                (*edits, *_threads(view, waiting)),
                calls=calls,
            )


def _in_parallel(view: PipelineView, stages: Sequence[StageView], title: str) -> Proposal:
    used = worker_cores(view)
    idle = used is not None and used < WAITING_CORES
    waiting = [idle or waits(stage) for stage in stages]
    calls = [_calls_of_waiting(view, one) if many else AUTOTUNE for one, many in zip(stages, waiting, strict=True)]
    edits = [SetArgument(one.id, one.op, CALLS, many) for one, many in zip(stages, calls, strict=True)]
    threads = min(MOST_CALLS, sum(many for many in calls if isinstance(many, int)))
    why = "runs one call at a time, and waits" if waiting[0] else "runs one call at a time"
    many_each = [many if isinstance(many, int) else math.ceil(view.cores) for many in calls]
    numbers = {one.id: many for one, many in zip(stages, many_each, strict=True)}
    return proposal_about(stages, title, why, (*edits, *_threads(view, threads)), calls=numbers)


def _can_be_parallel(view: PipelineView, stage: StageView) -> bool:
    row, tuned = traits(stage.op), stage.arguments.get(CALLS) == AUTOTUNE
    can = row.parallel and not (tuned or row.opens or row.composed or waits_for_gil(view, stage))
    return can and parallelism(stage) == 1


def _more_calls(view: PipelineView, stage: StageView) -> int | None:
    """Calls that a parallel map should have instead of its own number; None where that is enough.

    A result that is ready counts as a call until all before it are taken, so as many calls as cores do not keep the
    cores busy; and TensorFlow may stay at a low number, within its budget of memory and cores.
    """
    now, used = round(parallelism(stage)), worker_cores(view)
    waiting = waits(stage) or _hardly_computes(view)
    all_used = used is None or used >= ALL_CORES * view.cores
    enough = MOST_CALLS if waiting else 0 if all_used else view.cores + 1
    if not traits(stage.op).maps or not traits(stage.op).parallel or waits_for_gil(view, stage):
        return None
    if stage.measured is not None and stage.measured.tunable:
        # TensorFlow gives a call to each core at most: more of them have to be asked for where they wait.
        wanted = _calls_of_waiting(view, stage) if waiting else math.floor(min(view.cores, enough))
        return wanted if stage.measured.parallelism is not None and now < wanted else None
    return min(MOST_CALLS, MORE_CALLS * now) if 1 < now < enough else None


def _calls_of_waiting(view: PipelineView, stage: StageView) -> int:
    """Calls at a time of a stage that waits: as many as keep up with the step, in powers of two."""
    step_ms = step_alone_ms(view.profile) if view.profile is not None else None
    calls = WAITING_CALLS
    while step_ms and calls < min(MOST_CALLS, (stage.ms_per_batch or 0.0) / step_ms):
        calls *= 2
    return calls


def _hardly_computes(view: PipelineView) -> bool:
    used = worker_cores(view)
    return used is not None and used < HARDLY_COMPUTES


def _pool_threads(view: PipelineView) -> int | None:
    """The threads of a pool of its own; None without one, 0 for TensorFlow's."""
    threads = view.options.get(POOL)
    return threads if isinstance(threads, int) and not isinstance(threads, bool) else None


def _threads(view: PipelineView, calls: int) -> tuple[SetOption, ...]:
    """The edit that gives the pool a thread for each of so many calls; none where it has them."""
    now = _pool_threads(view)
    return (SetOption(POOL, calls),) if calls and (now is None or 0 < now < calls) else ()


@idea("fewer-calls")
def fewer_calls(view: PipelineView) -> Iterator[Proposal]:
    """As many calls and threads as cores where they compute; one reader of small records that do not wait."""
    threads, cores = _pool_threads(view) or 0, math.ceil(view.cores)
    fixed = [stage for stage in view.stages if _has_fixed_calls(stage)]
    many = max(sum(map(parallelism, fixed)), threads)
    if many >= TOO_MANY * view.cores and not any(map(waits, view.stages)) and not _hardly_computes(view):
        smaller = (SetOption(POOL, cores),) if threads >= TOO_MANY * view.cores else ()
        tuned = tuple(SetArgument(stage.id, stage.op, CALLS, AUTOTUNE) for stage in fixed)
        title = f"Run no more calls and threads than {cores_text(cores)} can"
        about = fixed or list(view.stages[:1])
        why = f"has a part in {significant(many)} calls or threads, on {cores_text(cores)}"
        yield proposal_about(about, title, why, (*tuned, *smaller), calls={stage.id: cores for stage in fixed})
    interval = interval_ms(view)
    for stage in view.stages:
        each, records, argument = stage.element_bytes, per_batch(view, stage), _reads_small_parts(view, stage)
        if argument is None or each is None or not records or interval is None or each > SMALL_RECORD or waits(stage):
            continue
        if _handed_over_ms(view, stage) >= MUCH_WORK / 2 * interval:
            yield proposal_about(
                [stage],
                f"Read {stage_name(stage)} on one thread",
                f"hands over {significant(records)} records of {size(each)} per batch from thread to thread",
                (SetArgument(stage.id, stage.op, argument, None),),
                "order" if argument == READS else "same",
            )


def _handed_over_ms(view: PipelineView, stage: StageView) -> float:
    """What it takes per batch to hand the elements of a stage from thread to thread."""
    return (per_batch(view, stage) or 0.0) * HANDED_OVER_US / 1000


def _has_fixed_calls(stage: StageView) -> bool:
    row = traits(stage.op)
    fixed = stage.measured is not None and not stage.measured.tunable and not stage.injected
    return row.parallel and not row.composed and fixed and parallelism(stage) > 1


def _reads_small_parts(view: PipelineView, stage: StageView) -> str | None:
    """The argument that makes a stage read several files at a time, and only read; None of any other stage."""
    row, parts = traits(stage.op), view.inside(stage)
    if not runs_ahead(stage) or stage.injected:
        return None
    if row.reads_examples and row.wrapped:
        return READS
    reads = any(traits(one.op).reads_examples for one in parts)
    only = all(traits(one.op).function is None for one in parts)
    return CALLS if row.interleaves and reads and only else None


@idea("prefetch-between")
def prefetch_between(view: PipelineView) -> Iterator[Proposal]:
    """A prefetch after each slow stage that works on its reader's thread, and before it where much is done there.

    At the end of the pipeline TensorFlow adds one by itself. Many small elements take longer to hand over.
    """
    most_ms = MUCH_WORK * (interval_ms(view) or math.inf)
    places: dict[str, StageView] = {}
    slow = [stage for group in busy(view) for stage in group if not runs_ahead(stage) and not stage.injected]
    for stage in slow:
        line = line_of(view, stage)
        later, earlier = after(line, stage), before(line, stage)
        is_end = not later and not pipeline_of(stage.id)
        if not (is_end or (later and runs_ahead(later[0]) and traits(later[0].op).prefetches)):
            places[stage.id] = stage
        if earlier and not runs_ahead(earlier[-1]) and _done_in_turn(earlier) >= MUCH_WORK / 2:
            places[earlier[-1].id] = earlier[-1]
    places = {address: stage for address, stage in places.items() if _handed_over_ms(view, stage) < most_ms}
    if places:
        edits = tuple(InsertStage("prefetch", {"buffer_size": AUTOTUNE}, address) for address in places)
        title = f"Prefetch after {names_of(list(places.values()))}"
        yield proposal_about(slow, title, "works on the thread that waits for it", edits, prefetched=tuple(places))


def _done_in_turn(line: Sequence[StageView]) -> float:
    """The work of the last stages of a line that run on one thread with what reads them."""
    work = 0.0
    for stage in reversed(line):
        if runs_ahead(stage):
            break
        work += share_of(stage)
    return work


@idea("drop-earlier")
def drop_earlier(view: PipelineView) -> Iterator[Proposal]:
    """Shards, skips, filters and shuffles before the maps whose results they drop or hold."""
    for stage in view.stages:
        if stage.injected:
            continue
        moved = position_earlier(view, stage) or filter_earlier(view, stage)
        if moved is not None and moved.kept <= FEWEST_KEPT and share_of(*moved.crossed) >= SOME_WORK:
            yield proposal_about(
                [stage],
                f"{stage.op.capitalize()} before {names_of(moved.crossed)}",
                f"drops {percent(1 - moved.kept)} of what {names_of(moved.crossed)} made",
                moved.edits,
                moved.semantics,
                left=dict.fromkeys((one.id for one in moved.crossed), moved.kept),
            )
        shuffled = shuffle_earlier(view, stage)
        if shuffled is not None:
            why = f"fills with what {names_of(shuffled.crossed)} made before the first element comes out"
            title = f"Shuffle before {names_of(shuffled.crossed)}"
            yield proposal_about([stage], title, why, shuffled.edits, shuffled.semantics)


@idea("cache")
def cache(view: PipelineView) -> Iterator[Proposal]:
    """What gives the same in each epoch, kept in memory: as late as it may stand, or where an element is smaller."""
    joined: dict[str | None, dict[str, CachePlace]] = {}
    for group in busy(view):
        as_one = len(group) > 1 and any(reader_of(pipeline_of(stage.id)) is not None for stage in group)
        for place in filter(None, (kept_after(view, stage) for stage in group)):
            # Of the main line, what has most of the work; of datasets that one stage joins, each; and all that one line
            # of the program makes for several of these.
            reader = reader_of(pipeline_of(place.stage.id))
            key = group[0].id if as_one else reader
            if as_one or reader is not None or reader not in joined:
                joined.setdefault(key, {})[place.stage.id] = place
    for places in joined.values():
        kept = [place.stage for place in places.values()]
        made = [one for stage in kept for one in (*before(line_of(view, stage), stage), stage)]
        parts = {one.id: one for stage in made for one in inside(view, stage)}
        edits = [edit for place in places.values() for edit in place.edits]
        effect = strongest(place.semantics for place in places.values())
        left = dict.fromkeys(parts, 0.0) | {one.id: copied_share(view, one) for one in kept}
        work = percent(share_of(*parts.values()))
        yield replace(
            proposal_about(kept, f"Cache the output of {names_of(kept)}", "", edits, effect, left=left),
            sentence=f"What {names_of(kept)} gives is the same in each epoch, and takes {work} of the pipeline's work.",
        )
    for group in busy(view):
        moved = moved_into_cache(view, group[0])
        if moved:
            moves = [MoveStage(one.id, one.op, stored.id) for one in moved for stored in caches_before(view, one)]
            left = dict.fromkeys((stage.id for stage in moved), 0.0)
            yield proposal_about(
                moved, f"Do {names_of(moved)} before the cache", "runs again in each epoch", moves, left=left
            )
    for stage in view.stages:
        smaller = moved_to_smaller(view, stage) if not stage.injected else None
        if smaller is not None:
            yield replace(
                proposal_about(
                    [stage], f"Cache {size(smaller.nbytes)}, not {size(smaller.now)}", smaller.why, smaller.edits
                ),
                family="memory" if smaller.saves else "speed",
                predicted=Predicted(formula=smaller.why, peak_rss_delta_bytes=round(smaller.nbytes - smaller.now))
                if smaller.saves
                else None,
                left={} if smaller.saves else {stage.id: SOME_WORK},
            )


@idea("default-options")
def default_options(view: PipelineView) -> Iterator[Proposal]:
    """What a program has turned off, on; and a thread of the pool for each core."""
    edits = [SetOption(path, value=True) for path in SWITCHES if view.options.get(path) is False]
    wanted = math.ceil(view.cores)
    for path, value in ((POOL, wanted), (CPU_BUDGET, 0)):
        now = view.options.get(path)
        if isinstance(now, int) and not isinstance(now, bool) and 0 < now < wanted:
            edits.append(SetOption(path, value))
    if edits:
        random: Semantics = "randomness" if any(map(is_random, view.stages)) else "same"
        paths = listed([edit.path for edit in edits])
        sentence = f"The program sets {paths}, which holds TensorFlow back."
        maps = [one for one in view.stages if traits(one.op).maps and is_plain(one) and _can_be_parallel(view, one)]
        on = any(edit.value is True for edit in edits)
        end = [one for one in view.stages if not pipeline_of(one.id)][-1:]
        prefetched = tuple(one.id for one in end if on and not runs_ahead(one))
        calls = {one.id: wanted for one in maps if on}
        about = proposal_about(view.stages[:1], "", "", edits, random, calls=calls, prefetched=prefetched)
        yield replace(about, sentence=sentence)


@idea("parallel-files")
def parallel_files(view: PipelineView) -> Iterator[Proposal]:
    """Several files at a time of a reader, or of what opens datasets: 16 and a thread for each where reading waits."""
    seen: list[tuple[PipelineEdit, ...]] = []
    for group in busy(view):
        readers = [_opener(view, stage) for stage in group]
        edits = tuple(edit for reader in readers if reader is not None for edit in _many_files(view, reader))
        if edits and edits not in seen:
            seen.append(edits)
            about = [reader for reader in readers if reader is not None]
            waiting = any(isinstance(edit, SetArgument) and edit.argument == CYCLE for edit in edits)
            calls = WAITING_CALLS if waiting or any(isinstance(edit, ReplaceStages) for edit in edits) else 0
            yield proposal_about(
                about,
                f"Read several inputs of {names_of(about)} at a time",
                "reads one after the other, and waits" if waiting else "reads one after the other",
                (*edits, *_threads(view, WAITING_CALLS if waiting else 0)),
                "order",
                calls={one.id: calls or math.ceil(view.cores) for one in about if waiting or _is_large(view, one)},
            )


def _is_large(view: PipelineView, stage: StageView) -> bool:
    """Whether reading what a stage gives takes longer than handing it from thread to thread."""
    return sum(one.ms_per_batch or 0.0 for one in inside(view, stage)) > 2 * _handed_over_ms(view, stage)


def _opener(view: PipelineView, stage: StageView) -> StageView | None:
    """The stage that opens what a stage reads: itself, or the one in whose function it is; None without."""
    at: StageView | None = stage
    while at is not None:
        row = traits(at.op)
        if row.opens or (row.reads_examples and row.wrapped and at.owner is None):
            return at
        at = view.by_id.get(at.owner or "")
    return None


def _many_files(view: PipelineView, stage: StageView) -> tuple[PipelineEdit, ...]:
    row, waiting = traits(stage.op), any(map(waits, inside(view, stage)))
    files, below = stage.arguments.get("filenames"), view.input_of(stage)
    single = isinstance(files, str) or (isinstance(files, Sequence) and len(files) == 1)
    if parallelism(stage) >= (WAITING_CALLS if waiting else 2) or (runs_ahead(stage) and not waiting) or single:
        return ()
    if below is not None and traits(below.op).windows:
        return ()
    if not row.opens:
        return (SetArgument(stage.id, stage.op, READS, AUTOTUNE),)
    values = {CYCLE: WAITING_CALLS, CALLS: WAITING_CALLS} if waiting else {CALLS: AUTOTUNE}
    if stage.written is not None and not row.parallel:
        # A spec's flat_map has no such arguments: it becomes an interleave.
        return (ReplaceStages((stage.id,), (NewStage("interleave", {**stage.written, **values}),)),)
    return tuple(SetArgument(stage.id, stage.op, name, value) for name, value in values.items())


@idea("process-environment")
def process_environment(view: PipelineView) -> Iterator[Proposal]:
    """An allocator that returns freed memory, and one thread for the libraries of Python functions."""
    for kind, wanted in allocator_settings(view).items():
        nbytes = slack_bytes(view, kind)
        if wanted and matters(view, nbytes):
            where = "TensorFlow's pool" if kind == "pool" else "glibc's heap"
            yield replace(
                proposal_about(view.stages[:1], "Let the allocator return freed memory", "", environment_edits(wanted)),
                family="memory",
                sentence=f"At the peak, {where} held {size(nbytes)} that nothing used any more.",
                predicted=Predicted(formula=f"at most -{size(nbytes)}", peak_rss_delta_bytes=-nbytes),
            )
    facts = view.facts
    if facts is None or facts.runnable_wait_share is None or facts.others_cores is None:
        return
    python = [stage for group in busy(view) for stage in group if runs_python(stage) and may_start_threads(stage)]
    wanted = not_set(view, ONE_THREAD)
    own = facts.others_cores < OTHERS_CORES * view.cores and facts.runnable_wait_share >= WAITING_FOR_A_CORE
    if python and wanted and own and not any(waits_for_gil(view, stage) for stage in python):
        why = f"runs Python whose threads wait for a core {percent(facts.runnable_wait_share)} of the time"
        title = "Give the libraries of Python functions one thread"
        yield proposal_about(python, title, why, environment_edits(wanted))


IDEAS: Final = (
    cache,
    default_options,
    drop_earlier,
    fewer_calls,
    parallel_calls,
    parallel_files,
    parse_in_batches,
    prefetch_between,
    process_environment,
    whole_batches,
    windows_at_once,
)
