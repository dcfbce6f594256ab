"""Whether workers of a tf.data service pay: the answer, the best cut, and a row for each number of workers."""

from __future__ import annotations

from collections.abc import Iterator

from pipeprof.cli.text.blocks import (
    Blank,
    Block,
    Code,
    Column,
    Command,
    Heading,
    KeyValue,
    Legend,
    Prose,
    Table,
    TextSpan,
)
from pipeprof.cli.text.units import byte_scale, seconds
from pipeprof.profiles.document.findings import Scale, ScaleCut, ScaleRow
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.scale.words import LIMITS
from pipeprof.profiles.wording import count, listed, milliseconds, percent, ratio_text, significant, size, span_text

_KEY = 10
_COLORS = {"workers": "green", "no": "green", "predicted": "cyan", "not-proven": "yellow", "interrupted": "red"}
_GIGABIT = 1e9 / 8
"""Bytes."""


def build_scale(profile: Profile, found: Scale, saved: str | None) -> Iterator[Block]:
    """Build the report on one screen.

    Args:
        saved: Path of the saved profile as it is to be shown, if there is one.
    """
    yield Prose((TextSpan(_answer(found), f"bold {_COLORS[found.status]}"),), indent=0)
    best = next((cut for cut in found.cuts if cut.stage == found.stage), None)
    if best is not None:
        yield KeyValue("cut", _cut(best, found), indent=2, width=_KEY)
    if found.status == "workers" and found.better is not None:
        gain = ratio_text(found.better.speedup)
        yield KeyValue("first", f"{found.better.title}: {gain} without any worker", indent=2, width=_KEY)
    if (how := _how(found)) is not None:
        yield KeyValue("proof", how, indent=2, width=_KEY)
    if found.rows:
        yield Heading("Workers", _conditions(profile, found))
        yield _rows(found)
        yield from _legend(found)
    yield from _cuts(found)
    if found.lines and best is not None and found.status in ("workers", "predicted"):
        yield Heading("Change", f"after {best.name}, with the dispatcher's address in place of HOST:PORT")
        yield Code("\n".join(found.lines))
    if saved:
        yield Blank()
        yield Command("Saved", saved, width=_KEY)


def _answer(found: Scale) -> str:
    sentence = found.sentence
    return sentence[:1].upper() + sentence[1:]


def _cut(cut: ScaleCut, found: Scale) -> str:
    """What the best cut sends, and what it costs both sides."""
    many = "elements" if cut.messages_per_batch is None else f"{count(cut.messages_per_batch)} elements"
    many = many.removesuffix("s") if many == "1 elements" else many
    of_bytes = f", {size(cut.bytes_per_batch)}" if cut.bytes_per_batch else ""
    costs = [
        f"{milliseconds(ms)} {where}" for ms, where in ((cut.client_ms, "here"), (cut.worker_ms, "on a worker")) if ms
    ]
    said = f"after {cut.name}: {many} a batch{of_bytes}; CPU {listed(costs)}"
    rate = max(
        (row.batches_per_second or row.predicted or 0.0 for row in found.rows if _is_best(row, found)), default=0.0
    )
    if cut.bytes_per_batch and rate:
        said += f"; {significant(cut.bytes_per_batch * rate / _GIGABIT, 2)} Gbit/s"
    return said


def _is_best(row: ScaleRow, found: Scale) -> bool:
    return row.workers == (found.workers or next((cut.workers for cut in found.cuts if cut.stage == found.stage), None))


def _how(found: Scale) -> str | None:
    """How the numbers were measured; None where they were not."""
    if found.factor is None:
        return None
    by = significant(1 / found.factor, 2)
    longer = f" and a step {by} times longer" if found.step_ms else ""
    scaled = "" if found.factor >= 1 else f", with {by} times fewer cores{longer}"
    replaced = (
        f"; a simulated step of {milliseconds(found.step_ms)} in place of the real one"
        if (found.simulated_step and found.step_ms)
        else ""
    )
    return f"by turns on this machine{scaled}{replaced}; {seconds(found.seconds)}"


