"""Report: who owned the peak of memory, what was predicted of it, and how it went on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.report.pipeline import name_of, place_of
from pipeprof.cli.text.blocks import Block, Column, Prose, Table
from pipeprof.cli.text.units import byte_scale, seconds
from pipeprof.profiles.constants import AUTOTUNED_PREFETCH
from pipeprof.profiles.memory.ledger.texts import growth_text, owner_text
from pipeprof.profiles.wording import percent, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.document.memory import LedgerEntry, Memory
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

_SMALL = 1 << 20
"""Bytes below which nobody wants to know who holds them."""
_OTHER = 1.02
_LARGE, _LARGE_SHARE = 100_000_000, 0.10
"""Bytes, and the part of what is above TensorFlow's own, from which a tuned prefetch is worth a sentence."""
_BUFFERS = frozenset({"batch", "cache", "parallel", "prefetch", "shuffle"})


def render_ledger(profile: Profile) -> Iterator[Block]:
    """One row an owner at a stage; what is unexplained; growth, epochs and AUTOTUNE's budget where they matter."""
    memory = profile.memory
    if memory.ledger is None or memory.peak_bytes is None or memory.unexplained_bytes is None:
        return
    names = {stage.id: f"{place_of(stage.id)} {name_of(stage)}" for stage in profile.stages or []}
    rows = [one for one in memory.ledger if _shown(one)]
    shown = [one.bytes for one in rows] + [abs(memory.unexplained_bytes)]
    scale = byte_scale(shown)
    whose = "owner of the peak" if memory.ledger_at is None else "owner at the last look"
    yield Table(
        [
            Column(whose, [*(owner_text(one) for one in rows), "not attributed"], right=False),
            Column("stage", [*(names.get(one.stage or "", one.stage or "") for one in rows), ""], right=False),
            Column(scale.unit, [*(_bytes(one, scale.text(one.bytes)) for one in rows), _signed(memory, scale.text)]),
            Column("predicted", [*(scale.text(one.predicted_bytes) for one in rows), ""], keep=1),
            Column("how", [*(one.how for one in rows), ""], right=False, keep=2),
            Column("", [*(one.what or "" for one in rows), ""], right=False, keep=0, style="dim"),
        ]
    )
    whole = memory.peak_bytes if memory.ledger_at is None else memory.ledger_at.rss_bytes
    above = max(whole - (memory.baseline_bytes or 0), 0)
    if memory.ledger_at is not None:
        yield Prose(
            f"After {seconds(memory.ledger_at.seconds)}, in phase {memory.ledger_at.phase}, it held {size(whole)}: the "
            "last look before it was ended.",
            hang=2,
        )
    if memory.predicted_bytes is not None and above:
        assumed = any(one.predicted_bytes for one, _ in _tuned(profile))
        taken = f" with {AUTOTUNED_PREFETCH} elements in a tuned prefetch" if assumed else ""
        yield Prose(
            f"Above TensorFlow's own: {'at least ' if _unforeseen(memory, above) else ''}"
            f"{size(memory.predicted_bytes)} predicted{taken}, {size(above)} measured"
            f"{' then' if memory.ledger_at is not None else ''}, {_unexplained(memory, above)}.",
            hang=2,
        )
    for line in _lines(memory, names):
        yield Prose(line, hang=2)
    for entry, stage in _tuned(profile):
        if entry.bytes >= max(_LARGE, _LARGE_SHARE * above):
            yield Prose(_grown(entry, stage, names, memory), hang=2)


def _unforeseen(memory: Memory, above: int) -> bool:
    """Whether the size of a buffer that matters was not known before the run."""
    entries = memory.ledger or []
    known = {(one.owner, one.stage) for one in entries if one.predicted_bytes is not None}
    large = [one for one in entries if one.owner in _BUFFERS and one.stage and one.bytes >= _LARGE_SHARE * above]
    return any((one.owner, one.stage) not in known for one in large)


def _shown(entry: LedgerEntry) -> bool:
    return abs(entry.bytes) >= _SMALL or (entry.predicted_bytes or 0) >= _SMALL


def _tuned(profile: Profile) -> list[tuple[LedgerEntry, Stage]]:
    """Prefetches whose length AUTOTUNE chose, with what they held at the peak."""
    stages = {one.id: one for one in profile.stages or () if one.tunable}
    entries = [one for one in profile.memory.ledger or () if _shown(one)]
    return [(one, stages[one.stage]) for one in entries if one.owner == "prefetch" and one.stage in stages]


def _grown(entry: LedgerEntry, stage: Stage, names: dict[str, str], memory: Memory) -> str:
    """Who let a prefetch become so large, what ends that, and how it is bounded."""
    held = f"{round(stage.buffered_elements):,} elements, " if stage.buffered_elements else ""
    budget = f" of {size(memory.autotune.budget_bytes)}" if memory.autotune is not None else ""
    own = "A prefetch of your own at the end, with buffer_size: 2," if stage.origin == "injected" else "buffer_size: 2"
    return (
        f"{names[stage.id]} held {held}{size(entry.bytes)}: AUTOTUNE chose how many, and what bounds it is the budget"
        f"{budget} for all tuned buffers. {own} bounds it, as does options.autotune.ram_budget; what either does to "
        "the speed was not measured."
    )


def _bytes(entry: LedgerEntry, text: str) -> str:
    return "0" if entry.how == "alias" else text


def _signed(memory: Memory, text: object) -> str:
    value = memory.unexplained_bytes or 0
    words = text(abs(value)) if callable(text) else ""
    return f"-{words}" if value < 0 and words.strip("0.") else str(words)


def _unexplained(memory: Memory, above: int) -> str:
    value = memory.unexplained_bytes or 0
    if value < 0:
        return f"{size(-value)} counted too much"
    return f"{size(value)} ({percent(value / above)}) unexplained"


def _lines(memory: Memory, names: dict[str, str]) -> Sequence[str]:
    found = []
    epochs = memory.epochs
    if epochs is not None and not 1 / _OTHER <= epochs.later_peak_bytes / epochs.first_peak_bytes <= _OTHER:
        found.append(
            f"Peak of the first epoch {size(epochs.first_peak_bytes)}, of later ones {size(epochs.later_peak_bytes)}."
        )
    growth = growth_text(memory, lambda stage: names.get(stage, stage))
    if growth is not None:
        found.append(growth)
    autotune = memory.autotune
    if autotune is not None and autotune.exceeds_limit:
        found.append(
            f"AUTOTUNE lets its buffers grow to {size(autotune.budget_bytes)} and does not count the "
            f"{size(autotune.uncounted_bytes)} of runtime, sources, shuffle, cache and Python: together more than the "
            f"limit of {size(autotune.limit_bytes)}. Set options.autotune.ram_budget."
        )
    return found
