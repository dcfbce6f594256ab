"""Edits that fit the stage with most of the work, whether or not a rule has found something: pure functions.

They are guesses. None of them is reported unless it was measured to help.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
    supports,
    to_document,
)
from pipeprof.pipelines.changes.in_spec import arguments_of, can_change
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import joined_lines, line_of, main_line, on_main_line, within
from pipeprof.profiles.model.predict import predicted_in_parallel
from pipeprof.profiles.model.read import POOL_OPTION, flow_of
from pipeprof.profiles.propose.finding import MEASURED
from pipeprof.profiles.propose.proposal import SEMANTICS, Prediction, Proposal
from pipeprof.profiles.time.top_stage import MOST_FROM, are_twins, unknown_stages
from pipeprof.profiles.verify.guessing.caching import (
    LONGEST_EPOCH,
    CachePoint,
    Caches,
    cache_in_words,
    cache_point,
    maps_to_cache,
)
from pipeprof.profiles.verify.guessing.many_calls import (
    PARALLEL_CALLS,
    WAITING_CALLS,
    as_many_as_cores,
    draws,
    many_opened,
    more_at_a_time,
    several_at_a_time,
    taking_turns,
    words_of,
)
from pipeprof.profiles.verify.guessing.random_order import as_redrawn
from pipeprof.profiles.verify.guessing.reordering import reordered
from pipeprof.profiles.verify.guessing.whole_batches import batch_after, in_words, maps_in_a_row
from pipeprof.profiles.verify.stages import pays, runs_python
from pipeprof.profiles.wording import call_around, cores_text, listed, stage_name

MUCH_WORK = 0.2
"""Share of the pipeline's work from which a map that is not the bottleneck is tried on whole batches."""
_OPTIMIZATION: Final = "experimental_optimization."
_SWITCHES: Final = (
    "autotune.enabled",
    f"{_OPTIMIZATION}apply_default_optimizations",
    f"{_OPTIMIZATION}map_parallelization",
    f"{_OPTIMIZATION}map_and_batch_fusion",
    f"{_OPTIMIZATION}inject_prefetch",
    f"{_OPTIMIZATION}parallel_batch",
)
"""Options that are on unless a program turns them off (`tf.data.Options`, TensorFlow 2.21)."""
_CPU_BUDGET: Final = "autotune.cpu_budget"
"""Cores that TensorFlow counts on when it chooses numbers of calls; 0 for all."""
SOME_WORK = 0.05
"""Share of the pipeline's work from which what a stage of a joined dataset makes is worth a cache."""


def cache_points(profile: Profile, limit: int | None, longest: float = LONGEST_EPOCH) -> tuple[CachePoint, ...]:
    """Return where the datasets that one stage joins can keep what their slowest stages make; empty where none can.

    Args:
        limit: Memory limit in bytes, for all caches together; None for none.
        longest: Seconds of an epoch that a trial can wait for.
    """
    for lines in joined_lines(profile, main_line(profile)):
        each = limit // len(lines) if limit is not None else None
        points = [_point(profile, line, each, longest) for line in lines]
        found = tuple(point for point in points if point is not None)
        # Elements that belong together stay together only in the order in which they are.
        if found and (_takes_one_of(profile, lines) or all(point.semantics == "same" for point in found)):
            return found
    return ()


def _point(profile: Profile, line: Sequence[Stage], limit: int | None, longest: float) -> CachePoint | None:
    place = max(range(len(line)), key=lambda one: line[one].share or 0.0)
    if (line[place].share or 0.0) < SOME_WORK:
        return None
    return cache_point(profile, line, place, limit, longest)


def _takes_one_of(profile: Profile, lines: Sequence[Sequence[Stage]]) -> bool:
    """Whether an element of the stage that joins datasets is one of theirs, and not made of one of each."""
    owners = (one for one in profile.stages or () if within(lines[0][0].id, one.id))
    op = max(owners, key=lambda one: len(one.id)).op
    return traits(op).combines and not traits(op).one_to_one


