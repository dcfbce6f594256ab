"""Clauses of a verdict: the direction and size of a metric's change, and the change that is its cause."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
from pipeprof.profiles.wording import listed, milliseconds, percent, place_of, ratio_text, significant, size, span_text

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Location
    from pipeprof.profiles.judge.verdicts.result import Metric, Result, StageChange

CHANGED = "has changed since the session began"
"""How the message ends on a side whose file is no longer what was measured."""
_AGREE, _AGREE_SHARE = math.log(1.05), 0.1
"""Between the change of medians and the mean change, up to which they need no explanation: of ratios, and as a share of
a difference that is above the floor."""
_SEEN = math.log(1.01)
"""The change of medians from which on a reader sees its direction."""
_TWO = 2
"""Pairs, whose spread is a single difference."""
_FACTOR_FROM = 2.0
"""An increase is given as a percentage below it."""
_SUBJECTS = {
    "step_ms": ("steps are", "slower", "faster"),
    "elements_per_second": ("throughput is", "lower", "higher"),
    "wait_ms": ("the wait per step is", "longer", "shorter"),
    "first_batch_s": ("the first batch comes", "later", "earlier"),
}
"""How a sentence begins on a metric, and what it is where it is worse and where it is better."""
_SHORT = {"step_ms": "steps", "peak_bytes": "memory"}
"""Names of metrics in `memory unchanged`."""


def value_text(metric: Metric, value: float | None) -> str:
    """A value of a metric with its unit; empty for none."""
    return _writer(metric.unit, value or 0.0)(value) if value is not None else ""


def values_text(metric: Metric, *values: float | None) -> list[str]:
    """Values of a metric in one unit, that of the largest; empty for those that are not known."""
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    write = _writer(metric.unit, largest)
    return [write(value) if value is not None else "" for value in values]


def _writer(unit: str, largest: float) -> Callable[[float], str]:
    """What writes values of a unit as the largest of them is best written."""
    if unit == "1/s":
        return lambda value: f"{significant(value)}/s"
    if unit == "":
        return percent
    scale = 1e3 if unit == "s" else 1.0
    text = size(largest) if unit == "B" else milliseconds(scale * largest)
    own, factor = text.rpartition(" ")[2], 1.0
    if unit == "B":
        if own == "B":
            return size
        factor = 1024.0 ** ("KiB", "MiB", "GiB", "TiB").index(own) * 1024.0
    else:
        factor = {"µs": 1e-3, "ms": 1.0, "s": 1e3}.get(own, 1.0) / scale
    return lambda value: f"{significant(value / factor)} {own}"


def describe_change(metric: Metric) -> str:
    """The change: ``1.12×``, or ``+3.1 ms`` of a difference; that of two shares is in percentage points."""
    if metric.change is None:
        return ""
    return ratio_text(metric.change) if metric.scale == "ratio" else change_text(metric, metric.change, signed=True)


def has_interval(metric: Metric) -> bool:
    """Whether the ends of the interval say anything: those of two pairs that decide nothing may be anywhere."""
    known = metric.low is not None and metric.high is not None
    return known and not (metric.pairs == _TWO and metric.words == "cannot tell")


def describe_interval(metric: Metric) -> str:
    """The interval of the change; empty where one pair says nothing about it."""
    if metric.low is None or metric.high is None:
        return ""
    if not has_interval(metric):
        return f"{metric.pairs} pairs: no interval"
    if metric.scale == "ratio":
        return span_text(metric.low, metric.high)
    return change_text(metric, metric.low, metric.high, signed=True)


def change_text(metric: Metric, *changes: float | None, signed: bool = False) -> str:
    """Differences of a metric's values in one unit, which stands once: ``+1.37 to +1.63 ms``; of shares in points.

    Args:
        signed: All but what is written as 0 have a sign.
    """
    known = [change for change in changes if change is not None]
    texts = values_text(metric, *known) if metric.unit else [_points(change) for change in known]
    unit = texts[0].rpartition(" ")[2] if texts else ""
    if all(text.endswith(f" {unit}") for text in texts[:-1]):
        texts[:-1] = [text.removesuffix(f" {unit}") for text in texts[:-1]]
    return " to ".join(map(_with_sign, texts, known) if signed else texts)


def _points(change: float) -> str:
    return f"{100 * change:.1f} points" if math.isfinite(change) else "n/a"


def _with_sign(text: str, change: float) -> str:
    number = text.partition(" ")[0].removeprefix("-")
    if number == "n/a" or not number.strip("0."):
        return text.removeprefix("-")
    return f"+{text}" if change > 0 else f"−{text.removeprefix('-')}"


def numbers_agree(metric: Metric) -> bool:
    """Whether the change is about what the values of the two sides give.

    They are medians, and the change is the mean of those within the pairs: where the machine's speed changes from pair
    to pair, the two are apart.
    """
    if metric.a is None or metric.b is None or metric.change is None:
        return True
    if metric.scale == "difference":
        return abs(metric.b - metric.a - metric.change) <= max(metric.floor, _AGREE_SHARE * abs(metric.change))
    if not metric.a or not metric.b or not metric.change:
        return True
    return abs(math.log(metric.b / metric.a / metric.change)) <= _AGREE


def _opposed(metric: Metric) -> bool:
    """Whether the values of the two sides differ the other way than the change, visibly."""
    if metric.a is None or metric.b is None or metric.change is None:
        return False
    if metric.scale == "difference":
        return (metric.b - metric.a) * metric.change < 0 and abs(metric.b - metric.a) > metric.floor
    if not metric.a or not metric.b or not metric.change:
        return False
    medians = math.log(metric.b / metric.a)
    return medians * math.log(metric.change) < 0 and abs(medians) > _SEEN


def describe_values(metric: Metric) -> str:
    """The values of both sides and the change with its interval; of values that differ the other way, that alone.

    Example:
        ``10.0 → 10.3 ms, 1.03× (1.02–1.04)``, ``10.3 → 19.6 ms (medians), 1.62× from pair to pair``
    """
    agrees, opposed, interval = numbers_agree(metric), _opposed(metric), describe_interval(metric)
    values = "" if opposed else f"{both_values(metric)}{'' if agrees else ' (medians)'}, "
    pairs = "" if agrees and not opposed else " from pair to pair"
    return f"{values}{describe_change(metric)}{pairs}{f' ({interval})' if interval else ''}"


def describe_medians(metrics: Sequence[Metric]) -> str:
    """Name the metrics whose change differs from that of their medians, and why; empty if there are none."""
    apart = [
        metric.title
        for metric in metrics
        if metric.pairs and metric.limit is None and (_opposed(metric) or not numbers_agree(metric))
    ]
    if not apart:
        return ""
    why = "the machine's speed changed between pairs, and the change is the mean of those within them"
    return f"A and B are medians of all pairs ({listed(apart)}): {why}."


def is_lacking(metric: Metric) -> bool:
    """Whether a metric that is not judged is about nothing on both sides: no wait, no reads from the disk."""
    if metric.level != "off" or metric.scale != "difference" or metric.limit is not None:
        return False
    return all(value is not None and abs(value) <= metric.floor for value in (metric.a, metric.b, metric.change))


def describe_direction(metric: Metric) -> str:
    """State in which direction, and how much, a metric has changed, its values, and what is allowed.

    Example:
        ``steps are 45 % slower (1.93 → 2.82 ms, allowed 3 %)``
    """
    if metric.limit is not None:
        value, limit = values_text(metric, metric.b, metric.limit)
        return f"{_subject(metric)[0]} {value}, allowed at most {limit}"
    subject, worse, better = _subject(metric)
    word = worse if _is_worse(metric) else better
    agrees, opposed = numbers_agree(metric), _opposed(metric)
    values = "" if opposed else f"{'' if agrees else 'medians '}{both_values(metric)}, "
    amount = f"{_amount(metric)} {word}{'' if agrees and not opposed else ' from pair to pair'}"
    return f"{subject} {amount} ({values}allowed {allowed_text(metric)})"


def describe_doubt(metric: Metric) -> str:
    """State what cannot be decided about a metric: whether it is worse than is allowed.

    Example:
        ``steps are perhaps slower: 10.0 → 10.3 ms, 1.03× (1.02–1.04), allowed 3 %``
    """
    subject, worse, _ = _subject(metric)
    return f"{subject} perhaps {worse}: {describe_values(metric)}, allowed {allowed_text(metric)}"


def describe_unchanged(metric: Metric) -> str:
    """State what a metric is that has not regressed, in two or three words.

    Example:
        ``memory unchanged``, ``steps 1.25× faster``, ``memory not higher``
    """
    name = _SHORT.get(metric.name, metric.title)
    _, worse, better = _subject(metric)
    if metric.limit is not None:
        return f"{name} within {value_text(metric, metric.limit)}"
    if metric.words == "no difference":
        return f"{name} unchanged"
    if metric.verdict == "cannot tell":
        return f"{name} not certain"
    if metric.words == "cannot tell":
        return f"{name} not {worse}"
    return f"{name} {_amount(metric)} {worse if _is_worse(metric) else better}"


def stage_status(stage: StageChange) -> str:
    """State whether a stage is on one side only, or differs; empty for one that is the same on both."""
    return {"same": "", "only a": "only in A", "only b": "only in B"}.get(stage.status, stage.status)


def both_values(metric: Metric) -> str:
    """The values of A and B in one unit, which stands once.

    Example:
        ``1.93 → 2.82 ms``
    """
    one, other = values_text(metric, metric.a, metric.b)
    if metric.unit != "1/s" and one.rpartition(" ")[2] == other.rpartition(" ")[2]:
        one = one.rpartition(" ")[0]
    return f"{one} → {other}"


def allowed_text(metric: Metric) -> str:
    """By how much a metric may be worse: a share, or a value in its unit."""
    if metric.scale == "ratio":
        return f"{100 * metric.floor:.3g} %"
    return change_text(metric, metric.floor)


def _subject(metric: Metric) -> tuple[str, str, str]:
    if metric.stage is not None:
        return f"{metric.title} is", "longer", "shorter"
    return _SUBJECTS.get(metric.name, (f"{metric.title} is", "higher", "lower"))


def _is_worse(metric: Metric) -> bool:
    change, kind = metric.change or 0.0, BY_NAME.get(metric.name)
    grown = change > (1.0 if metric.scale == "ratio" else 0.0)
    return grown == (kind is None or kind.higher_is_worse)


def _amount(metric: Metric) -> str:
    change = metric.change or 0.0
    if metric.scale == "difference":
        return change_text(metric, abs(change))
    if metric.name == "step_ms" and 0 < change < 1:
        return f"{ratio_text(1 / change)}"
    return percent(abs(change - 1)) if change < _FACTOR_FROM else f"{ratio_text(change)}"


def describe_part(change: str, place: Location | None) -> str:
    """A change of a spec with its line, and without the way to it.

    Example:
        >>> describe_part("stages.decode.num_parallel_calls: 2 → 1", None)
        'num_parallel_calls 2 → 1'
        >>> describe_part("stages.cache: removed", None)
        'cache removed'
        >>> describe_part("stages.decode.ops.tf.image.resize.size: [64, 64] → [448, 448]", None)
        'tf.image.resize.size [64, 64] → [448, 448]'
    """
    path, colon, what = change.partition(": ")
    if not colon:
        return change
    name = argument_of(path) if " → " in what else path.removeprefix("stages.")
    text = f"{name} {what}"
    if what.startswith("added ") and "." not in name:
        text = what  # it names the stage
    return f"{place_of(place)} {text}" if place is not None else text


def argument_of(path: str) -> str:
    """The argument at the end of a way through a spec, that of an op in a function after the op's name."""
    return path.rpartition(".ops.")[2] if ".ops." in path else path.rpartition(".")[2]


def place_of_change(result: Result, change: str) -> Location | None:
    """The line of a change in the spec of B, or in a file of its function."""
    return dict(zip(result.changes, result.change_places, strict=False)).get(change)


def with_places(result: Result, changes: Sequence[str]) -> str:
    """Changes with their lines, where those are known, and with the ways to them."""
    places = (place_of(place_of_change(result, change)) for change in changes)
    return " + ".join(" ".join(filter(None, both)) for both in zip(places, changes, strict=True))


def describe_likely(result: Result) -> str:
    """Name the change that is likely the cause: it is the only one, or one of a few; empty if unknown.

    Of specs, nothing else differs between the sides than the files that they name; of functions, other modules may.
    """
    parts = [describe_part(change, place_of_change(result, change)) for change in result.changes]
    if not parts:
        return ""
    if len(parts) == 1:
        return f"Likely: {parts[0]}"
    more = f" and {len(parts) - 2} more" if len(parts) > 2 else ""
    return f"Likely one of {len(parts)} changes: {'; '.join(parts[:2])}{more}"