def _conditions(profile: Profile, found: Scale) -> str:
    device = profile.device
    step = f"step {device.text}" if device is not None and device.text and device.kind != "none" else "no step"
    return f"{found.processing_mode}, no compression, {step}"


def _rows(found: Scale) -> Table:
    rows = found.rows
    scale = byte_scale(row.memory_bytes for row in rows)
    return Table(
        [
            Column(
                "workers",
                [f"{row.workers}{' ←' if found.workers and row.workers == found.workers else '  '}" for row in rows],
            ),
            Column("predicted", [_rate(row.predicted) for row in rows]),
            Column("batches/s", [_rate(row.batches_per_second) for row in rows]),
            Column("98 %", [_ends(row.low, row.high) for row in rows], right=False, keep=2),
            Column("one more", [ratio_text(row.step_up) if row.step_up is not None else "" for row in rows]),
            Column("device waits", [percent(row.wait_share) if row.wait_share is not None else "" for row in rows]),
            Column(
                "their cores", [significant(row.worker_cores, 2) if row.worker_cores else "" for row in rows], keep=3
            ),
            Column(
                "cores here", [significant(row.client_cores, 2) if row.client_cores else "" for row in rows], keep=1
            ),
            Column(scale.unit, [scale.text(row.memory_bytes) if row.memory_bytes else "" for row in rows], keep=2),
            Column("price", [significant(row.price) if row.price is not None else "" for row in rows]),
            Column("limit", [LIMITS[row.limit] if row.limit is not None else "" for row in rows], right=False, keep=4),
        ]
    )


def _rate(value: float | None) -> str:
    return significant(value) if value is not None else ""


def _ends(low: float | None, high: float | None) -> str:
    return span_text(low, high) if low is not None and high is not None else ""


def _legend(found: Scale) -> Iterator[Block]:
    words = []
    if any(row.predicted_by == "worker" for row in found.rows):
        words.append("predicted: from one measured worker")
    elif any(row.predicted_by == "run" for row in found.rows if row.workers):
        words.append("predicted: from the costs of the run")
    if any(row.step_up is not None for row in found.rows):
        words.append("one more: over one worker fewer, in the same rounds")
    if found.link_bytes_per_second is not None and any(row.batches_per_second for row in found.rows):
        words.append("batches/s: measured on this machine, without the link")
    if found.price_of_host is not None:
        words.append("price: of a million batches")
    if words:
        yield Legend([("", f"{'; '.join(words)}.")])


def _cuts(found: Scale) -> Iterator[Block]:
    """All places for a cut that may be one, and why the others are none."""
    possible = [cut for cut in found.cuts if cut.refused is None]
    if possible:
        yield Heading("Cuts", "as predicted")
        scale = byte_scale(cut.bytes_per_batch for cut in possible)
        yield Table(
            [
                Column("after", [cut.name for cut in possible], right=False, shrink_to=16),
                Column(
                    "sent/batch",
                    [count(cut.messages_per_batch) if cut.messages_per_batch else "n/a" for cut in possible],
                ),
                Column(
                    scale.unit, [scale.text(cut.bytes_per_batch) if cut.bytes_per_batch else "n/a" for cut in possible]
                ),
                Column("ms here", [_rate(cut.client_ms) for cut in possible]),
                Column("ms on a worker", [_rate(cut.worker_ms) for cut in possible], keep=2),
                Column("workers", [str(cut.workers or "none pays") for cut in possible]),
                Column("batches/s", [_rate(cut.batches_per_second) for cut in possible]),
            ]
        )
    refused: dict[str, list[str]] = {}
    for cut in found.cuts:
        if cut.refused is not None:
            refused.setdefault(cut.refused, []).append(cut.name)
    if refused and not possible:
        yield Heading("Cuts", "none is possible")
    for why, names in refused.items():
        yield Prose(f"not after {listed(names)}: {why}", indent=2, hang=2)