def as_by_default(options: Mapping[str, Any], cores: float) -> tuple[SetOption, ...]:
    """Return the edits that turn on what a program has turned off, and give functions a thread for each core.

    Args:
        options: Of the pipeline, by their dotted path.

    Example:
        >>> as_by_default({"autotune.enabled": False, "threading.private_threadpool_size": 1}, 2.0)
        (SetOption(path='autotune.enabled', value=True), SetOption(path='threading.private_threadpool_size', value=2))
    """
    found = [SetOption(path, value=True) for path in _SWITCHES if options.get(path) is False]
    wanted = math.ceil(cores)
    for path, value in ((POOL_OPTION, wanted), (_CPU_BUDGET, 0)):
        now = options.get(path)
        if isinstance(now, int) and not isinstance(now, bool) and 0 < now < wanted:
            found.append(SetOption(path, value))
    return tuple(found)


def guesses(
    profile: Profile,
    data: Mapping[str, Any] | None = None,
    limit: int | None = None,
    longest_epoch: float = LONGEST_EPOCH,
) -> list[Proposal]:
    """Return what to try at the stages that set the pace, most promising first; nothing that a finding proposes.

    Args:
        profile: Of a complete run, with its verdict and findings.
        limit: Memory limit in bytes; None for none.
        longest_epoch: Seconds of an epoch up to which a cache is proposed.
    """
    if not pays(profile):
        return []
    proposed = [finding.edits for finding in (*(profile.findings or ()), *profile.proposals)]
    is_spec = profile.target.kind == "spec"
    hidden = frozenset() if is_spec else _inside_calls(profile)
    by_id = {stage.id: stage for stage in profile.stages or ()}
    found = []
    caches = partial(_cached, profile, limit=limit, longest=longest_epoch)
    for guess in (
        *_together(profile),
        *_as_many_as_cores(profile),
        *_by_default(profile),
        *_at_the_bottleneck(profile, data, caches),
    ):
        edits = guess.edits
        in_spec = is_spec and data is not None and can_change(data, edits)
        by_hand = is_spec and not in_spec
        if not hidden.isdisjoint(_named_by(edits)):
            continue
        if tuple(edits) in proposed or (
            by_hand and (data is None or not all(supports(edit, "calls") for edit in edits))
        ):
            continue
        at = guess.stage or ""
        location = by_id[at].location or by_id[on_main_line(at) or at].location
        made = replace(
            guess, rule=MEASURED, edits=tuple(edits), in_spec=in_spec, location=location, recommendation=guess.change
        )
        found.append(as_redrawn(profile, made))
    return found


def _inside_calls(profile: Profile) -> frozenset[str]:
    """The stages that TensorFlow makes inside of one call of the user's, where no line of code can be changed.

    What its last stage gives is what the call gives.
    """
    calls: dict[tuple[object, ...], list[Stage]] = {}
    for stage in profile.stages or ():
        place = stage.location
        if place is not None and stage.library is None and call_around(stage.op, place):
            calls.setdefault((place.file, place.line, place.column, place.call), []).append(stage)
    return frozenset(
        stage.id
        for stages in calls.values()
        for stage in stages
        if stage is not max(stages, key=lambda one: (-one.depth, one.id))
    )


def _named_by(edits: Iterable[PipelineEdit]) -> frozenset[str]:
    """Addresses that edits name."""
    documents = [to_document(edit) for edit in edits]
    return frozenset(value for one in documents for value in one.values() if isinstance(value, str))


def _at_the_bottleneck(profile: Profile, data: Mapping[str, Any] | None, caches: Caches) -> Iterator[Proposal]:
    """What fits the stage with most of the work."""
    line = main_line(profile)
    named = profile.verdict.stage if profile.verdict is not None else None
    place = next((place for place, stage in enumerate(line) if stage.id == on_main_line(named)), None)
    if place is None:
        place = max(range(len(line)), key=lambda one: line[one].share or 0.0, default=None)
    if place is None:
        return
    if named is None and (line[place].share or 0.0) < MUCH_WORK:
        yield from _without_bottleneck(profile, line, caches)
        return
    inside = next((stage for stage in profile.stages or () if stage.id == named), line[place])
    twins = [stage for stage in profile.stages or () if are_twins([inside, stage])]
    own = (*_inside(line[place], inside), *_more_at_a_time(profile, inside), *_guesses(line, place, data, caches))
    for guess in (
        *_many_opened(profile, line[place], data),
        *(_at_all(profile, twins) if len(twins) > 1 else own),
        *_cached_at(line, place, caches),
        *(guess for guess in _elsewhere(line, place) if guess.stage not in {stage.id for stage in twins}),
    ):
        yield replace(guess, stage=guess.stage or line[place].id)


