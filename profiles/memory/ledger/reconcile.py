"""Reconciliation of the memory ledger: one owner for every byte of the peak, by arithmetic on measurements.

Three things are measured of a running pipeline: resident memory, TensorFlow's live tensors (large ones lie in a pool
of their own) and glibc's heap (small tensors, strings, everything else). TensorFlow's model says how they divide among
the stages. The rest is unexplained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pipeprof.profiles.constants import POOLED_FROM, PYTHON_BLOCK_BYTES, SLOT_BYTES
from pipeprof.profiles.document.base import How
from pipeprof.profiles.memory.ledger.facts import Buffer, Entry, Ledger, LedgerFacts, SourceTensors
from pipeprof.profiles.memory.ledger.heap import (
    WINDOWS_FROM,
    all_holes,
    filled_up,
    heap_free,
    holes_shown,
    in_heap,
    with_holes,
    within_heap,
)
from pipeprof.profiles.memory.ledger.pool import in_chunks, in_use, index_bytes, pool_free, used_again, within_pool
from pipeprof.profiles.memory.ledger.vocabulary import (
    ARROW,
    BUILDING,
    BUILT,
    BUILT_OR_ARROW,
    CHILDREN,
    HEAP,
    IN_FLIGHT,
    INDEX,
    KEPT,
    LEAKED,
    LIBRARIES,
    OBJECTS,
    POOL,
    RESIDUE,
)
from pipeprof.profiles.protocol.messages import MemoryReading
from pipeprof.profiles.wording import size as in_words

LEAST_TENSOR_BYTES = 1_000_000
"""Least bytes of tensors that are reported for a pipeline without an in-memory source."""
_MINOR = 0.1
HELD = "tensors made while it was built"
MAPPED = "mapped files"


def reconcile(facts: LedgerFacts) -> Ledger:
    """Assign every byte of the peak to an owner."""
    base = facts.readings["import"]
    entries = [Entry("runtime", None, base.rss, "measured")]
    entries += _python(facts)
    source, residue = _sources(facts)
    entries += source
    held, counted, holes, buffers = _held_entries(facts)
    entries += held
    listed = {(entry.owner, entry.stage) for entry in held}
    entries += [Entry(owner, stage, 0, "alias") for owner, stage in facts.aliases if (owner, stage) not in listed]
    entries += _build_residue(facts, source, residue)
    slack = _slack(facts, residue, holes, pooled=counted)
    found = _merge_entries(_without_reuse([*entries, *residue, *slack], facts.peak))
    found += _leaked_objects(facts, facts.peak - sum(entry.bytes for entry in found))
    found = [entry for entry in found if entry.bytes or entry.how == "alias"]
    return Ledger(found, facts.peak - sum(entry.bytes for entry in found), buffers)


def _python(facts: LedgerFacts) -> list[Entry]:
    found = [
        Entry("python", None, facts.python, "measured", OBJECTS),
        Entry("python", None, facts.libraries, "measured", LIBRARIES),
        Entry("python", None, facts.children, "measured", CHILDREN),
    ]
    return [entry for entry in found if entry.bytes > 0]


def _sources(facts: LedgerFacts) -> tuple[list[Entry], list[Entry]]:
    """Return the entries of in-memory sources, and of the residue in the pool from creating them."""
    base, made = facts.readings["import"], facts.made
    found: list[Entry] = []
    if facts.files:
        stage = facts.sources[0].stage if len(facts.sources) == 1 else None
        found.append(Entry("source", stage, facts.files, "measured", MAPPED))
    pooled = max(0, (made.live or 0) - (base.live or 0)) if made is not None else 0
    no_arrays = not (facts.sources or facts.captured)
    if made is None or (no_arrays and pooled < LEAST_TENSOR_BYTES):
        return found, []
    # Without an in-memory source: tensors that functions refer to, or temporary ones of the user's code.
    nominal = pooled if no_arrays else sum(source.bytes for source in facts.sources)
    array = facts.arrays
    in_heap = max(0, (made.heap or 0) - (base.heap or 0))
    # A chunk of the pool may be larger than its tensor; untouched pages take no memory.
    tensors = min(nominal, pooled) if pooled >= nominal / 2 else min(nominal, pooled + in_heap)
    if made.live is None:
        tensors = nominal
    residue = _residue(facts, min(1.0, nominal / pooled) if pooled > nominal else 1.0)
    shares = _shares(facts.sources or facts.captured)
    for stage, share in shares:
        found += [
            Entry("source", stage, round(array * share), "measured", "the array"),
            Entry("source", stage, round(tensors * share), "measured", HELD if no_arrays else "TensorFlow's tensors"),
        ]
    known = array + tensors + residue + facts.python + facts.libraries + facts.files
    rest = _copies(facts, known + sum(entry.bytes for entry in _built(facts, known)))
    if facts.is_making:
        words = "copies while it was made"
    else:
        words = "copies in graphs" if _constant(facts) else "a copy that is freed late"
    for stage, share in shares:
        found.append(Entry("source", stage, round(rest * share), "measured", words))
    left = [Entry("source", stage, round(residue * share), "measured", RESIDUE) for stage, share in shares]
    return found, left


def _constant(facts: LedgerFacts) -> bool:
    return bool(facts.captured) or any(source.constant for source in facts.sources)


def _residue(facts: LedgerFacts, touched: float) -> int:
    """Return the pool's growth during the creation of sources and iterator that it no longer used afterwards."""
    base, made = facts.readings["import"], facts.readings.get("iterator")
    if made is None or made.live is None or facts.peak_phase == "build":
        return 0
    peaks = [facts.readings[name].live_peak or 0 for name in ("build", "iterator") if name in facts.readings]
    most = max(peaks, default=0)
    # Bytes that the pool has reused since are no longer free.
    return round(max(0, most - max(made.live + used_again(facts), base.live_peak or 0)) * touched)


