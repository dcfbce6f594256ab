"""The ledger of memory: every byte of the peak at one owner, by arithmetic on what was measured.

Three things are measured of a running pipeline: resident memory, TensorFlow's live tensors (large ones lie in a pool
of their own) and glibc's heap (small tensors, strings, everything else). TensorFlow's model says how they divide among
the stages. What none of these covers is unexplained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeprof.profiles.profile import How, Owner

POOLED_BYTES = 256 * 1024
"""Tensors from this size on lie in TensorFlow's pool, smaller ones in glibc's heap."""


@dataclass(frozen=True)
class Reading:
    """The process at the end of a stretch of the run, and its peaks in that stretch; None for what is not known."""

    rss: int
    peak: int | None = None
    file: int | None = None
    live: int | None = None
    live_peak: int | None = None
    heap: int | None = None
    heap_free: int | None = None


@dataclass(frozen=True)
class Source:
    """Tensors that a stage holds from the start."""

    stage: str
    bytes: int
    constant: bool = False


@dataclass(frozen=True)
class Buffer:
    """What a stage holds while the pipeline runs.

    Attributes:
        owner: The ledger's word.
        stage: Its id.
        bytes: As TensorFlow's model counts them, without what lies in another stage's memory.
        elements: How many elements.
        pooled: Share of the bytes that lies in the pool.
        unsized: The model does not count all of its bytes: strings and variants (ragged, sparse).
        texts: What it does not count is in proportion to what it does: strings.
        weight: Elements of the source in one of its elements.
        alias: Its tensors are another stage's.
        overhead: Bytes of one element beside its values.
    """

    owner: Owner
    stage: str
    bytes: float
    elements: float
    pooled: float = 1.0
    unsized: bool = False
    texts: bool = False
    weight: float = 1.0
    alias: bool = False
    overhead: float = 0.0


@dataclass(frozen=True)
class Entry:
    """Bytes with an owner."""

    owner: Owner
    stage: str | None
    bytes: int
    how: How
    what: str | None = None


@dataclass(frozen=True)
class Facts:
    """What the ledger is made from.

    Attributes:
        readings: By the name of what had just ended: import, build, iterator, first, released, warmup, measure.
        peak: Largest resident memory of the process with its children.
        moment: When it was reached: the name of the reading that ends that stretch.
        sources: In-memory sources.
        arrays: Bytes of Python arrays that sources were made of and that are still there.
        python: Bytes of other large Python objects.
        children: Memory of child processes at the peak.
        libraries: Resident bytes of libraries that were loaded since.
        files: Resident bytes of mapped data files.
        buffers: At the fullest look of that stretch.
        first: What the buffers held when the first element had just been read.
        live: Pool bytes at that look.
        batch_bytes: Bytes of a batch that the loop holds.
        making: Bytes that batches in the making and calls under way may take, by stage and owner.
        trimmed: What glibc gave back in the end.
        captured: Functions of the pipeline hold constants.
        pool_scale: Bytes that the pool has in use for a byte of a buffered tensor: its chunks are up to twice as large.
        aliases: Owners and stages whose tensors are another stage's.
    """

    readings: Mapping[str, Reading]
    peak: int
    moment: str
    sources: Sequence[Source] = ()
    arrays: int = 0
    python: int = 0
    children: int = 0
    libraries: int = 0
    files: int = 0
    buffers: Sequence[Buffer] = ()
    first: Sequence[Buffer] = ()
    live: int | None = None
    batch_bytes: float | None = None
    making: Sequence[tuple[Owner, str, int]] = ()
    trimmed: int | None = None
    captured: bool = False
    pool_scale: float = 1.0
    aliases: Sequence[tuple[Owner, str]] = ()


@dataclass
class Ledger:
    """The entries, and what they leave."""

    entries: list[Entry] = field(default_factory=list)
    unexplained: int = 0


def reconcile(facts: Facts) -> Ledger:
    """Give every byte of the peak an owner."""
    base = facts.readings["import"]
    entries = [Entry("runtime", None, base.rss, "measured")]
    entries += _python(facts)
    source, residue = _sources(facts)
    entries += source
    held, pool_live = _held(facts)
    entries += held
    listed = {(one.owner, one.stage) for one in held}
    entries += [Entry(owner, stage, 0, "alias") for owner, stage in facts.aliases if (owner, stage) not in listed]
    slack = _slack(facts, residue, pool_live)
    found = [one for one in _without_reuse([*entries, *residue, *slack], facts.peak) if one.bytes or one.how == "alias"]
    return Ledger(found, facts.peak - sum(one.bytes for one in found))


def _python(facts: Facts) -> list[Entry]:
    found = [
        Entry("python", None, facts.python, "measured", "large Python objects"),
        Entry("python", None, facts.libraries, "measured", "libraries loaded for it"),
        Entry("python", None, facts.children, "measured", "child processes"),
    ]
    return [one for one in found if one.bytes > 0]


def _sources(facts: Facts) -> tuple[list[Entry], list[Entry]]:
    """What in-memory sources hold, and what making them has left in the pool."""
    base, made = facts.readings["import"], facts.readings.get("iterator") or facts.readings.get("build")
    found: list[Entry] = []
    if facts.files:
        found.append(Entry("source", _only(facts.sources), facts.files, "measured", "mapped files"))
    if made is None or not (facts.sources or facts.captured):
        return found, []
    nominal = sum(one.bytes for one in facts.sources)
    array = facts.arrays
    pooled = max(0, (made.live or 0) - (base.live or 0))
    in_heap = max(0, (made.heap or 0) - (base.heap or 0))
    # A chunk of the pool may be larger than what lies in it; pages that nobody wrote to take no memory.
    tensors = min(nominal, pooled) if pooled >= nominal / 2 else min(nominal, pooled + in_heap)
    if made.live is None:
        tensors = nominal
    residue = _residue(facts, min(1.0, nominal / pooled) if pooled > nominal else 1.0)
    shares = _shares(facts.sources)
    for stage, share in shares:
        found += [
            Entry("source", stage, round(array * share), "measured", "the array"),
            Entry("source", stage, round(tensors * share), "measured", "TensorFlow's tensors"),
        ]
    rest = _copies(facts, array + tensors + residue + facts.python + facts.libraries + facts.files)
    if facts.moment in ("build", "iterator"):
        words = "copies while it was made"
    else:
        words = "copies in graphs" if _constant(facts) else "a copy that is let go of late"
    for stage, share in shares:
        found.append(Entry("source", stage, round(rest * share), "measured", words))
    left = [Entry("source", stage, round(residue * share), "measured", "the pool's residue") for stage, share in shares]
    return found, left


def _constant(facts: Facts) -> bool:
    return facts.captured or any(one.constant for one in facts.sources)


def _residue(facts: Facts, touched: float) -> int:
    """What the pool grew by while sources and iterator were made and no longer held then."""
    base, made = facts.readings["import"], facts.readings.get("iterator")
    if made is None or made.live is None or facts.moment == "build":
        return 0
    peaks = [facts.readings[name].live_peak or 0 for name in ("build", "iterator") if name in facts.readings]
    most = max(peaks, default=0)
    return round(max(0, most - max(made.live, base.live_peak or 0)) * touched)


def _copies(facts: Facts, known: int) -> int:
    """Copies that were there at the peak: what the process had grown by while the source was made, beyond `known`."""
    readings = facts.readings
    base = readings["import"].rss
    if facts.moment in ("build", "iterator"):
        return max(0, facts.peak - facts.children - base - known)
    made, released = readings.get("iterator"), readings.get("released")
    if _constant(facts) and made is not None:
        grown = made.rss - base
        late = _dropped(readings) if facts.moment not in ("first",) else 0
        return max(0, grown - late - known)
    if facts.moment == "first" and made is not None and released is not None:
        # Held until the next array is converted, which is after the first element.
        return _dropped(readings) or max(0, made.rss - base - known)
    return 0


def _dropped(readings: Mapping[str, Reading]) -> int:
    """What was let go of with the next conversion of an array."""
    first, released = readings.get("first"), readings.get("released")
    return max(0, first.rss - released.rss) if first is not None and released is not None else 0


def _shares(sources: Sequence[Source]) -> list[tuple[str | None, float]]:
    total = sum(one.bytes for one in sources)
    if not total:
        return [(sources[0].stage if sources else None, 1.0)]
    return [(one.stage, one.bytes / total) for one in sources if one.bytes]


def _only(sources: Sequence[Source]) -> str | None:
    return sources[0].stage if len(sources) == 1 else None


def _held(facts: Facts) -> tuple[list[Entry], int | None]:
    """Buffers, batches in the making and the loop's own batch; and the pool's live bytes at the peak."""
    running = facts.moment not in ("build", "iterator")
    made, now = facts.readings.get("iterator"), facts.readings.get(facts.moment)
    if not running or made is None or now is None:
        return [], None
    buffers = [replace(one, bytes=0.0, elements=0.0) if one.alias else one for one in facts.buffers]
    consumer = facts.batch_bytes or 0.0
    in_pool = consumer >= POOLED_BYTES
    pool = None if facts.live is None or made.live is None else max(0.0, facts.live - made.live)
    most = None if now.live_peak is None or made.live is None else max(0.0, now.live_peak - made.live)
    buffers = _filled_up(buffers, None if pool is None else pool - (consumer if in_pool else 0), pooled=True)
    buffers = _filled_up(buffers, _in_heap(facts, buffers), pooled=False)
    buffers = [one if one.unsized else _in_chunks(one, facts.pool_scale) for one in buffers]
    entries = [_entry(one) for one in buffers]
    placed = sum(one.bytes * one.pooled for one in buffers)
    left = None if most is None else max(0.0, most - placed)
    if consumer and (left is None or not in_pool or left > 0):
        mine = consumer if left is None or not in_pool else min(consumer, left)
        left = left - mine if left is not None and in_pool else left
        entries.append(Entry("consumer", None, round(mine), "measured", "the batch in the step"))
    for owner, stage, size in facts.making:
        taken = float(size) if left is None else min(float(size), left)
        left = None if left is None else left - taken
        entries.append(Entry(owner, stage, round(taken), "predicted" if left is None else "measured", "in the making"))
    return _merged(entries), None if now.live_peak is None else now.live_peak


def _entry(one: Buffer) -> Entry:
    if one.alias:
        return Entry(one.owner, one.stage, 0, "alias")
    return Entry(one.owner, one.stage, round(one.bytes + one.overhead * one.elements), "model")


def _filled_up(buffers: list[Buffer], measured: float | None, *, pooled: bool) -> list[Buffer]:
    """Give buffers whose bytes the model does not count what was measured of them, in proportion to their elements."""

    def known(one: Buffer) -> float:
        share = one.pooled if pooled else 1 - one.pooled
        return one.bytes * share + (0.0 if pooled else one.overhead * one.elements)

    lacking = [one for one in buffers if one.unsized and one.elements]
    if measured is None or not lacking:
        return buffers
    missing = measured - sum(known(one) for one in buffers)
    weights = sum(_extent(one) for one in lacking)
    if missing <= 0 or not weights:
        return buffers
    found = []
    for one in buffers:
        if one in lacking:
            more = missing * _extent(one) / weights
            inside = one.bytes * one.pooled + (more if pooled else 0.0)
            one = replace(one, bytes=one.bytes + more, pooled=inside / (one.bytes + more))  # noqa: PLW2901
        found.append(one)
    return found


def _in_chunks(one: Buffer, scale: float) -> Buffer:
    """A buffer with what the pool's chunks take beyond its tensors."""
    inside = one.bytes * one.pooled * scale
    total = one.bytes * (1 - one.pooled) + inside
    return replace(one, bytes=total, pooled=inside / total) if total else one


