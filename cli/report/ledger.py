"""The ledger of memory: who owned the peak, what was predicted of it, and whether it went on growing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from pipeprof.cli.text.blocks import Block, Column, Heading, Prose, Table
from pipeprof.cli.text.names import name_alone, name_rows
from pipeprof.cli.text.units import byte_scale, seconds
from pipeprof.pipelines.ops.traits import RETAINING_OWNERS, STAGE_OWNERS
from pipeprof.profiles.constants import AUTOTUNED_PREFETCH
from pipeprof.profiles.memory.ledger.texts import OWNERS, growth_text, kept_text, leak_text, owner_text
from pipeprof.profiles.wording import percent, phase_words, size

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import How
    from pipeprof.profiles.document.memory import LedgerEntry, Memory
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

HOW: dict[How, str] = {
    "measured": "measured",
    "model": "tf.data's counters",
    "predicted": "predicted",
    "alias": "shared, no extra memory",
}
"""Origin of an owner's bytes."""
_IN_FLIGHT = STAGE_OWNERS - RETAINING_OWNERS
_LARGE_BUFFER = 0.25
"""Share of the pipeline's memory from which a prefetch is named for itself."""
_SMALL = 1 << 20
"""Bytes below which an owner has no row."""
_OTHER = 1.02
_LARGE, _LARGE_SHARE = 100_000_000, 0.10
"""Bytes, and the part of the pipeline's memory, from which a tuned prefetch is worth a sentence."""
NOT_ATTRIBUTED = "not attributed"
_RESIDUE = "residue"
"""In `what` of memory that a source's construction left to the allocator."""


def group_owners(profile: Profile) -> list[tuple[str, int]]:
    """The owners of the pipeline's part of the peak with their bytes, the largest first.

    Buffers have the names of their stages; batches on their way through the pipeline are one group.
    """
    memory = profile.memory
    entries = [entry for entry in memory.ledger or () if entry.owner != "runtime"]
    stages = {stage.id: stage for stage in profile.stages or ()}
    whole = sum(max(entry.bytes, 0) for entry in entries)
    groups: dict[str, int] = {}
    for entry in entries:
        stage = stages.get(entry.stage or "")
        alone = entry.owner == "prefetch" and entry.bytes >= _LARGE_BUFFER * whole
        if entry.owner in _IN_FLIGHT and not alone:
            name = OWNERS["batch"]
        elif stage is not None and entry.owner in STAGE_OWNERS:
            name = name_alone(stage)
        else:
            name = name_owner(entry) + (f" ({_place(entry)})" if entry.location is not None else "")
        groups[name] = groups.get(name, 0) + (0 if entry.how == "alias" else entry.bytes)
    if memory.unexplained_bytes is not None and memory.unexplained_bytes > 0:
        groups[NOT_ATTRIBUTED] = memory.unexplained_bytes
    return sorted(groups.items(), key=lambda item: -item[1])


def name_owner(entry: LedgerEntry) -> str:
    """Name the owner of an entry; what building a source has freed is the allocator's."""
    return OWNERS["slack"] if entry.owner == "source" and _RESIDUE in (entry.what or "") else owner_text(entry)


def build_ledger(profile: Profile) -> Iterator[Block]:
    """Build one row an owner at a stage, then the prediction, growth, epochs and AUTOTUNE's budget."""
    memory = profile.memory
    if memory.ledger is None or memory.peak_bytes is None or memory.unexplained_bytes is None:
        return
    names = name_rows(profile.stages)
    rows = [entry for entry in memory.ledger if _shown(entry)]
    scale = byte_scale([entry.bytes for entry in rows] + [abs(memory.unexplained_bytes)])
    at = "at the peak" if memory.ledger_at is None else "at the last reading"
    yield Heading("Owners of memory", at)
    rest = memory.unexplained_bytes
    left = f"{'−' if rest < 0 else ''}{scale.text(abs(rest))}"
    yield Table(
        [
            Column("owner", [*(name_owner(entry) for entry in rows), NOT_ATTRIBUTED], right=False, shrink_to=14),
            Column(
                "stage",
                [*(names.get(entry.stage or "", entry.stage or "") for entry in rows), ""],
                right=False,
                shrink_to=8,
            ),
            Column(scale.unit, [*(_bytes(entry, scale.text(entry.bytes)) for entry in rows), left]),
            Column("predicted", [*(scale.text(entry.predicted_bytes) for entry in rows), ""], keep=1),
            Column("how", [*(HOW[entry.how] for entry in rows), ""], right=False, keep=2),
            Column("", [*(_detail(entry) for entry in rows), ""], right=False, keep=3, shrink_to=16, style="dim"),
        ]
    )
    growth = growth_text(memory, lambda stage: names.get(stage, stage))
    for line in (*_predicted(profile), *_epochs(memory), kept_text(memory), growth, describe_ram_budget(memory)):
        if line:
            yield Prose(line, hang=2)


def describe_leak(profile: Profile) -> str:
    """What a soak has shown, else the leak in one sentence; empty where memory in use does not grow."""
    soak = profile.memory.soak
    return soak.sentence if soak is not None else leak_text(profile.memory)


def describe_ram_budget(memory: Memory) -> str:
    """The sentence that AUTOTUNE's budget does not fit into the limit; empty where it does."""
    autotune = memory.autotune
    if autotune is None or not autotune.exceeds_limit:
        return ""
    return (
        f"AUTOTUNE may fill its buffers up to {size(autotune.budget_bytes)} and does not count "
        f"{size(autotune.uncounted_bytes)} of TensorFlow, sources, shuffle, cache and Python: together more than the "
        f"limit of {size(autotune.limit_bytes)}. Set options.autotune.ram_budget."
    )


