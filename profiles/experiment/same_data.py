"""Whether an edited pipeline gives the data of the one it was made from: pure functions on digests.

The pipeline is compared with itself first, in two processes with the same seeds: an edit must reproduce only what the
pipeline reproduces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeprof.profiles.advise.proposal import Compared
from pipeprof.profiles.protocol.turns import BatchDigest, Built
from pipeprof.profiles.wording import LAST_DIGITS, NOT_REPRODUCIBLE

Level = Literal["bytes", "rounding", "elements", "types"]
"""What is compared: every byte in order, or but for rounding, the elements in any order, or types and counts alone."""


@dataclass(frozen=True)
class DataCheck:
    """The result of a comparison, and whether two processes of the pipeline gave the same bytes; None if no matter."""

    level: Level
    batches: int
    same: bool
    difference: str | None = None
    reproduced: bool | None = None

    @property
    def words(self) -> str:
        """The result in words."""
        if self.difference is not None:
            return self.difference
        itself = "; two processes of the pipeline itself differ in more than that" if self.reproduced is False else ""
        count = f"first {self.batches} batches" if self.batches > 1 else "first batch"
        same = (
            {
                "bytes": f"the {count} are equal byte by byte",
                "rounding": f"the {count} are equal but for {LAST_DIGITS}",
                "elements": f"the {count} have the same elements",
                "types": f"the {count} have the same types and numbers of elements",
            }[self.level]
            .replace("batch are", "batch is")
            .replace("batch have", "batch has")
        )
        return same + itself


def check_data(baseline: Built, again: Built, edited: Built, semantics: Compared) -> DataCheck:
    """Compare an edited pipeline with the one it was made from.

    What an edit cannot change differs because the pipeline does not give the same data twice. Other values are no
    difference where several calls at a time draw the random numbers of the pipeline as it is: that two processes of it
    agree is chance.
    """
    if semantics == "nothing":
        found = check_data(baseline, again, edited, "same")
        words = f"{found.difference}, which this change cannot cause: {NOT_REPRODUCIBLE}"
        return found if found.same else replace(found, same=True, difference=words, reproduced=False)
    found = _compared(baseline, again, edited, semantics)
    by_chance = baseline.racing and not found.same and found.level != "types"
    return DataCheck("types", found.batches, True, reproduced=False) if by_chance else found


def _compared(baseline: Built, again: Built, edited: Built, semantics: Compared) -> DataCheck:
    count = min(len(baseline.batches), len(again.batches), len(edited.batches))
    first, second, other = (built.batches[:count] for built in (baseline, again, edited))
    whole = baseline.ended and again.ended
    if whole and (not edited.ended or len(edited.batches) != len(baseline.batches)):
        before, after = len(baseline.batches), f"{'' if edited.ended else 'more than '}{len(edited.batches)}"
        return DataCheck("types", count, False, f"an epoch has {after} batches instead of {before}")
    difference = _types_differ(first, other)
    if difference is not None:
        return DataCheck("types", count, False, difference)
    if semantics == "same" and _data(first) == _data(second):
        return _by_value(first, other)
    comparable = semantics == "same" or (semantics == "order" and whole)
    if comparable and _rows(first) and _rows(first) == _rows(second):
        same = _rows(first) == _rows(other)
        itself = False if semantics == "same" else None
        return DataCheck("elements", count, same, None if same else "it has different elements", itself)
    return DataCheck("types", count, True, reproduced=False if semantics == "same" else None)


def _by_value(first: Sequence[BatchDigest], other: Sequence[BatchDigest]) -> DataCheck:
    if _data(first) == _data(other):
        return DataCheck("bytes", len(first), True)
    if all(map(_is_close, first, other)):
        return DataCheck("rounding", len(first), True)
    pairs = zip(_data(first), _data(other), strict=True)
    number = next(number for number, (data, edited) in enumerate(pairs, 1) if data != edited)
    return DataCheck("bytes", len(first), False, f"batch {number} has different values")


def _data(batches: Sequence[BatchDigest]) -> list[str]:
    return [batch.data for batch in batches]


def _is_close(batch: BatchDigest, edited: BatchDigest) -> bool:
    if not batch.sums or batch.exact != edited.exact or len(batch.sums) != len(edited.sums):
        return False
    pairs = zip(batch.sums, edited.sums, strict=True)
    return all(abs(one - other) <= max(slack, other_slack) for (one, slack), (other, other_slack) in pairs)


def _rows(batches: Sequence[BatchDigest]) -> Counter[str]:
    return Counter(row for batch in batches for row in batch.rows)


def _types_differ(first: Sequence[BatchDigest], other: Sequence[BatchDigest]) -> str | None:
    for number, (batch, edited) in enumerate(zip(first, other, strict=True), 1):
        if batch.spec != edited.spec:
            return f"batch {number} has different types or ranks"
        if batch.rows and edited.rows and len(batch.rows) != len(edited.rows):
            return f"batch {number} has {len(edited.rows)} elements instead of {len(batch.rows)}"
    return None