def _extent(one: Buffer) -> float:
    """What the uncounted bytes of a buffer are in proportion to."""
    return one.bytes if one.texts else one.elements * one.weight


def _in_heap(facts: Facts, buffers: Sequence[Buffer]) -> float | None:
    """Bytes of the heap in buffers at the fullest look.

    The heap is not read while steps are measured. What elements take in it is known from the first look, just before
    which it was read; where that says nothing, from the end of the stretch.
    """
    made, now, first = (facts.readings.get(name) for name in ("iterator", facts.moment, "first"))
    if made is None or now is None or made.heap is None or now.heap is None:
        return None
    lacking = [one for one in buffers if one.unsized and one.elements and one.pooled < 1]
    before = [one for one in facts.first if one.unsized and one.elements and one.pooled < 1]
    if lacking and before and first is not None and first.heap is not None:
        others = sum(
            one.bytes * (1 - one.pooled) + one.overhead * one.elements for one in facts.first if one not in before
        )
        each = max(0.0, first.heap - made.heap - others) / (sum(_extent(one) for one in before) or 1.0)
        rest = sum(one.bytes * (1 - one.pooled) + one.overhead * one.elements for one in buffers if one not in lacking)
        return rest + each * sum(_extent(one) for one in lacking)
    return max(0.0, float(now.heap - made.heap))