def _predicted(profile: Profile) -> Iterator[str]:
    """Predicted and measured bytes of the pipeline, and tuned prefetches that are much of them."""
    memory = profile.memory
    moment = memory.ledger_at
    whole = (memory.peak_bytes or 0) if moment is None else moment.rss_bytes
    above = max(whole - (memory.baseline_bytes or 0), 0)
    if moment is not None:
        yield (
            f"Last reading before the end: {size(whole)} after {seconds(moment.seconds)}, "
            f"in phase {phase_words(moment.phase)}."
        )
    rest = memory.unexplained_bytes or 0
    if above:
        yield (
            f"Your pipeline: {_in_advance(profile, above)}, {size(above)} measured; "
            f"{NOT_ATTRIBUTED}: {'−' if rest < 0 else ''}{size(abs(rest))} ({percent(abs(rest) / above)})."
        )
    names = name_rows(profile.stages)
    for entry, stage in _tuned(profile):
        if entry.bytes >= max(_LARGE, _LARGE_SHARE * above):
            yield _tuned_prefetch(entry, stage, names, memory)


def _in_advance(profile: Profile, above: int) -> str:
    """Predicted memory of the pipeline; "not predicted" if only a small part of it is known."""
    memory = profile.memory
    lacks = _lacks_buffer(memory, above)
    if memory.predicted_bytes is None:
        return "not predicted"
    if lacks and memory.predicted_bytes < _SMALL:
        return "not predicted (the size of an element is unknown before a run)"
    assumed = any(entry.predicted_bytes for entry, _ in _tuned(profile))
    taken = f" with {AUTOTUNED_PREFETCH} elements in a tuned prefetch" if assumed else ""
    return f"{'at least ' if lacks else ''}{size(memory.predicted_bytes)} predicted{taken}"


def _lacks_buffer(memory: Memory, above: int) -> bool:
    """Whether the size of a buffer that matters was not known before the run."""
    entries = memory.ledger or []
    known = {(entry.owner, entry.stage) for entry in entries if entry.predicted_bytes is not None}
    large = [
        entry
        for entry in entries
        if entry.owner in STAGE_OWNERS and entry.stage and entry.bytes >= _LARGE_SHARE * above
    ]
    return any((entry.owner, entry.stage) not in known for entry in large)


def _shown(entry: LedgerEntry) -> bool:
    return abs(entry.bytes) >= _SMALL or (entry.predicted_bytes or 0) >= _SMALL


def _tuned(profile: Profile) -> list[tuple[LedgerEntry, Stage]]:
    """Prefetches whose length AUTOTUNE chose, with what they held at the peak."""
    stages = {stage.id: stage for stage in profile.stages or () if stage.tunable}
    entries = [entry for entry in profile.memory.ledger or () if _shown(entry)]
    return [(entry, stages[entry.stage]) for entry in entries if entry.owner == "prefetch" and entry.stage in stages]


def _tuned_prefetch(entry: LedgerEntry, stage: Stage, names: dict[str, str], memory: Memory) -> str:
    """Describe a tuned prefetch: its content, its bound, and how to tighten that."""
    held = f"{round(stage.buffered_elements):,} elements, " if stage.buffered_elements else ""
    budget = f" of {size(memory.autotune.budget_bytes)}" if memory.autotune is not None else ""
    own = "A prefetch of your own at the end, with buffer_size: 2," if stage.origin == "injected" else "buffer_size: 2"
    return (
        f"{names[stage.id]} held {held}{size(entry.bytes)}: AUTOTUNE chose how many, bounded only by its budget"
        f"{budget} for all tuned buffers. {own} bounds it, as does options.autotune.ram_budget; the effect of either "
        "on speed was not measured."
    )


def _detail(entry: LedgerEntry) -> str:
    """Describe the bytes, unless the owner does so already."""
    what = entry.what or ""
    owner = name_owner(entry)
    shown = "" if owner in what or what in owner else what
    if entry.location is None:
        return shown
    function = f"in {entry.function}" if entry.function else ""
    return ", ".join(part for part in (shown, f"most at {_place(entry)}", function) if part)


def _place(entry: LedgerEntry) -> str:
    place = entry.location
    return f"{PurePath(place.file).name}:{place.line}" if place is not None else ""


def _bytes(entry: LedgerEntry, text: str) -> str:
    return "0" if entry.how == "alias" else text


def _epochs(memory: Memory) -> Iterator[str]:
    epochs = memory.epochs
    if epochs is not None and not 1 / _OTHER <= epochs.later_peak_bytes / epochs.first_peak_bytes <= _OTHER:
        yield f"Peak of the first epoch {size(epochs.first_peak_bytes)}, of later ones {size(epochs.later_peak_bytes)}."


def stages_of_views(profile: Profile) -> frozenset[str]:
    """The stages whose buffers hold views of another one's tensors, and no bytes of their own."""
    ledger = profile.memory.ledger or ()
    own = {entry.stage for entry in ledger if entry.bytes > 0}
    shared = {entry.stage for entry in ledger if entry.how == "alias" and entry.stage}
    # The peak may have been before there were buffers.
    held = {stage.id for stage in profile.stages or () if stage.buffered_bytes}
    shared |= {name for note in profile.warnings if note.code == "stages-alias" for name in note.stages if name in held}
    return frozenset(shared - own)
