"""Memory: the peak with its owners in one line; in full the phases, the ledger, and what was predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeprof.cli.report.blocks import Block, Column, Heading, Table, Text
from pipeprof.cli.report.rows import name_alone, name_rows
from pipeprof.cli.report.units import byte_scale, rate, seconds
from pipeprof.pipelines.meaning.traits import RETAINING_OWNERS, STAGE_OWNERS
from pipeprof.profiles.document.base import How, Owner
from pipeprof.profiles.document.memory import LedgerEntry, Memory
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Phase
from pipeprof.profiles.memory.growth import leak_text
from pipeprof.profiles.wording import phase_words, size, size_in_unit_of

OWNERS: Mapping[Owner, str] = {
    "runtime": "TensorFlow itself",
    "source": "source data",
    "cache": "cache",
    "shuffle": "shuffle",
    "prefetch": "prefetch",
    "parallel": "batches in flight",
    "batch": "batches in flight",
    "consumer": "batch in the step",
    "python": "child processes",
    "slack": "kept by the allocator",
}
REST = "the rest (Python, libraries)"
HOW: Mapping[How, str] = {
    "measured": "measured",
    "model": "tf.data's counters",
    "predicted": "predicted",
    "alias": "shared, no extra memory",
}
"""Origin of an owner's bytes."""
_IN_FLIGHT = STAGE_OWNERS - RETAINING_OWNERS
_LARGE_BUFFER = 0.25
"""Share of the pipeline's memory from which a prefetch is named for itself."""
_OWNERS = 3
_LEAST_SHARE = 0.05
"""Share of the peak below which an owner is listed as other."""
_SMALL = 1 << 20
"""Bytes below which an owner has no row."""


def build_memory(profile: Profile, *, full: bool) -> Iterator[Block]:
    """Build one line on the peak and its owners, and a sentence on what grows; in full every phase and owner."""
    if full:
        yield from _phases(profile)
        yield from _ledger(profile)
        return
    memory = profile.memory
    if memory.peak_bytes is None or not profile.shows_memory:
        return
    yield Heading("Memory", f"{size(memory.peak_bytes)} at the peak{_owners(profile)}")
    for line in (describe_leak(profile), describe_ram_budget(memory), _growth_to_limit(profile)):
        if line:
            yield Text(line)


def _owners(profile: Profile) -> str:
    """The largest owners of the peak, ``: TensorFlow itself 549 MiB, shuffle 114 MiB``; empty where none is known."""
    memory = profile.memory
    if memory.baseline_bytes is None or memory.peak_bytes is None:
        return ""
    write = size_in_unit_of(memory.peak_bytes)
    pipeline = max(memory.peak_bytes - memory.baseline_bytes, 0)
    groups = [(name, nbytes) for name, nbytes in group_owners(profile) if nbytes >= _LEAST_SHARE * memory.peak_bytes]
    # The ledger is that of another moment where the peak was in the build.
    if not groups or sum(nbytes for _, nbytes in groups) > pipeline:
        groups = [("your pipeline", pipeline)] if pipeline >= _LEAST_SHARE * memory.peak_bytes else []
    shown = [("TensorFlow itself", memory.baseline_bytes), *groups[:_OWNERS]]
    rest = memory.peak_bytes - sum(nbytes for _, nbytes in shown)
    parts = [f"{name} {write(nbytes)}" for name, nbytes in shown]
    parts += [f"{write(rest)} in smaller parts"] if rest >= _SMALL else []
    return f": {', '.join(parts)}"


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
            name = OWNERS[entry.owner]
        groups[name] = groups.get(name, 0) + (0 if entry.how == "alias" else entry.bytes)
    if memory.unexplained_bytes is not None and memory.unexplained_bytes > 0:
        groups[REST] = memory.unexplained_bytes
    return sorted(groups.items(), key=lambda item: -item[1])


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


def _growth_to_limit(profile: Profile) -> str:
    """Distance of a growing run from its limit; if it hit the limit, the error has it."""
    memory = profile.memory
    if not memory.growth_bytes_per_second or memory.seconds_to_limit is None:
        return ""
    if any(problem.code == "out-of-memory" for problem in profile.errors):
        return ""
    return (
        f"In the last samples memory grew by {rate(memory.growth_bytes_per_second)}: "
        f"{seconds(memory.seconds_to_limit)} from the limit of {size(profile.host.memory_limit_bytes)}."
    )