def _cached_at(line: Sequence[Stage], place: int, caches: Caches) -> list[Proposal]:
    """Caches of what a stage makes; where none can be, those of what another one with most of the work makes."""
    most = max(range(len(line)), key=lambda one: line[one].share or 0.0)
    found = list(caches(line, place))
    return found or (list(caches(line, most)) if (line[most].share or 0.0) >= MOST_FROM else [])


def _without_bottleneck(profile: Profile, line: Sequence[Stage], caches: Caches) -> Iterator[Proposal]:
    """What helps whichever of the stages of unknown cost it is: their work done once, or ahead."""
    epochs = profile.steps.epochs if profile.steps is not None else 0
    unknown = {on_main_line(stage.id) for stage in unknown_stages(profile.stages, epochs)}
    last = max((place for place, stage in enumerate(line) if stage.id in unknown), default=None)
    if last is None:
        return
    for guess in (*caches(line, last), _prefetched(line[-1], "Prefetch at the end")):
        if not (guess.stage is None and traits(line[-1].op).prefetches):
            yield replace(guess, stage=guess.stage or line[last].id)


def _at_all(profile: Profile, twins: Sequence[Stage]) -> Iterator[Proposal]:
    """What fits each of the stages that one line of the program makes, in all of them at once."""
    joined: dict[str, list[Proposal]] = {}
    for stage in twins:
        line = line_of(profile, stage.id)
        place = [one.id for one in line].index(stage.id)
        for guess in (*_more_at_a_time(profile, stage), *_guesses(line, place, None, lambda *_: ())):
            joined.setdefault(guess.title.replace(stage_name(stage), ""), []).append(guess)
    for found in joined.values():
        if len(found) == len(twins):
            edits: list[PipelineEdit] = []
            for guess in found:
                edits += [edit for edit in guess.edits if edit not in edits]
            yield replace(
                found[0],
                change=f"{found[0].change}; this line makes {len(found)} such stages, all of them change",
                edits=tuple(edits),
                semantics=max((guess.semantics or "same" for guess in found), key=SEMANTICS.index),
                stage=twins[0].id,
            )


def _together(profile: Profile) -> Iterator[Proposal]:
    """Several calls in all slow stages that take turns on one thread: in one of them alone the others stay."""
    stages = taking_turns(profile, flow_of(profile))
    if stages:
        edits = several_at_a_time(profile, stages)
        names = listed(list(dict.fromkeys(stage_name(stage) for stage in stages)))
        yield Proposal(
            f"Run {names} in parallel, all at once",
            f"{words_of(edits)}, in {len(stages)} stages",
            edits,
            draws(stages),
            stage=stages[0].id,
        )


def _as_many_as_cores(profile: Profile) -> Iterator[Proposal]:
    """Calls and threads for the cores that there are, where the program has set many more."""
    edits, cores = as_many_as_cores(profile), cores_text(math.ceil(profile.host.cores or 1.0))
    stages = [edit.stage for edit in edits if isinstance(edit, SetArgument)]
    line = main_line(profile)
    if edits and line:
        calls = round(sum(stage.parallelism or 1.0 for stage in profile.stages or () if stage.id in stages))
        many = f"{calls} calls" if calls else f"{(profile.options or {})[POOL_OPTION]} threads"
        yield Proposal(
            f"Run no more calls and threads than {cores} can",
            f"{words_of(edits)}{f', in {len(stages)} stages' if len(stages) > 1 else ''}: {many} take turns on {cores}",
            edits,
            draws(profile.stages or ()),
            stage=stages[0] if stages else line[0].id,
        )


def _by_default(profile: Profile) -> Iterator[Proposal]:
    """Options as TensorFlow has them, where the program has turned some off or made the pool smaller than the cores."""
    options, line = profile.options or {}, main_line(profile)
    edits = as_by_default(options, profile.host.cores or 1.0)
    if edits and line:
        values = [(edit.path, str(edit.value).lower()) for edit in edits]
        yield Proposal(
            "Use TensorFlow's default options",
            ", ".join(f"options.{path}: {str(options[path]).lower()} → {value}" for path, value in values),
            edits,
            draws(profile.stages or []),
            stage=line[0].id,
        )


