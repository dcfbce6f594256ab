"""Planted scripts, what the documentation's table says of each kind of consumer, and the truth in a script's log.

The table was written by hand from how each kind takes its batches: what is seen in Python for each step is exact, what
TensorFlow's model of the iterator gives is a mean, and what overlaps with the step or runs inside one op is ``n/a``.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

PLANTED = Path(__file__).resolve().parent / "planted"
BATCH, STEP = 0, 1
"""Kinds of records in a log."""
RECORD = Struct("<qqq")
"""As `planted/log.py` writes it: kind, begin and end in nanoseconds."""
WITHIN = 0.01
"""How far an interval may be from the log's."""
FRAMEWORK_MS = 4.0
"""Between batches and steps at most, where the log gives no lower bound of the fetch.

On two idle cores; with a load of 19, a plain ``fit`` of batches that cost nothing has 11 ms there.
"""
LATE_STEPS = 8
"""Steps that a script takes at most after its last measured one, before it is parked."""
FLOOR_MS = 0.05
"""What a reading of a clock may be off."""

Json = dict[str, Any]
Record = tuple[int, int, int]


@dataclass(frozen=True)
class Planted:
    """One planted script.

    Attributes:
        interval: How its interval is known: ``exact``, ``mean``, or None for ``n/a``.
        fetch: The same of its fetches.
        wait: The same of its waits.
        other_ms: Of another dataset, in each step.
        ahead: Whether batches are prefetched: then the fetch is less than a batch takes.
        overlaps: Whether fetches overlap with steps: then the interval is no upper bound of both together.
        runs_on: Whether the script cannot be parked, so that any number of steps follows the measured ones.
        library: What it needs besides TensorFlow.
        epoch: Steps of an epoch; 0 without epochs.
        says: Words of the error, where no step of it can be seen.
    """

    interval: str | None = "exact"
    fetch: str | None = "exact"
    wait: str | None = "exact"
    other_ms: float = 0.0
    ahead: bool = False
    overlaps: bool = False
    runs_on: bool = False
    library: str | None = None
    epoch: int = 100
    says: str | None = None


CASES = {
    "loop": Planted(),
    "next_calls": Planted(epoch=0),
    "as_numpy": Planted(),
    "fit": Planted(fetch="mean", wait="mean", epoch=60),
    "fit_validation": Planted(fetch="mean", wait="mean", epoch=60),
    "fit_prefetch": Planted(fetch="mean", wait="mean", ahead=True, epoch=60),
    "fit_executions": Planted(interval="mean", fetch="mean", wait=None, overlaps=True, epoch=60),
    "two_datasets": Planted(other_ms=20.0),
    "rebuilt": Planted(epoch=60),
    "iterator_in_function": Planted(interval="mean", fetch="mean", wait=None, runs_on=True, epoch=0),
    "loop_in_function": Planted(interval=None, fetch=None, wait=None, says="inside a tf.function"),
    "distributed": Planted(ahead=True),
    "jax_loop": Planted(wait=None, library="jax"),
    "fit_jax": Planted(wait=None, library="jax", epoch=60),
    "torch_loop": Planted(library="torch"),
    "fit_torch": Planted(library="torch", epoch=60),
}


class Step(NamedTuple):
    """A step in a log, in milliseconds.

    Attributes:
        least: From the end of the step before to its end; an epoch's first one from where its batch was begun.
        most: The same; an epoch's first one from the end of what the log has before: somewhere between both its
            iterator was made, which the log does not know.
    """

    least: float
    most: float
    batch: float
    step: float


def steps_of(records: Sequence[Record], epoch: int) -> list[Step]:
    """The steps of a log's records in the order of writing; `epoch` are steps of an epoch, 0 without epochs."""
    found: list[Step] = []
    before = last = earlier = began = slept = 0
    for kind, start, end in records:
        if kind == BATCH:
            # Another dataset's batch may come between this one and its step.
            began, earlier, slept = (began, earlier, end - start) if began else (start, last, end - start)
        elif kind == STEP:
            is_first = not found or (epoch and len(found) % epoch == 0)
            since = (began, earlier or began) if is_first else (before, before)
            found.append(Step(*(took / 1e6 for took in (end - since[0], end - since[1], slept, end - start))))
            before, began = end, 0
        if kind != BATCH:
            last = end
    return found


