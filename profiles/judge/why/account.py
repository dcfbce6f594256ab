"""The effect of each piece of a difference, and what they explain of the whole: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeprof.profiles.experiment.decision import Verdict
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.judge.verdicts.metrics import MetricKind, Words
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
        names: The changes of each unit, in words.
        reasons: Why the changes of a unit are made together, or could not be measured, by unit.
    """
    floor = kind.on_scale()
    everything = frozenset(names)
    disturbed = is_disturbed(observations, floor)
    whole = contrast(observations, {everything: 1.0})
    effects = {piece: _effect(observations, piece, pieces, everything) for piece in pieces}
    words = words_together(kind, floor, effects, disturbed=disturbed)
    of_whole = words_together(kind, floor, {0: whole}, disturbed=disturbed)[0]
    causes = []
    for piece in sorted(pieces, key=lambda piece: -_size(effects[piece])):
        found = effects[piece]
        low, high = kind.ends(found) if found else (None, None)
        causes.append(
            Cause(
                changes=[text for unit in sorted(piece.units) for text in names[unit]],
                metric=kind.name,
                change=kind.as_change(found.mean) if found else None,
                low=low,
                high=high,
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
        left_over(observations, everything, [piece.units for piece in measured])
        if len(measured) == len(pieces) > 1
        else None
    )
    return causes, _explanation(kind, whole, rest, floor, words=of_whole, disturbed=disturbed)


def _effect(
    observations: Sequence[Observation], piece: Piece, pieces: Sequence[Piece], everything: Subset
) -> Interval | None:
    if piece.kind != "rest":
        return contrast(observations, {piece.units: 1.0})
    others = everything - piece.units
    if others and (found := contrast(observations, {everything: 1.0, others: -1.0})) is not None:
        return found
    return left_over(observations, everything, [one.units for one in pieces if one is not piece])


def _each_alone(kind: MetricKind, observations: Sequence[Observation], piece: Piece) -> list[float]:
    """What each part of an interaction does alone, where all of them were measured."""
    if piece.kind != "together":
        return []
    found = [contrast(observations, {frozenset({unit}): 1.0}) for unit in sorted(piece.units)]
    known = [kind.as_change(one.mean) for one in found if one is not None]
    return known if len(known) == len(found) else []


def _explanation(
    kind: MetricKind, whole: Interval | None, rest: Interval | None, floor: float, *, words: Words, disturbed: bool
) -> Explanation:
    of_rest = words_together(kind, floor, {0: rest}, disturbed=disturbed)[0]
    low, high = kind.ends(whole) if whole else (None, None)
    rest_low, rest_high = kind.ends(rest) if rest else (None, None)
    return Explanation(
        metric=kind.name,
        change=kind.as_change(whole.mean) if whole else None,
        low=low,
        high=high,
        rounds=whole.pairs if whole else 0,
        words=words,
        rest=kind.as_change(rest.mean) if rest else None,
        rest_low=rest_low,
        rest_high=rest_high,
        rest_words=of_rest,
        disturbed=disturbed,
    )


def _verdict(kind: MetricKind, words: Words) -> Verdict:
    if words == "cannot tell":
        return "cannot tell"
    return "regressed" if words == kind.direction(worse=True) else "not regressed"


def _reason(piece: Piece, reasons: Mapping[int, str], found: Interval | None) -> str | None:
    given = [reasons[unit] for unit in sorted(piece.units) if unit in reasons]
    if given:
        return "; ".join(dict.fromkeys(given))
    return "not measured" if found is None else None


def _size(found: Interval | None) -> float:
    return abs(found.mean) if found is not None and math.isfinite(found.mean) else 0.0
