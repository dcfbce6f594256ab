"""Report: who owned the peak of memory, what was predicted of it, and how it went on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.cli.render.pipeline import name_of, place_of
from pipeprof.cli.render.table import Column
from pipeprof.cli.render.units import byte_scale
from pipeprof.profiles.explain.words import percent, significant, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.cli.render.page import Page
    from pipeprof.profiles.profile import LedgerEntry, Memory, Profile

_SMALL = 1 << 20
"""Bytes below which nobody wants to know who holds them."""
_OTHER = 1.02


def render_ledger(page: Page, profile: Profile) -> None:
    """One row an owner at a stage; what is unexplained; growth, epochs and AUTOTUNE's budget where they matter."""
    memory = profile.memory
    if memory.ledger is None or memory.peak_bytes is None or memory.unexplained_bytes is None:
        return
    names = {stage.id: f"{place_of(stage.id)} {name_of(stage)}" for stage in profile.stages or []}
    rows = [one for one in memory.ledger if abs(one.bytes) >= _SMALL or (one.predicted_bytes or 0) >= _SMALL]
    shown = [one.bytes for one in rows] + [abs(memory.unexplained_bytes)]
    scale = byte_scale(shown)
    page.table(
        [
            Column("owner of the peak", [*(one.owner for one in rows), "unexplained"], right=False),
            Column("stage", [*(names.get(one.stage or "", one.stage or "") for one in rows), ""], right=False),
            Column(scale.unit, [*(_bytes(one, scale.text(one.bytes)) for one in rows), _signed(memory, scale.text)]),
            Column("predicted", [*(scale.text(one.predicted_bytes) for one in rows), ""], keep=1),
            Column("how", [*(one.how for one in rows), ""], right=False, keep=2),
            Column("", [*(one.what or "" for one in rows), ""], right=False, keep=0, style="dim"),
        ]
    )
    above = max(memory.peak_bytes - (memory.baseline_bytes or 0), 0)
    if memory.predicted_bytes is not None and above:
        page.prose(
            f"Above TensorFlow's own: {size(memory.predicted_bytes)} predicted, {size(above)} measured, "
            f"{_unexplained(memory, above)}.",
            hang=2,
        )
    for line in _lines(memory, names):
        page.prose(line, hang=2)


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
    growth = memory.growth
    if growth is not None and growth.low > 0 and growth.mb_per_1000_steps >= 1:
        who = "leaking, with all buffers full"
        if not growth.leak:
            who = f"mostly in {names.get(growth.stage, growth.stage)}" if growth.stage else "no leak was seen"
        found.append(
            f"While measuring it grew by {significant(growth.mb_per_1000_steps)} MB per 1,000 steps "
            f"({significant(growth.low)} to {significant(growth.high)}): {who}."
        )
    autotune = memory.autotune
    if autotune is not None and autotune.exceeds_limit:
        found.append(
            f"AUTOTUNE lets its buffers grow to {size(autotune.budget_bytes)} and does not count the "
            f"{size(autotune.uncounted_bytes)} of runtime, sources, shuffle, cache and Python: together more than the "
            f"limit of {size(autotune.limit_bytes)}. Set options.autotune.ram_budget."
        )
    return found
