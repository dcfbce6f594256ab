"""What changes the data without an error: orders and random numbers that stay the same, stages that do nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, SetArgument
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.static.slips import Slip
from pipeprof.profiles.advise.check import finding
from pipeprof.profiles.advise.facts.byte_gate import (
    describe_order,
    in_function,
    nothing_to_keep,
    regrouped,
    upstream,
    without,
)
from pipeprof.profiles.advise.facts.caching import freezes, frozen_by
from pipeprof.profiles.advise.proposal import Proposal, Semantics
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.view.view import PipelineView, StageView, owners
from pipeprof.profiles.wording import as_typed, listed

BATCHES_IN_BUFFER: Final = 10
"""Batches of single elements that a shuffle should hold: with fewer, a batch of sorted data has less than half of the
classes."""
POLICY: Final = "experimental_distribute.auto_shard_policy"
LOADING: Final = ("ReadFile", "Decode", "Parse", "ExtractJpegShape")
"""Beginnings of ops without whose results there is nothing to cache."""
_DRAWS: Final = {
    "tf.random.uniform([])": ("rand", "random", "random_sample"),
    "tf.random.uniform([], low, high)": ("uniform",),
    "tf.random.uniform([], low, high, tf.int64)": ("integers", "randint", "randrange"),
    "tf.random.normal([], mean, stddev)": ("gauss", "normal", "normalvariate"),
    "tf.random.normal([])": ("randn", "standard_normal"),
}
"""What draws one number as functions of NumPy and Python do, by their names; of several numbers the shape differs."""


@finding("batch-before-shuffle", "correctness", "values")
def batch_before_shuffle(view: PipelineView) -> Iterator[Proposal]:
    """A shuffle of whole batches that nothing mixes before it, and nothing takes apart after it."""
    for stage in view.stages:
        below, buffer = view.input_of(stage), stage.arguments.get("buffer_size")
        if not traits(stage.op).shuffles or stage.injected or below is None or not isinstance(buffer, int):
            continue
        batches = _batches(view, below) if buffer > 1 and below.elements != 1 else []
        each = batches[0].arguments.get("batch_size") if batches else None
        if not isinstance(each, int) or each < 2 or any(_is_mixed(view, batch) for batch in batches):
            continue
        # What a cache after it freezes is another finding.
        if regrouped(view, stage) or frozen_by(view, stage) is not None:
            continue
        single = view.input_of(batches[0])
        count = single.elements if single is not None and (single.elements or 0) > 0 else None
        wanted = max(buffer, BATCHES_IN_BUFFER * each)
        wanted = min(wanted, count) if count is not None else wanted
        between = _between(view, stage, batches[0])
        movable = stage.op == "shuffle" and len(batches) == 1 and not any(traits(one.op).stores for one in between)
        size = SetArgument(stage.id, stage.op, "buffer_size", wanted)
        yield Proposal(
            stage=stage.id,
            sentence=f"{stage.label} shuffles batches: the same {each:,} neighbours stay together in every epoch.",
            recommendation=(
                f"Shuffle before the batch, with a buffer of {wanted:,} elements: {describe_order(wanted, count)}; "
                f"now {describe_order(buffer, count, each)}."
            ),
            evidence={"batch_size": each, "buffer_size": buffer, "proposed_buffer_size": wanted},
            edits=(size, MoveStage(stage.id, stage.op, before=batches[0].id)) if movable else (),
        )


def _batches(view: PipelineView, stage: StageView | None) -> list[StageView]:
    """The batches that come out of a stage unchanged, one for each side of a zip; empty if they are not batches."""
    while stage is not None and _keeps_batches(stage):
        stage = view.input_of(stage)
    if stage is None:
        return []
    if traits(stage.op).stacks:
        return [stage]
    if not (traits(stage.op).combines and traits(stage.op).one_to_one):
        return []
    sides = [_batches(view, view.by_id.get(side)) for side in stage.inputs]
    return [batch for side in sides for batch in side] if sides and all(sides) else []


def _keeps_batches(stage: StageView) -> bool:
    row = traits(stage.op)
    return (row.passes or row.one_to_one) and not row.reorders and not row.combines


def _between(view: PipelineView, stage: StageView, earlier: StageView) -> list[StageView]:
    return list(takewhile(lambda one: one.id != earlier.id, _below_in_line(view, stage)))


def _is_mixed(view: PipelineView, batch: StageView) -> bool:
    """Whether a batch may hold other elements each time, or their order is unknown."""
    return any(
        traits(stage.op).reorders
        or (traits(stage.op).names_files and stage.arguments.get("shuffle", True) is not False)
        for stage in upstream(view, batch)
    )


@finding("cache-after-augment", "correctness", "values")
def cache_after_augment(view: PipelineView) -> Iterator[Proposal]:
    """A cache that keeps what a map drew at random."""
    for cache in view.stages:
        if not freezes(view, cache):
            continue
        # Of what an earlier cache keeps, that one is the finding.
        since = upstream(view, cache, ends=lambda one: traits(one.op).stores and not in_function(view, one))
        random = [stage for stage in since if traits(stage.op).maps and _draws(stage)]
        if not random:
            continue
        first, below = random[-1], view.input_of(random[-1])
        edits: tuple[PipelineEdit, ...] = ()
        if any(in_function(view, stage) and stage.owner != cache.owner for stage in random):
            advice = f"Move the random part of {first.label} into a map of its own, after the cache."
        elif any(op.startswith(LOADING) for op in (first.function.ops if first.function else None) or ()):
            advice = f"Split {first.label}: reading and decoding before the cache, the random part after it."
        elif below is not None and nothing_to_keep(view, below):
            edits = (without(cache),)
            advice = f"Remove the cache: nothing before {first.label} is worth keeping."
        else:
            edits = (MoveStage(cache.id, cache.op, before=first.id),)
            advice = f"Move the cache before {first.label}: what comes after it runs in every epoch."
        names = listed([stage.label for stage in reversed(random)])
        yield Proposal(
            stage=cache.id,
            sentence=(
                f"{cache.label} keeps what {names} {'draw' if random[1:] else 'draws'} at random: every epoch repeats "
                "the random values of the first."
            ),
            recommendation=advice,
            evidence={"random_stage": first.id, "random_stages": len(random)},
            edits=edits,
        )


def _draws(stage: StageView) -> bool:
    return stage.function is not None and stage.function.random is True


@finding("cache-after-shuffle", "correctness", "order")
def cache_after_shuffle(view: PipelineView) -> Iterator[Proposal]:
    """A cache in memory that keeps one order of a shuffle for all epochs."""
    kept: dict[str, list[StageView]] = {}
    for shuffle in view.stages:
        cache = frozen_by(view, shuffle) if _reshuffles(shuffle) and not traits(shuffle.op).repeats else None
        if cache is not None and cache.op == "cache" and not cache.arguments.get("filename"):
            kept.setdefault(cache.id, []).append(shuffle)
    for address, shuffles in kept.items():
        cache = view.by_id[address]
        # Once the order changes after the cache, the one before it does no harm.
        if any(view.ever_after(stage, "mixes", _mixes) for stage in (cache, *owners(view, cache))):
            continue
        paths = [(shuffle, _path(view, shuffle, cache)) for shuffle in shuffles]
        # With a repeat between, the cache holds several epochs.
        once = [(shuffle, path) for shuffle, path in paths if not any(traits(one.op).repeats for one in path)]
        if once:
            shuffle, path = once[-1]
            edits, advice, semantics = _shuffled_after(view, cache, shuffle, path)
            what = "batches" if any(traits(one.op).batches for one in path) else "elements"
            yield Proposal(
                stage=cache.id,
                sentence=f"{cache.label} keeps the order that {shuffle.label} drew for the first epoch: every later "
                f"epoch has the same {what} in the same order.",
                recommendation=advice,
                evidence={"shuffle": shuffle.id, "buffer_size": int(shuffle.arguments["buffer_size"])},
                edits=edits,
                semantics=semantics,
            )


def _reshuffles(stage: StageView) -> bool:
    buffer = stage.arguments.get("buffer_size")
    again = stage.arguments.get("reshuffle_each_iteration") is not False
    large = isinstance(buffer, int) and buffer > 1 and stage.elements != 1
    return traits(stage.op).shuffles and not stage.injected and large and again


def _mixes(stage: StageView) -> bool:
    """Whether the order changes at a stage after the cache."""
    return _reshuffles(stage) if traits(stage.op).shuffles else traits(stage.op).reorders


def _path(view: PipelineView, shuffle: StageView, cache: StageView) -> list[StageView]:
    """The stages that the shuffled elements come through before the cache, nearest to the shuffle first."""
    earlier = {stage.id for stage in upstream(view, cache)}
    later = (above for stage in (shuffle, *owners(view, shuffle)) for above in (stage, *view.above(stage)))
    return [stage for stage in later if stage.id in earlier and stage.id != shuffle.id]


def _shuffled_after(
    view: PipelineView, cache: StageView, shuffle: StageView, path: Sequence[StageView]
) -> tuple[tuple[PipelineEdit, ...], str, Semantics | None]:
    """The edits that put the shuffle after the cache, with the advice and their effect on the data."""
    between = _between(view, cache, shuffle)[::-1]
    first_input = view.input_of(between[0] if between else cache)
    single_line = (
        first_input is not None
        and first_input.id == shuffle.id
        and [one.id for one in between] == [one.id for one in path]
        and all(len(view.readers(one)) == 1 for one in (shuffle, *between))
    )
    if not single_line or not all(_commutes(stage) or traits(stage.op).stacks for stage in between):
        if any(traits(stage.op).batches for stage in path):
            return (), "Shuffle single elements after the cache, and batch after the shuffle.", None
        buffer = cache.elements if (cache.elements or 0) > 0 else None
        if buffer is None and not any(traits(stage.op).regroups for stage in path):
            buffer = int(shuffle.arguments["buffer_size"])
        if buffer is None:
            return (), "Shuffle after the cache, with a buffer for all of its elements.", None
        edit = InsertStage("shuffle", {"buffer_size": buffer}, after=cache.id)
        return (edit,), f"Shuffle after the cache as well, with a buffer of {buffer:,} elements.", None
    first = next((at for at, one in enumerate(between) if not _commutes(one) or _draws(one)), len(between))
    kept = between[:first]
    while kept and traits(kept[-1].op).prefetches:
        kept.pop()
    again = [stage for stage in between[len(kept) :] if not traits(stage.op).prefetches]
    semantics: Semantics | None = "randomness" if any(map(_draws, again)) else None
    runs = ""
    if again:
        runs = f" {listed([one.label for one in again])} then {'run' if again[1:] else 'runs'} in every epoch."
    below = view.input_of(shuffle)
    if not kept and below is not None and nothing_to_keep(view, below):
        return (without(cache),), f"Remove the cache: nothing before {shuffle.label} is worth keeping.{runs}", semantics
    moved = tuple(MoveStage(stage.id, stage.op, before=shuffle.id) for stage in (*kept, cache))
    what = f"{listed([stage.label for stage in kept])} and the cache" if kept else "the cache"
    return moved, f"Move {what} before {shuffle.label}, which then shuffles in every epoch.{runs}", semantics


def _commutes(stage: StageView) -> bool:
    """Whether shuffling after it is the same as before it, so that its results can be cached."""
    row = traits(stage.op)
    passes = row.passes and row.one_to_one and row.consecutive
    return passes or (row.maps and not row.stacks) or (row.predicate and not row.ends_early)


_FEW_EPOCHS = 3
_AGAIN = 0.8
"""Share of the elements of all epochs that the input of a cache gave; where the cache holds, it gives them once."""


@finding("cache-never-complete", "correctness", "same")
def cache_never_complete(view: PipelineView) -> Iterator[Proposal]:
    """A take that ends before the cache in front of it was read to its end."""
    caches = [stage for stage in view.stages if stage.op == "cache" and not stage.injected]
    # Two of them may be one cache in two branches, and the other branch may read it to its end.
    for cache in caches if len(caches) == 1 else ():
        readers, below = view.readers(cache), view.input_of(cache)
        if cache.arguments.get("filename") or in_function(view, cache) or below is None or len(readers) != 1:
            continue
        known = below.elements
        take, count = readers[0], readers[0].arguments.get("count")
        if take.op != "take" or isinstance(count, bool) or not isinstance(count, int) or count <= 0:
            continue
        epochs = 0 if count < (known or 0) else _epochs_read_again(view, below, count)
        if count >= (known or 0) and not epochs:
            continue
        seen = (
            f"{take.label} ends after {count:,} of the {known:,} elements that {cache.label} would keep"
            if not epochs
            else f"{take.label} ends after {count:,} elements, and in each of {epochs:,} epochs what is before "
            f"{cache.label} ran again"
        )
        alike = view.options.get("deterministic") is not False and all(map(_is_alike, upstream(view, cache)))
        yield Proposal(
            stage=cache.id,
            sentence=f"{seen}: a cache that is not read to its end is thrown away, and serves nothing.",
            recommendation=f"Put {take.label} before the cache."
            if alike
            else "Remove the cache; or, if every epoch may have the same elements, put the take before it.",
            evidence={"taken": count, "elements": known or 0},
            edits=(MoveStage(take.id, take.op, before=cache.id) if alike else without(cache),),
        )


def _epochs_read_again(view: PipelineView, below: StageView, count: int) -> int:
    """Epochs of the measured window in each of which a cache took `count` elements of its input anew; 0 if it did not.

    One that is full takes no more: its input has given what it holds once.
    """
    steps = view.profile.steps if view.profile is not None else None
    given = below.measured.elements if below.measured is not None else None
    again = steps is not None and steps.epochs >= _FEW_EPOCHS and (given or 0) >= _AGAIN * count * steps.epochs
    return steps.epochs if steps is not None and again else 0


def _is_alike(stage: StageView) -> bool:
    if stage.arguments.get("deterministic") is False:
        return False
    if traits(stage.op).names_files:
        return stage.arguments.get("shuffle") is False
    if not traits(stage.op).maps:
        return traits(stage.op).same_count
    body = stage.function
    return body is not None and body.random is False and body.python is False


@finding("random-at-tracing", "correctness", "values")
def random_at_tracing(view: PipelineView) -> Iterator[Proposal]:
    """A number of NumPy's or Python's that is drawn once, while TensorFlow traces the function."""
    for slip in _slips(view, "drawn-once"):
        drawn = slip.text.partition("(")[0].rpartition(".")[2]
        call = next((call for call, names in _DRAWS.items() if drawn in names), None)
        if slip.text.startswith("random.randint("):
            # Python's own takes the upper end, too.
            call = "tf.random.uniform([], low, high + 1, tf.int64)"
        yield Proposal(
            sentence=f"`{slip.text}` runs once, while TensorFlow traces the function of {slip.stage}: every element "
            "gets the same number.",
            recommendation=f"Write `{call}` instead." if call else "Draw with an op of `tf.random` instead.",
            location=_place(slip),
        )


@finding("discarded-transformation", "correctness", "values")
def discarded_transformation(view: PipelineView) -> Iterator[Proposal]:
    """A method of a dataset whose result nothing takes."""
    for slip in _slips(view, "discarded"):
        row = traits(slip.stage)
        effect: Semantics = "order" if row.shuffles else "same" if row.passes and row.one_to_one else "values"
        yield Proposal(
            sentence=f"`{slip.text}` returns a new dataset that nothing takes: the pipeline has no such {slip.stage}.",
            recommendation=f"Write `{slip.variable or 'dataset'} = {slip.text}`.",
            location=_place(slip),
            # A cache would repeat what is random before it.
            semantics="values" if row.stores else effect,
        )


def _slips(view: PipelineView, kind: str) -> list[Slip]:
    return [slip for slip in view.slips if slip.kind == kind]


def _place(slip: Slip) -> Location:
    return Location(file=as_typed(str(slip.path)), line=slip.line, column=slip.column)


def _own_shards(view: PipelineView) -> list[StageView]:
    """The shards that the pipeline has written itself, outside of functions, the last one first."""
    root = view.root
    line = [root, *view.below(root)] if root is not None else []
    return [one for one in line if one.owner is None and _parts_of(one) > 1]


def _parts_of(stage: StageView) -> int:
    parts = stage.arguments.get("num_shards")
    return parts if traits(stage.op).cardinality == "share" and isinstance(parts, int) else 0


def _below_in_line(view: PipelineView, stage: StageView) -> list[StageView]:
    """The stages that a stage gets its elements from, nearest first, down to a source or to where lines meet."""
    found: dict[str, StageView] = {}
    at = view.input_of(stage)
    while at is not None and at.id not in found:
        found[at.id] = at
        at = view.input_of(at)
    return list(found.values())


def _reading_stage(view: PipelineView, below: list[StageView]) -> StageView | None:
    """The first of the stages of a line, from its source on, that reads files; None without one that is known to."""
    for stage in reversed(below):
        row = traits(stage.op)
        opens = row.opens and any(traits(one.op).reads_files for one in view.inside(stage))
        reads = row.maps and stage.function is not None and "ReadFile" in (stage.function.ops or ())
        if opens or reads or row.reads_files:
            return stage
    return None


def _draws_order(stage: StageView) -> bool:
    """Whether a stage puts its elements in an order that every process draws anew, because it has no seed."""
    if stage.injected or stage.arguments.get("seed") is not None:
        return False
    if traits(stage.op).names_files:
        return stage.arguments.get("shuffle") is not False
    buffer = stage.arguments.get("buffer_size")
    return traits(stage.op).shuffles and isinstance(buffer, int) and (buffer > 1 or buffer < 0)


@finding("shard-after-read", "correctness", "values")
def shard_after_read(view: PipelineView) -> Iterator[Proposal]:
    """A shard after what reads the files, so that every host reads all of them."""
    for shard in _own_shards(view):
        below, parts = _below_in_line(view, shard), _parts_of(shard)
        reader = _reading_stage(view, below)
        source = below[-1] if below else None
        files = source.elements if source is not None and not traits(source.op).reads_files else None
        # A shard of more parts than there are files cannot divide them.
        if reader is None or source is None or (files is not None and 0 <= files < parts):
            continue
        edits: tuple[PipelineEdit, ...] = ()
        advice = f"Divide the names of the files: list them, shard them, and read them with {source.op} afterwards."
        if reader is not source:
            edits = (MoveStage(shard.id, shard.op, before=below[-2].id),)
            if _draws_order(source):
                edits = (SetArgument(source.id, source.op, "shuffle", value=False), *edits)
            listing = " and list them with shuffle=False" if _draws_order(source) else ""
            advice = f"Shard the names, right after {source.label}{listing}: each host then reads its own files."
        yield Proposal(
            stage=shard.id,
            sentence=f"{shard.label} comes after {reader.label}: each of {parts:,} hosts reads all files and keeps one "
            f"of {parts:,} elements.",
            recommendation=advice,
            evidence={"hosts": parts, **({"files": files} if files else {})},
            edits=edits,
        )


@finding("shuffle-before-shard-unseeded", "correctness", "values")
def shuffle_before_shard_unseeded(view: PipelineView) -> Iterator[Proposal]:
    """An order that every host draws by itself, divided by position."""
    if view.profile is not None and view.profile.seed is not None:
        return
    shards = _own_shards(view)
    for shard in shards:
        below = _below_in_line(view, shard)
        drawn = [stage for stage in below if _draws_order(stage)]
        if drawn:
            shuffle = drawn[-1]
            later = below[: below.index(shuffle)]
            yield _unseeded([shuffle], shard.label, shard, movable=all(map(_only_passes, later)))
    root = view.root
    if not shards and root is not None and view.options.get(POLICY) == "DATA":
        drawn = [stage for stage in (root, *_below_in_line(view, root)) if _draws_order(stage)]
        if drawn:
            yield _unseeded(drawn[::-1], "auto_shard_policy DATA")


def _only_passes(stage: StageView) -> bool:
    return traits(stage.op).passes and traits(stage.op).one_to_one


def _unseeded(
    shuffles: Sequence[StageView], divider: str, shard: StageView | None = None, *, movable: bool = False
) -> Proposal:
    shuffle, names = shuffles[0], listed([stage.label for stage in shuffles])
    edits: tuple[PipelineEdit, ...] = tuple(SetArgument(one.id, one.op, "seed", value=1) for one in shuffles)
    advice = f"Give {names} one seed for all hosts, or divide the data before."
    if shard is not None and traits(shuffle.op).names_files:
        edits = (SetArgument(shuffle.id, shuffle.op, "shuffle", value=False),)
        advice = f"List the names with shuffle=False, and shuffle them after {shard.label}."
    elif shard is not None and movable:
        edits = (MoveStage(shard.id, shard.op, before=shuffle.id),)
        advice = f"Put {shard.label} before {shuffle.label}."
    return Proposal(
        stage=shuffle.id,
        sentence=f"{names} {'have' if shuffles[1:] else 'has'} no seed, so every host draws an order of its own, which "
        f"{divider} divides by position: some elements get to several hosts in an epoch, others to none.",
        recommendation=advice,
        evidence={"shuffle": shuffle.id},
        edits=edits,
        covers=tuple(stage.id for stage in shuffles),
    )


CORRECTNESS: Final = (
    batch_before_shuffle,
    cache_after_augment,
    cache_after_shuffle,
    cache_never_complete,
    discarded_transformation,
    random_at_tracing,
    shard_after_read,
    shuffle_before_shard_unseeded,
)
