"""What ``pipeprof check`` prints of a target: its stages, its predicted memory and its findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeprof.cli.report.blocks import Block, Code, Column, Heading, Pairs, Table, Text
from pipeprof.cli.report.memory import HOW, OWNERS
from pipeprof.cli.report.rows import name_row, name_rows, number_of
from pipeprof.cli.report.units import byte_scale
from pipeprof.profiles.advise.advise import StaticAdvice
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.memory.predict import ADDED, BufferPrediction, MemoryPrediction, UnknownSize
from pipeprof.profiles.wording import place_of, size

_SMALL = 1 << 20
"""Bytes below which owners are not listed."""
_LEAST = 10_000
"""Of arrays and constants that have a row of their own."""


def describe_check(target: str, told: StaticAdvice, facts: Sequence[tuple[str, str]]) -> Iterator[Block]:
    """Describe a target without errors: its stages with their lines, step, predicted memory and findings."""
    stages, findings = told.stages, told.findings
    yield Text(f"{target}: no errors", indent=0)
    file = target.partition(":")[0]
    places = [
        f"line {at.line}" if (at := stage.location) and at.file == file else place_of(at) or "" for stage in stages
    ]
    yield Table(
        [
            Column("", [number_of(stage.id) for stage in stages], right=False, style="dim"),
            Column("", ["  " * stage.depth + name_row(stage) for stage in stages], right=False),
            Column("", places, right=False, keep=0, style="dim"),
        ]
    )
    yield Pairs([*facts, *([("rules", "no findings without running it")] if findings == [] else [])])
    if told.memory is not None:
        yield from _memory(told.memory, stages)
        yield from (Text(f"not predicted: {text}") for text in describe_growing(told.memory, stages))
    yield from (Text(what_if.sentence) for what_if in told.what_ifs)
    if findings:
        # It takes a tenth of the time of a whole check to import.
        from pipeprof.cli.report.changes import finding_card

        yield Heading("What to change", "found without running it: not measured")
        for number, finding in enumerate(findings, 1):
            card = finding_card(finding, stages, number, full=False)
            yield replace(card, blocks=(*card.blocks, Code(f"pipeprof rules {finding.rule}", label="why")))
    if told.messages:
        yield Heading("Warnings", "what to do: pipeprof rules CODE")
        yield from (Text(f"{warning.code}: {warning.message}") for warning in told.messages)


def _memory(memory: MemoryPrediction, stages: Sequence[Stage]) -> Iterator[Block]:
    """One row for each stage that holds tensors; an alias costs nothing, since its bytes are another stage's."""
    if not memory.held and not memory.unknown:
        return
    names = _names(stages)
    # Nearly every function has a number or two among its constants.
    held = [one for one in memory.held if one.owner != "source" or one.bytes >= _LEAST]
    yield Heading("Memory predicted", _total(memory))
    if memory.total_bytes >= _SMALL:
        scale = byte_scale(one.bytes for one in held)
        yield Table(
            [
                Column("owner", [OWNERS[one.owner] for one in held], right=False),
                Column("stage", [names.get(one.stage, one.stage) for one in held], right=False, wrap=True),
                Column(scale.unit, [_bytes(one, scale.text(one.bytes)) for one in held]),
                Column("how", [HOW[one.how] for one in held], right=False, keep=2),
                Column("", [_parts(one) for one in held], right=False, wrap=True, style="dim"),
            ]
        )
    for reason, members in unknown_by_reason(memory).items():
        listed = ", ".join(dict.fromkeys(names.get(one.stage, one.stage) for one in members))
        yield Text(f"unknown: {listed}: {reason}")


def _names(stages: Sequence[Stage]) -> dict[str, str]:
    return name_rows(stages) | {ADDED: "prefetch, added by TensorFlow"}


def _parts(one: BufferPrediction) -> str:
    """The number of elements and what one takes; of a source, of the copies that TensorFlow makes."""
    if one.how == "alias":
        return "views of another stage's tensors"
    if one.count is None:
        return ""
    if one.owner == "source":
        return f"{size(one.each)} × {one.count:.3g} at the peak, with the copies that TensorFlow makes"
    return f"{one.count:,.0f} × {size(one.each)}{', if there are that many' if one.at_most else ''}"


def describe_growing(memory: MemoryPrediction, stages: Sequence[Stage]) -> Iterator[str]:
    """State the stages that may hold much more than is predicted, because TensorFlow chooses how much."""
    names = _names(stages)
    for one in memory.growing:
        yield (
            f"how far TensorFlow lets {names.get(one.stage, one.stage)} grow: {one.count:,.0f} of {size(one.each)} are "
            f"counted, {size(one.most)} are possible"
        )


def _total(memory: MemoryPrediction) -> str:
    if not memory.held:
        return ""
    more = ", plus what is unknown" if memory.unknown else ""
    least, most = any(one.at_least for one in memory.held), any(one.at_most for one in memory.held)
    if memory.total_bytes < _SMALL and not least:
        return f"less than {size(_SMALL)} above TensorFlow itself{more}"
    bound = "about " if least and most else "at least " if least else "at most " if most else ""
    return f"{bound}{size(memory.peak_bytes)} above TensorFlow itself{more}"


def unknown_by_reason(memory: MemoryPrediction) -> dict[str, list[UnknownSize]]:
    """The stages whose bytes are not known, by the reason."""
    found: dict[str, list[UnknownSize]] = {}
    for one in memory.unknown:
        found.setdefault(one.reason, []).append(one)
    return found


def _bytes(held: BufferPrediction, text: str) -> str:
    if held.how == "alias":
        return "0"
    if held.at_least:
        return "unknown" if held.at_most else f"≥{text}"
    return f"≤{text}" if held.at_most else text