def _more_at_a_time(profile: Profile, stage: Stage) -> Iterator[Proposal]:
    """More calls than the user has set."""
    edits = more_at_a_time(profile, stage)
    if edits:
        name, now = stage_name(stage), f"{round(stage.parallelism or 1.0)}"
        before = f"{AUTOTUNE}, which chose {now}," if stage.tunable else now
        yield Proposal(
            f"Run more calls of {name} at a time",
            words_of(edits).replace(": ", f": {before} → ", 1),
            edits,
            draws([stage]),
            stage=stage.id,
        )


def _guesses(line: Sequence[Stage], place: int, data: Mapping[str, Any] | None, caches: Caches) -> Iterator[Proposal]:
    """What fits the kind of a stage, and its neighbours."""
    stage = line[place]
    name = stage_name(stage)
    following = line[place + 1] if place + 1 < len(line) else None
    yield from _all_vectorised(line, place)
    yield from _vectorised(line, place)
    yield from _in_parallel(stage)
    if traits(stage.op).opens and not traits(stage.op).parallel:
        yield from _interleaved(stage, data)
    if stage.op == "map" and not runs_python(stage) and stage.random is False:
        yield from reordered(line, place, caches)
    ahead = executed(stage.tf_op).asynchronous if stage.tf_op is not None else False
    # The end of the pipeline has rules of its own.
    read = following is not None or pipeline_of(stage.id)
    if read and not (following is not None and traits(following.op).prefetches) and not ahead:
        yield _prefetched(stage, f"Prefetch after {name}")
    before = line[place - 1] if place else None
    if before is not None and _works_in_turn(before):
        yield _prefetched(before, f"Prefetch before {name}")


def _vectorised(line: Sequence[Stage], place: int) -> Iterator[Proposal]:
    """A map's function on the batches that its elements go into."""
    stage, name = line[place], stage_name(line[place])
    batch = batch_after(line, place)
    if batch is not None:
        edit, title = VectoriseMap(stage.id, batch.id), f"Apply {name} to whole batches"
        yield Proposal(title, in_words([stage], batch), (edit,), draws([stage]), stage=stage.id)


def _all_vectorised(line: Sequence[Stage], place: int) -> Iterator[Proposal]:
    """Several maps in a row on the batches that their elements go into: the last one moves first."""
    maps = maps_in_a_row(line, place, MUCH_WORK)
    batch = batch_after(line, line.index(maps[-1])) if len(maps) > 1 else None
    if batch is None:
        return
    edits = tuple(VectoriseMap(stage.id, batch.id) for stage in reversed(maps))
    names = listed([stage_name(stage) for stage in maps])
    yield Proposal(f"Apply {names} to whole batches", in_words(maps, batch), edits, stage=line[place].id)


def _elsewhere(line: Sequence[Stage], place: int) -> Iterator[Proposal]:
    """Others than the bottleneck with much of the work: in parallel, or on whole batches, where a call costs more."""
    for other, stage in enumerate(line):
        if other != place and (stage.share or 0.0) >= MUCH_WORK:
            yield from (replace(guess, stage=stage.id) for guess in _in_parallel(stage) if traits(stage.op).maps)
            yield from _vectorised(line, other)


def _works_in_turn(stage: Stage) -> bool:
    """Whether a stage computes or reads on the thread of the stage after it."""
    row = traits(stage.op)
    ahead = stage.tf_op is not None and executed(stage.tf_op).asynchronous
    return not (row.prefetches or row.cheap or ahead)


def _prefetched(stage: Stage, title: str) -> Proposal:
    return Proposal(
        title,
        f"insert prefetch(buffer_size={AUTOTUNE}) after {stage_name(stage)}",
        (InsertStage("prefetch", {"buffer_size": AUTOTUNE}, stage.id),),
    )


def _in_parallel(stage: Stage) -> Iterator[Proposal]:
    """Several calls at a time, or several files of a source."""
    name, row = stage_name(stage), traits(stage.op)
    if row.parallel and not _is_parallel(stage):
        yield Proposal(
            f"Run {name} in parallel",
            f"num_parallel_calls: not set → {AUTOTUNE}",
            (SetArgument(stage.id, stage.op, PARALLEL_CALLS, AUTOTUNE),),
            "randomness" if stage.random else "same",
        )
    elif row.reads_examples and row.wrapped and not _is_parallel(stage):
        yield Proposal(
            f"Read several files of {name} at a time",
            f"num_parallel_reads: not set → {AUTOTUNE}",
            (SetArgument(stage.id, stage.op, "num_parallel_reads", AUTOTUNE),),
            "order",
        )


