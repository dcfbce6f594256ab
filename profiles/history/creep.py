"""Drift over several gates that all passed: pure functions.

Each gate is a link between two pipelines: what its pairs say of the change from one to the other, measured on one
machine in turns. The pipeline of now and an earlier one are joined by a chain of such links, and the change between
them is the sum of the links, with the errors that these have. So a machine that is faster today than last month adds
nothing to it, which a comparison of two sessions' times could not say.

Several earlier pipelines, the metrics that are judged, and the gates that have looked before all give chance an
opportunity. Holm's procedure divides the error among the first two, and each look gets its part of it, the earlier ones
the most: at most 1 in 100 histories of `WINDOW` gates whose pipeline has drifted by exactly the floor is called a
drift.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeprof.profiles.experiment import decision
from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.statistics import ERROR, Interval, total
from pipeprof.profiles.history.entry import HostClass, KeptGate, State
from pipeprof.profiles.judge.verdicts.metrics import MetricKind, kinds_of
from pipeprof.profiles.judge.verdicts.result import Drift, PairValues
from pipeprof.profiles.judge.verdicts.tabulate import Judged, compare_columns, values_of_pairs

WINDOW = 20
"""Gates of a series that are looked at, the latest ones: a chain of more links says less with each."""

_PARTS = sum(1 / number for number in range(2, WINDOW + 1))
"""What the parts of the error that the looks of `WINDOW` gates get add up to; the first gate has no earlier one."""


@dataclass(frozen=True)
class Link:
    """A change from one pipeline to another, by metric.

    Attributes:
        own: By how much copies of its A differ for certain, by metric: no change below it counts.
    """

    one: str
    other: str
    changes: Mapping[str, Interval]
    own: Mapping[str, float]


@dataclass(frozen=True)
class Anchor:
    """An earlier pipeline that the one of now is compared with."""

    state: State
    started: str
    links: int
    changes: Mapping[str, Interval]
    own: Mapping[str, float]


def link_of(a: str, b: str, pairs: Sequence[PairValues], judged: Mapping[str, Judged]) -> Link | None:
    """What the pairs of a gate say of B, compared with A; None where they say nothing of any metric."""
    changes: dict[str, Interval] = {}
    own: dict[str, float] = {}
    for kind in kinds_of(judged):
        if kind.name not in judged or judged[kind.name].level == "off":
            continue
        columns = values_of_pairs(kind, pairs, "b") if pairs else None
        if columns is None:
            continue
        compared = compare_columns(kind, columns)
        if compared.change.freedom:
            changes[kind.name] = compared.change
            own[kind.name] = compared.own_differences
    return Link(a, b, changes, own) if changes else None


def drifts(
    now: Link, sides: tuple[State, State], entries: Sequence[KeptGate], host: HostClass, judged: Mapping[str, Judged]
) -> list[Drift]:
    """What B of a gate is, compared with the best of the earlier pipelines that a chain of gates joins it to.

    The best one is that from which B differs most clearly, of each metric; the error is that of all of them.

    Args:
        now: The gate itself, which is not among the entries.
        entries: Of the same series, in their order; those of other classes of hosts count as links to nothing.
    """
    latest = [entry for entry in entries if entry.host == host][-WINDOW:]
    found = list(_anchors(now, sides, latest, judged))
    tests: dict[tuple[int, str], decision.Test] = {}
    kinds = {kind.name: kind for kind in kinds_of(judged)}
    for number, anchor in enumerate(found):
        for name, change in anchor.changes.items():
            floor = kinds[name].on_scale(judged[name].floor)
            tests[number, name] = Comparison(change), max(floor, anchor.own[name])
    verdicts = decision.verdicts(tests, ERROR / _PARTS / (len(latest) + 1))
    rows: list[Drift] = []
    for name in now.changes:
        of_metric = {key: test for key, test in tests.items() if key[1] == name}
        if not of_metric:
            continue
        clearest = max(
            of_metric, key=lambda key: (verdicts[key] == "regressed", of_metric[key][0].strength(tests[key][1]))
        )
        anchor = found[clearest[0]]
        rows.append(_row(kinds[name], anchor, anchor.changes[name], judged[name], verdicts[clearest]))
    return rows


def has_only_others(entries: Sequence[KeptGate], host: HostClass) -> bool:
    """Whether a history has gates, and none of this class of hosts."""
    measured = [entry for entry in entries if entry.pairs]
    return bool(measured) and all(entry.host != host for entry in measured)


def _row(kind: MetricKind, anchor: Anchor, change: Interval, judged: Judged, verdict: decision.Verdict) -> Drift:
    low, high = kind.ends(change)
    return Drift(
        metric=kind.name,
        title=kind.title,
        since=anchor.state.commit or anchor.state.text,
        text=anchor.state.text,
        dirty=anchor.state.dirty,
        started=anchor.started,
        gates=anchor.links,
        scale=kind.scale,
        change=kind.as_change(change.mean),
        low=low,
        high=high,
        floor=kind.floor if judged.floor is None else judged.floor,
        level=judged.level,
        verdict=verdict,
    )


def _anchors(
    now: Link, sides: tuple[State, State], entries: Sequence[KeptGate], judged: Mapping[str, Judged]
) -> Iterator[Anchor]:
    """Earlier pipelines with the chain that leads from each to B, those with the fewest links first."""
    links = [now]
    same: list[tuple[str, str]] = []
    states: dict[str, tuple[State, str]] = {}
    taken = {entry.a.digest for entry in entries} | {now.one}
    for entry in entries:
        link = None if entry.same else link_of(entry.a.digest, entry.b.digest, entry.pairs, judged)
        if link is not None:
            links.append(link)
        elif entry.same:
            same.append((entry.a.digest, entry.b.digest))
        for state in (entry.a, entry.b):
            # What a gate failed was not taken, unless a later gate began with it.
            if state is entry.a or entry.verdict != "regressed" or state.digest in taken:
                states.setdefault(state.digest, (state, entry.started))
    a, b = (side.digest for side in sides)
    for digest, chain in _chains(b, links, same):
        if digest in {a, b} or digest not in states:
            continue
        changes, own = _sum(chain)
        if changes:
            state, started = states[digest]
            yield Anchor(state, started, len(chain), changes, own)


def _chains(end: str, links: Sequence[Link], same: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[Link]]]:
    """Each pipeline that is joined to one, with the shortest chain of links from it to that one."""
    near: dict[str, list[tuple[str, Link | None]]] = {}
    # Of two chains as long as each other, the one of later gates.
    for link in reversed(links):
        near.setdefault(link.other, []).append((link.one, link))
        near.setdefault(link.one, []).append((link.other, _turned(link)))
    for one, other in same:
        near.setdefault(one, []).append((other, None))
        near.setdefault(other, []).append((one, None))
    known: dict[str, list[Link]] = {end: []}
    todo = deque([end])
    while todo:
        at = todo.popleft()
        for other, way in near.get(at, ()):
            if other not in known:
                known[other] = [*known[at], way] if way is not None else known[at]
                todo.append(other)
    yield from ((digest, chain) for digest, chain in known.items() if chain)


def _turned(link: Link) -> Link:
    changes = {name: change.mirrored() for name, change in link.changes.items()}
    return Link(link.other, link.one, changes, link.own)


def _sum(chain: Sequence[Link]) -> tuple[dict[str, Interval], dict[str, float]]:
    """The change over a chain, for the metrics that all of its links have."""
    names = [name for name in chain[0].changes if all(name in link.changes for link in chain)]
    changes = {name: total([link.changes[name] for link in chain]) for name in names}
    return changes, {name: sum(link.own[name] for link in chain) for name in names}