def _copies(facts: LedgerFacts, known: int) -> int:
    """Return bytes of copies at the peak: the growth while the source was created, beyond `known`."""
    readings = facts.readings
    base = readings["import"].rss
    if facts.is_making:
        return max(0, facts.peak - facts.children - base - known)
    made, released = readings.get("iterator"), readings.get("released")
    if _constant(facts) and made is not None:
        grown = made.rss - base
        late = _freed_by_conversion(readings) if facts.peak_phase not in ("first",) else 0
        return max(0, grown - late - known)
    if facts.peak_phase == "first" and made is not None and released is not None:
        # Held until the next array is converted, which is after the first element.
        return _freed_by_conversion(readings) or max(0, made.rss - base - known)
    return 0


def _freed_by_conversion(readings: Mapping[str, MemoryReading]) -> int:
    """Return bytes that the next conversion of an array freed."""
    first, released = readings.get("first"), readings.get("released")
    return max(0, first.rss - released.rss) if first is not None and released is not None else 0


def _shares(sources: Sequence[SourceTensors]) -> list[tuple[str | None, float]]:
    total = sum(source.bytes for source in sources)
    if not total:
        return [(sources[0].stage if sources else None, 1.0)]
    return [(source.stage, source.bytes / total) for source in sources if source.bytes]


def _held_entries(facts: LedgerFacts) -> tuple[list[Entry], bool, float, list[Buffer]]:
    """Return entries of held batches and buffers; whether the pool is counted; the heap's holes; the buffers."""
    made, now = facts.readings.get("iterator"), facts.readings.get(facts.peak_phase)
    if facts.is_making or made is None or now is None:
        return [], False, 0.0, []
    buffers = [replace(buffer, bytes=0.0, elements=0.0) if buffer.alias else buffer for buffer in facts.buffers]
    consumer = facts.batch_bytes or 0.0
    in_pool = consumer >= POOLED_FROM
    pool = None if facts.live is None or made.live is None else max(0.0, facts.live - made.live)
    used = in_use(facts)
    most = None if used is None or made.live is None else max(0.0, used - made.live)
    buffers = _as_full(facts, within_pool(facts, within_heap(facts, buffers), most), most)
    buffers = filled_up(buffers, None if pool is None else pool - (consumer if in_pool else 0), pooled=True)
    buffers = with_holes(filled_up(buffers, in_heap(facts, buffers), pooled=False))
    scale = max(1.0, facts.pool_scale * (used / now.live_peak if used and now.live_peak else 1.0))
    buffers = in_chunks(buffers, scale)
    left = None if most is None else max(0.0, most - sum(buffer.in_pool for buffer in buffers))
    passing: list[Entry] = []
    if consumer and (left is None or not in_pool or left > 0):
        mine = consumer if left is None or not in_pool else min(consumer, left)
        left = left - mine if left is not None and in_pool else left
        passing.append(Entry("consumer", None, round(mine), "measured", "the batch in the step"))
    for owner, stage, size in facts.in_flight:
        taken = float(size) if left is None else min(float(size), left)
        left = None if left is None else left - taken
        passing.append(Entry(owner, stage, round(taken), "predicted" if left is None else "measured", IN_FLIGHT))
    if not facts.leaked:
        buffers, left = _at_most_full(buffers, left)
    shown = holes_shown(facts, buffers)
    holes = shown * all_holes(buffers)
    entries = [_entry(buffer, shown) for buffer in buffers]
    if facts.leaked and left:
        # All temporary tensors are counted: other live tensors were never freed.
        leak = Entry("python", None, round(left), "measured", LEAKED)
        return [*entries, *passing, leak], most is not None, holes, buffers
    return [*entries, *_scale_in_flight(passing, left)], most is not None, holes, buffers