def _inside(owner: Stage, stage: Stage) -> Iterator[Proposal]:
    """What can be tried at a stage that another one's function makes."""
    if stage.id != owner.id:
        yield from (replace(guess, stage=stage.id) for guess in _in_parallel(stage))


def _interleaved(stage: Stage, data: Mapping[str, Any] | None) -> Iterator[Proposal]:
    """The datasets of a stage's function in parallel instead of one after the other."""
    edits = _as_interleave(stage, (SetArgument(stage.id, stage.op, PARALLEL_CALLS, AUTOTUNE),), data)
    if edits:
        yield Proposal(
            f"Interleave what {stage_name(stage)} reads",
            f"{stage.op} → interleave(num_parallel_calls={AUTOTUNE})",
            edits,
            "order",
        )


def _many_opened(profile: Profile, stage: Stage, data: Mapping[str, Any] | None) -> Iterator[Proposal]:
    """Many datasets at a time where opening or reading them waits."""
    arguments, options = many_opened(profile, stage)
    edits = _as_interleave(stage, arguments, data)
    if edits:
        values = ", ".join(f"{edit.argument}={edit.value}" for edit in arguments)
        parallel = traits(stage.op).parallel
        change = values.replace("=", ": ") if parallel else f"{stage.op} → interleave({values})"
        pools = "".join(f"; options.{edit.path}: {edit.value}" for edit in options)
        yield Proposal(
            f"Read {WAITING_CALLS} at a time in {stage_name(stage)}",
            f"{change}{pools}",
            (*edits, *options),
            "order",
            stage=stage.id,
            predicted=_expected_of_many(profile, stage),
        )


def _expected_of_many(profile: Profile, stage: Stage) -> Prediction | None:
    flow = flow_of(profile)
    found = predicted_in_parallel(flow, stage.id, WAITING_CALLS, WAITING_CALLS) if flow is not None else None
    return Prediction(found.formula, found.speedup) if found is not None else None


def _as_interleave(
    stage: Stage, arguments: Sequence[SetArgument], data: Mapping[str, Any] | None
) -> tuple[PipelineEdit, ...]:
    """The edits that set these arguments; in a spec, what has no such arguments becomes an `interleave`."""
    if data is None or traits(stage.op).parallel or not arguments:
        return tuple(arguments)
    written = arguments_of(data, stage.id)
    if written is None:
        return ()
    given = {edit.argument: edit.value for edit in arguments}
    return (ReplaceStages((stage.id,), (NewStage("interleave", {**written, **given}),)),)


def _cached(
    profile: Profile, line: Sequence[Stage], place: int, *, limit: int | None, longest: float
) -> Iterator[Proposal]:
    """A cache of what a stage gives, or a later one; with a shuffle and a repeat after it where they were before it.

    Where there is a cache already, maps after it go before it. Where datasets are joined in another way in each epoch,
    each of them has a cache.
    """
    kept = maps_to_cache(profile, line, place, limit, longest)
    if kept is not None:
        cache, maps = kept
        names = listed([stage_name(stage) for stage in maps])
        yield Proposal(
            f"Do {names} before the cache",
            f"move {names} before {stage_name(cache)}: pays off from the second epoch",
            tuple(MoveStage(stage.id, stage.op, cache.id) for stage in maps),
        )
    point = cache_point(profile, line, place, limit, longest)
    points = (point,) if point is not None else cache_points(profile, limit, longest)
    if points:
        named = list(dict.fromkeys(stage_name(point.stage) for point in points))
        changes = list(dict.fromkeys(map(cache_in_words, points)))
        where = f", for each of {len(points)} joined datasets" if len(points) > len(changes) else ""
        yield Proposal(
            f"Cache {named[0]}'s output" if len(named) == 1 else f"Cache the output of {listed(named)}",
            f"{'; '.join(changes)}{where}: pays off from the second epoch",
            tuple(edit for point in points for edit in point.edits),
            max((point.semantics for point in points), key=SEMANTICS.index),
            stage=points[0].stage.id,
        )


def _is_parallel(stage: Stage) -> bool:
    """Whether its function runs for several elements at a time already."""
    return stage.parallelism is not None and stage.parallelism > 1.5