def _merged(entries: Iterable[Entry]) -> list[Entry]:
    """One entry for an owner at a stage."""
    found: dict[tuple[str, str | None], Entry] = {}
    for one in entries:
        key = one.owner, one.stage
        if key in found and not (one.how == "alias" or found[key].how == "alias"):
            found[key] = replace(found[key], bytes=found[key].bytes + one.bytes)
        else:
            found.setdefault(key, one)
    return list(found.values())


def _slack(facts: Facts, residue: Sequence[Entry], pool_live: int | None) -> list[Entry]:
    """What the pool and glibc keep without anybody using it."""
    found = []
    now = facts.readings.get(facts.moment)
    if now is not None and pool_live is not None:
        names = list(facts.readings)
        peaks = [facts.readings[name].live_peak or 0 for name in names[: names.index(facts.moment) + 1]]
        free = max(peaks, default=0) - pool_live - sum(one.bytes for one in residue)
        found.append(Entry("slack", None, max(0, free), "measured", "TensorFlow's pool"))
    if facts.trimmed is not None and now is not None and facts.moment not in ("build", "iterator"):
        base = facts.readings["import"].heap_free or 0
        kept = facts.trimmed if now.heap_free is None else min(facts.trimmed, max(0, now.heap_free - base))
        found.append(Entry("slack", None, kept, "measured", "glibc's heap"))
    return found


def _without_reuse(entries: list[Entry], peak: int) -> list[Entry]:
    """Free memory that later buffers use again is theirs: where the sum is too large, it was used."""
    over = sum(one.bytes for one in entries) - peak
    found = list(entries)
    for what in ("the pool's residue", "TensorFlow's pool", "glibc's heap"):
        for index, one in enumerate(found):
            if over > 0 and one.what == what:
                taken = min(over, one.bytes)
                found[index] = replace(one, bytes=one.bytes - taken)
                over -= taken
    return found
