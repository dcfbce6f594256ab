"""The effect of each piece of a difference, and what they explain of the whole: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeprof.profiles.judge.verdicts import decide
from pipeprof.profiles.judge.verdicts.decide import MeasuredChange, Verdict, Words
from pipeprof.profiles.judge.verdicts.metrics import MetricKind
from pipeprof.profiles.judge.verdicts.result import Cause, Explanation
from pipeprof.profiles.judge.why.effects import (
    Observation,
    contrast,
    is_clear,
    is_disturbed,
    left_over,
    share_of,
    words_together,
)
from pipeprof.profiles.judge.why.search import Piece
from pipeprof.profiles.judge.why.units import Subset


def account(
    kind: MetricKind,
    observations: Sequence[Observation],
    pieces: Sequence[Piece],
    names: Mapping[int, Sequence[str]],
    reasons: Mapping[int, str],
) -> tuple[list[Cause], Explanation]:
    """State what each piece of a difference does to a metric, the largest effect first.

    Args:
        kind: The metric; a ratio.
        names: The changes of each unit, in words.
        reasons: Why the changes of a unit are made together, or could not be measured, by unit.
    """
    floor = decide.floor_of(kind)
    everything = frozenset(names)
    disturbed = is_disturbed(kind, observations, floor)
    whole = contrast(kind, observations, {everything: 1.0})
    effects = {piece: _effect(kind, observations, piece, pieces, everything) for piece in pieces}
    words = words_together(kind, floor, effects, disturbed=disturbed)
    of_whole = words_together(kind, floor, {0: whole}, disturbed=disturbed)[0]
    causes = []
    for piece in sorted(pieces, key=lambda piece: -_size(effects[piece])):
        found = effects[piece]
        causes.append(
            Cause(
                changes=[text for unit in sorted(piece.units) for text in names[unit]],
                metric=kind.name,
                change=found.change if found else None,
                low=_finite(found.low) if found else None,
                high=_finite(found.high) if found else None,
                pairs=found.pairs if found else 0,
                share=share_of(found, whole) if found and whole and is_clear(of_whole) else None,
                kind=piece.kind,
                alone=_each_alone(kind, observations, piece),
                verdict=_verdict(kind, words[piece]),
                words=words[piece],
                reason=_reason(piece, reasons, found),
            )
        )
    measured = [piece for piece in pieces if piece.kind != "rest"]
    rest = (
        left_over(kind, observations, everything, [piece.units for piece in measured])
        if len(measured) == len(pieces) > 1
        else None
    )
    return causes, _explanation(kind, whole, rest, floor, words=of_whole, disturbed=disturbed)


def _effect(
    kind: MetricKind,
    observations: Sequence[Observation],
    piece: Piece,
    pieces: Sequence[Piece],
    everything: Subset,
) -> MeasuredChange | None:
    if piece.kind != "rest":
        return contrast(kind, observations, {piece.units: 1.0})
    others = everything - piece.units
    if others and (found := contrast(kind, observations, {everything: 1.0, others: -1.0})) is not None:
        return found
    return left_over(kind, observations, everything, [one.units for one in pieces if one is not piece])


def _each_alone(kind: MetricKind, observations: Sequence[Observation], piece: Piece) -> list[float]:
    """What each part of an interaction does alone, where all of them were measured."""
    if piece.kind != "together":
        return []
    found = [contrast(kind, observations, {frozenset({unit}): 1.0}) for unit in sorted(piece.units)]
    known = [one.change for one in found if one is not None]
    return known if len(known) == len(found) else []


def _explanation(
    kind: MetricKind,
    whole: MeasuredChange | None,
    rest: MeasuredChange | None,
    floor: float,
    *,
    words: Words,
    disturbed: bool,
) -> Explanation:
    of_rest = words_together(kind, floor, {0: rest}, disturbed=disturbed)[0]
    return Explanation(
        metric=kind.name,
        change=whole.change if whole else None,
        low=_finite(whole.low) if whole else None,
        high=_finite(whole.high) if whole else None,
        rounds=whole.pairs if whole else 0,
        words=words,
        rest=rest.change if rest else None,
        rest_low=_finite(rest.low) if rest else None,
        rest_high=_finite(rest.high) if rest else None,
        rest_words=of_rest,
        disturbed=disturbed,
    )


def _verdict(kind: MetricKind, words: Words) -> Verdict:
    if words == "cannot tell":
        return "cannot tell"
    return "regressed" if words == decide.direction_of(kind, worse=True) else "not regressed"


def _reason(piece: Piece, reasons: Mapping[int, str], found: MeasuredChange | None) -> str | None:
    given = [reasons[unit] for unit in sorted(piece.units) if unit in reasons]
    if given:
        return "; ".join(dict.fromkeys(given))
    return "not measured" if found is None else None


def _size(found: MeasuredChange | None) -> float:
    return abs(found.worse) if found is not None and math.isfinite(found.worse) else 0.0


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