def _as_full(facts: LedgerFacts, buffers: list[Buffer], most: float | None) -> list[Buffer]:
    """Buffers that were full at the peak, as far as heap and pool, which grew by `most`, ever had so much."""
    lacking = {
        buffer.stage: buffer.full / buffer.elements - 1
        for buffer in buffers
        if buffer.full and 0 < buffer.elements < buffer.full
    }
    if not lacking:
        return buffers
    pooled = sum(buffer.in_pool * lacking.get(buffer.stage, 0.0) for buffer in buffers)
    small = sum(buffer.in_heap * lacking.get(buffer.stage, 0.0) for buffer in buffers)
    chunks = max(1.0, facts.pool_scale)
    free = None if most is None else most / chunks - sum(buffer.in_pool for buffer in buffers)
    used = in_heap(facts, buffers)
    unused = None if used is None else used - sum(buffer.in_heap for buffer in buffers)
    kinds = [(room, more) for room, more in ((free, pooled), (unused, small)) if room is not None]
    # What elements of the pool take in the heap is too little to limit them.
    part = min([1.0, *(max(0.0, room) / more for room, more in kinds if more > _MINOR * (pooled + small))])

    def grown(one: Buffer) -> Buffer:
        times = 1 + part * lacking.get(one.stage, 0.0)
        return replace(one, bytes=one.bytes * times, elements=one.elements * times, most=one.most * times)

    return [grown(buffer) for buffer in buffers]


def _at_most_full(buffers: list[Buffer], left: float | None) -> tuple[list[Buffer], float | None]:
    """Assign unclaimed pool bytes at the peak to windowing stages, whose size the model never reports."""
    windows = [buffer for buffer in buffers if buffer.windows and not buffer.alias]
    if not windows or not left or left < WINDOWS_FROM:
        return buffers, left
    total = sum(window.bytes for window in windows)

    def more(one: Buffer) -> float:
        return left * (one.bytes / total if total else 1 / len(windows))

    return [
        replace(buffer, bytes=buffer.bytes + more(buffer)) if buffer in windows else buffer for buffer in buffers
    ], 0.0


def _leaked_objects(facts: LedgerFacts, left: int) -> list[Entry]:
    """Assign unowned bytes of a leak to Python's small objects, at most as many as the added blocks can take."""
    made, now = facts.readings.get("iterator"), facts.readings.get(facts.peak_phase)
    if not facts.leaked or made is None or now is None or made.blocks is None or now.blocks is None:
        return []
    return [Entry("python", None, max(0, min(left, PYTHON_BLOCK_BYTES * (now.blocks - made.blocks))), "measured", KEPT)]


def _scale_in_flight(entries: list[Entry], left: float | None) -> list[Entry]:
    """Scale batches in flight to the pool bytes in use that have no owner: their chunks are up to twice as large."""
    inside = [entry for entry in entries if entry.bytes >= POOLED_FROM]
    total = sum(entry.bytes for entry in inside)
    if not left or not total or not any(entry.what == IN_FLIGHT for entry in inside):
        return entries
    scale = 1 + min(1.0, left / total)
    return [
        replace(entry, bytes=round(entry.bytes * scale), chunks=scale) if entry in inside else entry
        for entry in entries
    ]


def _entry(one: Buffer, shown: float) -> Entry:
    if one.alias:
        return Entry(one.owner, one.stage, 0, "alias")
    total = round(one.bytes + (one.overhead + one.holes * shown) * one.elements)
    how: How = "model" if one.counted and not one.windows else "measured"
    return Entry(one.owner, one.stage, total, how, chunks=one.chunks)