def _phases(profile: Profile) -> Iterator[Block]:
    """One row a phase: how long it took, its peak of resident memory, and that above TensorFlow itself."""
    memory, phases = profile.memory, profile.phases
    if not phases:
        return
    whole = (
        f"{size(memory.peak_bytes)} at the peak{_owners(profile)}" if profile.shows_memory else "no step was measured"
    )
    yield Heading("Memory", whole)
    above = [_above(phase, memory.baseline_bytes) for phase in phases]
    scale = byte_scale([phase.peak_rss_bytes for phase in phases])
    yield Table(
        [
            Column("phase", [phase_words(phase.name) for phase in phases], right=False),
            Column("seconds", ["not ended" if one.seconds is None else f"{one.seconds:,.2f}" for one in phases]),
            Column(f"peak {scale.unit}", [_peak(phase, scale.text(phase.peak_rss_bytes)) for phase in phases]),
            Column("above TensorFlow itself", [f"+{scale.text(value)}" if value else "" for value in above], keep=0),
        ]
    )
    traced = next((phase.peak_rss_bytes or 0 for phase in phases if phase.name == "trace"), 0)
    if memory.peak_bytes is not None and traced > memory.peak_bytes:
        yield Text("the memory of the trace is not part of the peak", style="dim")
    if any(phase.how == "sampled" for phase in phases):
        yield Text("~ largest of the samples taken from outside; a short peak may have been higher", style="dim")
    for phase in phases:
        if phase.note:
            yield Text(f"{phase_words(phase.name)}: {phase.note}")
    if growing := _growth_to_limit(profile):
        yield Text(growing)


def _above(phase: Phase, baseline: int | None) -> int | None:
    if baseline is None or phase.peak_rss_bytes is None or phase.name == "import":
        return None
    return max(phase.peak_rss_bytes - baseline, 0)


def _peak(phase: Phase, text: str) -> str:
    return f"~{text}" if text and phase.how == "sampled" else text


def _ledger(profile: Profile) -> Iterator[Block]:
    """One row an owner at a stage, then the prediction, growth, epochs and AUTOTUNE's budget."""
    memory = profile.memory
    if memory.ledger is None or memory.peak_bytes is None or memory.unexplained_bytes is None:
        return
    names = name_rows(profile.stages)
    rows = [entry for entry in memory.ledger if _shown(entry)]
    rest = memory.unexplained_bytes
    scale = byte_scale([entry.bytes for entry in rows] + [abs(rest)])
    left = f"{'−' if rest < 0 else ''}{scale.text(abs(rest))}"
    yield Heading("Owners of memory", "at the peak")
    yield Table(
        [
            Column("owner", [*(OWNERS[entry.owner] for entry in rows), REST], right=False, wrap=True),
            Column(
                "stage", [*(names.get(one.stage or "", one.stage or "") for one in rows), ""], right=False, wrap=True
            ),
            Column(scale.unit, [*("0" if one.how == "alias" else scale.text(one.bytes) for one in rows), left]),
            Column("predicted", [*(scale.text(entry.predicted_bytes) for entry in rows), ""], keep=1),
            Column("how", [*(HOW[entry.how] for entry in rows), ""], right=False, keep=2),
            Column("", [*(_detail(entry) for entry in rows), ""], right=False, keep=0, wrap=True, style="dim"),
        ]
    )
    for line in (describe_leak(profile), describe_ram_budget(memory)):
        if line:
            yield Text(line)


def _shown(entry: LedgerEntry) -> bool:
    return abs(entry.bytes) >= _SMALL or (entry.predicted_bytes or 0) >= _SMALL


def _detail(entry: LedgerEntry) -> str:
    """Describe the bytes, unless the owner does so already."""
    return "" if entry.what in (None, OWNERS[entry.owner]) else entry.what or ""


def stages_of_views(profile: Profile) -> frozenset[str]:
    """The stages whose buffers hold views of another one's tensors, and no bytes of their own."""
    ledger = profile.memory.ledger or ()
    own = {entry.stage for entry in ledger if entry.bytes > 0}
    shared = {entry.stage for entry in ledger if entry.how == "alias" and entry.stage}
    return frozenset(shared - own)
