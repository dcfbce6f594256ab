"""One metric of a comparison as texts: its facts by their labels, and as a clause of a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pipeprof.profiles.judge.metrics import BY_NAME
from pipeprof.profiles.judge.result import Metric
from pipeprof.profiles.judge.verdict import has_interval, medians_agree, what_it_is
from pipeprof.profiles.wording import milliseconds, percent, ratio_text, significant, size, span_text


def facts_of(metric: Metric) -> dict[str, str]:
    """What is known of a metric, in order, as texts by their labels; what is not known is empty."""
    write = _writer(metric, metric.a, metric.b, metric.limit)
    a, b, limit = ("" if value is None else write(value) for value in (metric.a, metric.b, metric.limit))
    floor = _changes(metric, metric.floor) if metric.scale == "difference" else f"+{100 * metric.floor:.3g} %"
    allowed, what = floor if is_worse_when_higher(metric) else floor.replace("+", "−"), what_it_is(metric)
    words = {"no difference": f"the same ±{floor.removeprefix('+')}", "cannot tell": "unclear"}.get(what, what)
    return {
        "metric": metric.title,
        # Medians that say something else than the pairs are not what was judged.
        "A": a if medians_agree(metric) else "",
        "B": b if medians_agree(metric) else "",
        "change": _changes(metric, metric.change),
        "98 % interval": _changes(metric, metric.low, metric.high) if has_interval(metric) else "",
        "B is": words if metric.pairs else "",
        "limit": "" if metric.level == "off" else limit or allowed,
        "verdict": "" if metric.level == "off" else metric.verdict + " (warning)" * (metric.level == "warn"),
        "noise": "two processes of A differ by more than that" if metric.disturbed else "",
    }


def clause_of(metric: Metric, *, limited: bool = False) -> str:
    """A metric in a sentence, `limited` with what a gate allows: ``time per step 10 → 11.2 ms, 1.12× (1.11–1.13)``."""
    facts = facts_of(metric)
    limit = f"limit {facts['limit']}" if limited or metric.limit is not None else ""
    if metric.limit is not None:
        return f"{metric.title} {facts['B']}, {limit}"
    (a, _, unit), b = facts["A"].partition(" "), facts["B"]
    values = f"{a if unit == b.partition(' ')[2] else facts['A']} → {b}" if a and b else ""
    return f"{metric.title} {', '.join(filter(None, (values, change_of(facts), limit, facts['noise'])))}"


def short_clause_of(metric: Metric) -> str:
    """A metric that decides nothing: unchanged, or its change."""
    if metric.limit is not None:
        return clause_of(metric)
    is_same = metric.words == "no difference" and metric.pairs
    return f"{metric.title} {'unchanged' if is_same else change_of(facts_of(metric))}"


def change_of(facts: Mapping[str, str]) -> str:
    """The change with its interval: ``1.12× (1.11–1.13)``."""
    return facts["change"] + (f" ({facts['98 % interval']})" if facts["98 % interval"] else "")


def is_worse_when_higher(metric: Metric) -> bool:
    """Whether more of it is worse."""
    return metric.name not in BY_NAME or BY_NAME[metric.name].higher_is_worse


def _changes(metric: Metric, *changes: float | None) -> str:
    """A change, or both ends of its interval: ``1.12×``, ``+1.37 to +1.63 ms``; of shares in points."""
    known = [change for change in changes if change is not None]
    if len(known) < len(changes):
        return ""
    if metric.scale == "ratio":
        return span_text(*known) if len(known) > 1 else ratio_text(*known)
    write = _writer(metric, *known) if metric.unit else lambda change: f"{100 * change:.1f} points"
    texts = [write(abs(change)).partition(" ") for change in known]
    signs = ["+" if change > 0 else "−" for change in known]
    numbers = [f"{sign * bool(text[0].strip('0.'))}{text[0]}" for sign, text in zip(signs, texts, strict=True)]
    return f"{' to '.join(numbers)} {texts[0][2]}"


def _writer(metric: Metric, *values: float | None) -> Callable[[float], str]:
    """What writes values of a metric as the largest of them is best written."""
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    if metric.unit in {"", "1/s"}:
        return (lambda value: f"{significant(value)}/s") if metric.unit else percent
    if metric.unit == "B":
        unit = size(largest).rpartition(" ")[2]
        factor = 1024.0 ** ("B", "KiB", "MiB", "GiB", "TiB").index(unit)
    else:
        in_ms = 1e3 if metric.unit == "s" else 1.0
        unit = milliseconds(largest * in_ms).rpartition(" ")[2]
        factor = {"µs": 1e-3, "ms": 1.0, "s": 1e3}[unit] / in_ms
    return lambda value: f"{significant(value / factor)} {unit}"