def _merge_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Merge entries of the same owner and stage: buffered and in flight."""
    found: dict[tuple[str, str | None, str | None], Entry] = {}
    making: dict[tuple[str, str | None, str | None], int] = {}
    for entry in entries:
        key = entry.owner, entry.stage, None if entry.what == IN_FLIGHT else entry.what
        if key in found and not (entry.how == "alias" or found[key].how == "alias"):
            before = found[key]
            tensors = before.bytes / before.chunks + entry.bytes / entry.chunks
            total = before.bytes + entry.bytes
            found[key] = replace(before, bytes=total, chunks=total / tensors if tensors else 1.0)
            if entry.what == IN_FLIGHT and entry.bytes and found[key].what is None:
                making[key] = making.get(key, 0) + entry.bytes
        else:
            found.setdefault(key, entry)
    for where, nbytes in making.items():
        found[where] = replace(found[where], what=f"{in_words(nbytes)} of it {IN_FLIGHT}", passing=nbytes)
    return [replace(entry, passing=entry.bytes) if entry.what == IN_FLIGHT else entry for entry in found.values()]


def _slack(facts: LedgerFacts, residue: Sequence[Entry], holes: float, *, pooled: bool) -> list[Entry]:
    """Freed memory that the pool and glibc keep."""
    found = []
    now = facts.readings.get(facts.peak_phase)
    if pooled:
        free = pool_free(facts, sum(entry.bytes for entry in residue))
        found.append(Entry("slack", None, free, "measured", POOL))
        found.append(Entry("slack", None, index_bytes(facts), "measured", INDEX))
    if now is not None and not facts.is_making:
        unused = heap_free(facts)
        kept = max(0.0, unused - holes) if unused is not None else facts.trimmed or 0
        found.append(Entry("slack", None, round(kept), "measured", HEAP))
    return found


def _build_residue(facts: LedgerFacts, source: Sequence[Entry], residue: Sequence[Entry]) -> list[Entry]:
    """Return what the build has left: the user's Python objects, and where no source's copies hide it the rest."""
    known = sum(entry.bytes for entry in (*source, *residue)) + facts.python + facts.libraries
    known += 0 if source else facts.files
    built = _built(facts, known)
    base, made = facts.readings["import"], facts.made
    if any(entry.what != MAPPED for entry in source):
        return built
    if facts.is_making:
        grown = facts.peak - facts.children - base.rss - known
    elif made is None:
        return built
    else:
        grown = (made.rss - (made.file or 0)) - (base.rss - (base.file or 0)) - facts.python
        shuffles = [buffer for buffer in facts.buffers if buffer.owner == "shuffle" and not buffer.alias]
        grown -= round(sum(SLOT_BYTES * buffer.elements for buffer in shuffles))
    grown -= sum(entry.bytes for entry in built)
    return [*built, Entry("python", None, max(0, grown), "measured", BUILDING)]


def _built(facts: LedgerFacts, known: int) -> list[Entry]:
    """Return Python objects that the user's function made and that are still there, without the `known` bytes."""
    build, base, at = facts.build, facts.readings["import"], facts.readings.get("build")
    if build is None:
        return []
    made = facts.made
    arrays = facts.arrays
    if facts.is_making:
        mine, room = build.python_peak, facts.peak - facts.children - base.rss
        # An array that became a source is one of its copies, also if it has been freed since.
        arrays = max(arrays, sum(source.bytes for source in facts.sources))
    elif made is not None:
        late = _freed_by_conversion(facts.readings) if facts.peak_phase != "first" else 0
        mine, room = build.python, made.rss - base.rss - late
        if at is not None:
            # What was freed meanwhile and is kept is the allocator's.
            mine -= max(0, (at.heap_free or 0) - (base.heap_free or 0))
    else:
        return []
    left = max(0, min(mine - arrays - facts.python, room - known))
    place = None if build.file is None or build.line is None else (build.file, build.line, build.function)
    if build.arrow is None:
        found = [Entry("python", None, left, "measured", BUILT_OR_ARROW, place)]
    else:
        arrow = min(build.arrow, left)
        found = [
            Entry("python", None, arrow, "measured", ARROW, place),
            Entry("python", None, left - arrow, "measured", BUILT, place),
        ]
    return [entry for entry in found if entry.bytes]


def _without_reuse(entries: list[Entry], peak: int) -> list[Entry]:
    """Reduce free memory that later buffers have reused: where the sum exceeds the peak, it was.

    Python's objects are counted after the trace: of those that grow some were not there yet.
    """
    over = sum(entry.bytes for entry in entries) - peak
    found = list(entries)
    pools = (RESIDUE, INDEX, POOL, HEAP)
    for what in (BUILDING, *pools, IN_FLIGHT, BUILT, BUILT_OR_ARROW, OBJECTS):
        for index, one in enumerate(found):
            if over > 0 and one.what == what:
                taken = min(over, one.bytes)
                found[index] = replace(one, bytes=one.bytes - taken)
                over -= taken
    return found
