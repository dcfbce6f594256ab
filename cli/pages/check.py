"""The page of ``pipeprof check``: a target's stages, its predicted memory and findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.report.finding import describe_finding
from pipeprof.cli.report.ledger import HOW
from pipeprof.cli.report.problems import list_warnings
from pipeprof.cli.report.blocks import Blank, Block, Column, Command, Heading, KeyValue, Prose, Table, TextSpan
from pipeprof.cli.report.names import name_row, name_rows, number_of
from pipeprof.cli.report.units import byte_scale
from pipeprof.profiles.memory.ledger.texts import OWNERS
from pipeprof.profiles.wording import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.memory.predict.model import BufferPrediction, MemoryPrediction, UnknownSize

_SMALL = 1 << 20
"""Bytes below which owners are not listed."""


def describe_check(
    target: str,
    stages: Sequence[Stage],
    facts: Sequence[tuple[str, str]],
    *,
    memory: MemoryPrediction | None,
    uncounted: Sequence[str] = (),
    what_ifs: Sequence[str] = (),
    findings: Sequence[Finding] | None,
    warnings: Sequence[Message],
    run: str | None = None,
) -> Iterator[Block]:
    """Describe a target without errors: its stages with their lines, step, predicted memory and findings.

    Args:
        uncounted: Parts of the memory that are not predicted, in words.
        findings: ``None`` if no rule could be applied.
        run: The command that looks at what is not looked at here.
    """
    yield Prose(f"{target}: no errors", indent=0)
    if stages:
        yield Table(
            [
                Column("", [number_of(stage.id) for stage in stages], right=False, style="dim"),
                Column("", ["  " * stage.depth + name_row(stage) for stage in stages], right=False),
                Column(
                    "",
                    [f"line {stage.location.line}" if stage.location else "" for stage in stages],
                    right=False,
                    keep=0,
                    style="dim",
                ),
            ]
        )
    for key, value in facts:
        yield KeyValue(f"  {key}", value)
    if findings is not None and not findings:
        yield KeyValue("  rules", "no findings without running it")
    if memory is not None:
        yield from _memory(memory, stages)
    for text in uncounted:
        yield Prose(f"not predicted: {text}", hang=2)
    for text in what_ifs:
        yield Prose(text, hang=2)
    if findings:
        yield Heading("What to change", "found without running it: not measured")
        for number, finding in enumerate(findings, 1):
            if number > 1:
                yield Blank()
            yield Prose((TextSpan(f"  {number}  "), TextSpan(finding.title, "bold")), indent=0, hang=5)
            yield from describe_finding(finding, stages)
    yield from list_warnings(warnings)
    if run is not None:
        yield Command("Next", run, width=6)


def _memory(memory: MemoryPrediction, stages: Sequence[Stage]) -> Iterator[Block]:
    """One row for each stage that holds tensors; an alias costs nothing, since its bytes are another stage's."""
    if not memory.held and not memory.unknown:
        return
    from pipeprof.profiles.memory.predict.execution import ADDED

    names, held = name_rows(stages) | {ADDED: "prefetch, added by TensorFlow"}, memory.held
    yield Heading("Memory predicted", _total(memory))
    if memory.total_bytes >= _SMALL:
        scale = byte_scale(one.bytes for one in held)
        yield Table(
            [
                Column("owner", [OWNERS[one.owner] for one in held], right=False),
                Column("stage", [names.get(one.stage, one.stage) for one in held], right=False, shrink_to=28),
                Column(scale.unit, [_bytes(one, scale.text(one.bytes)) for one in held]),
                Column("how", [HOW[one.how] for one in held], right=False, keep=2),
                Column("", [one.formula for one in held], right=False, keep=3, shrink_to=20, style="dim"),
            ]
        )
    for reason, members in unknown_by_reason(memory).items():
        listed = ", ".join(dict.fromkeys(names.get(size.stage, size.stage) for size in members))
        yield Prose(f"unknown: {listed}: {reason}", hang=2)


def _total(memory: MemoryPrediction) -> str:
    if not memory.held:
        return ""
    more = ", plus what is unknown" if memory.unknown else ""
    if memory.total_bytes < _SMALL and not any(prediction.at_least for prediction in memory.held):
        return f"less than {size(_SMALL)} above TensorFlow itself{more}"
    least, most = any(entry.at_least for entry in memory.held), any(entry.at_most for entry in memory.held)
    bound = "about " if least and most else "at least " if least else "at most " if most else ""
    return f"{bound}{size(memory.peak_bytes)} above TensorFlow itself{more}"


def unknown_by_reason(memory: MemoryPrediction) -> dict[str, list[UnknownSize]]:
    """The stages whose bytes are not known, by the reason."""
    found: dict[str, list[UnknownSize]] = {}
    for other_size in memory.unknown:
        found.setdefault(other_size.reason, []).append(other_size)
    return found


def _bytes(held: BufferPrediction, text: str) -> str:
    if held.how == "alias":
        return "0"
    if held.at_least:
        return "unknown" if held.at_most else f"≥{text}"
    return f"≤{text}" if held.at_most else text