def records_of(log: bytes) -> list[Record]:
    """The records of a log; what was cut off while it was written does not count."""
    return list(RECORD.iter_unpack(log[: len(log) // RECORD.size * RECORD.size]))


def warm_steps(steps: Sequence[Step], seconds: float) -> int:
    """How many steps are warm-up, if it took so many seconds from the end of the first one on."""
    passed = accumulate((step.most for step in steps[1:]), initial=0.0)
    return sum(end < 1e3 * seconds for end in passed)


def windows(steps: Sequence[Step], count: int, planted: Planted, warmup: float) -> list[Step]:
    """Means over so many steps in a row, for each place where the measured window may have ended.

    None begins in the warm-up, whose seconds the profile has.
    """
    last = len(steps) - count
    first = warm_steps(steps, warmup) if planted.runs_on else max(0, last - LATE_STEPS)
    return [
        Step(*(statistics.fmean(values) for values in zip(*steps[place : place + count], strict=True)))
        for place in range(first, last + 1)
    ]


def is_within(value: float | None, low: float, high: float) -> bool:
    """Whether there is a value, and it is between both."""
    return value is not None and low <= value <= high


def judge(planted: Planted, profile: Json, records: Sequence[Record]) -> tuple[Json, dict[str, bool]]:
    """What was found, and which demands hold: pure.

    The measured window is not known to a step: each place where it may have been gives a mean interval, and the
    profile's has to be within 1 % of one of them.
    """
    steps, training = profile.get("steps") or {}, profile.get("training") or {}
    found = {name: (steps.get(f"{name}_ms") or {}).get("mean") for name in ("interval", "fetch", "wait")}
    known = {name: training.get(name) for name in found}
    expected = {"interval": planted.interval, "fetch": planted.fetch, "wait": planted.wait}
    count, logged = steps.get("count") or 0, steps_of(records, planted.epoch)
    warmup = sum(phase["seconds"] or 0.0 for phase in profile.get("phases") or [] if phase["name"] == "warmup")
    places = windows(logged, count, planted, warmup) if 0 < count <= len(logged) else []
    claims = {"measured": bool(places), "table": known == expected}
    if planted.says is not None:
        said = [error for error in profile.get("errors") or [] if error["code"] == "never-iterated"]
        claims = {"says why": any(planted.says in error["message"] for error in said), "table": known == expected}
    claims |= {f"{name} n/a": found[name] is None for name, how in expected.items() if how is None}
    found_interval = found["interval"] or 0.0
    # How far the interval is outside of what each place allows.
    off = [max(place.least - found_interval, found_interval - place.most, 0.0) for place in places]
    # Of places that allow as much the narrowest: one that begins with the script's first step allows seconds.
    nearest = min(range(len(places)), key=lambda at: (off[at], places[at].most - places[at].least), default=None)
    place = places[nearest] if nearest is not None else None
    bounds = fetch_bounds(planted, place) if place else None
    if planted.interval:
        claims["interval"] = place is not None and min(off) <= WITHIN * place.most
    if planted.fetch:
        claims["fetch"] = bounds is not None and is_within(found["fetch"], bounds[0] - FLOOR_MS, bounds[1] + FLOOR_MS)
    figures = {
        "found_ms": found,
        "logged_ms": place._asdict() if place else None,
        "fetch_bounds_ms": bounds,
        "steps": count,
        "known": known,
        "consumer": training.get("consumer"),
    }
    return figures, claims


def fetch_bounds(planted: Planted, place: Step) -> tuple[float, float]:
    """Least and most that a fetch can have taken: the batch's sleep, and what the step leaves of the interval."""
    if planted.overlaps:
        return place.batch, max(place.most, place.batch) + FRAMEWORK_MS
    beside = place.step + planted.other_ms
    # The most has seconds in it where TensorFlow ends the iterator of an epoch: the log cannot tell them from a fetch.
    least = max(0.0, place.least - beside - FRAMEWORK_MS) if planted.ahead else place.batch
    return least, place.most - beside
