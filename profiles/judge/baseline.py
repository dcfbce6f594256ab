"""A stored baseline: processes of an earlier session, and a reference workload that tells machines apart.

The reference workload is a pipeline of pipeprof's own, measured in turns with the user's, in both sessions. A change of
the machine changes both, so times are judged as they are and divided by the reference's; where the two disagree there
is no verdict, and of a baseline from another host only the second counts. Memory is judged as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, TypeVar

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.store import reason
from pipeprof.profiles.document.subject import Host
from pipeprof.profiles.experiment import decision
from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.experiment.statistics import Interval, estimate, total
from pipeprof.profiles.judge.saved import is_result, load_result
from pipeprof.profiles.judge.verdicts.gating import NOT_COMPARABLE, NOTHING, counted
from pipeprof.profiles.judge.verdicts.metrics import MetricKind, impossible, kinds_of
from pipeprof.profiles.judge.verdicts.result import Identity, PairValues, Result, Side
from pipeprof.profiles.judge.verdicts.result import Metric as Row
from pipeprof.profiles.judge.verdicts.tabulate import BY_DEFAULT, Judged
from pipeprof.profiles.wording import listed

REFERENCE = """\
version: 1
name: reference
description: Calls of a small function, one at a time, in batches.
source: {range: {stop: 1000000000}}
stages:
  - map: {ops: [{tf.cast: {dtype: float32}}, tf.sqrt]}
  - batch: {batch_size: 2048}
options: {experimental_optimization: {map_parallelization: false, map_and_batch_fusion: false}}
"""
REFERENCE_NAME = "reference workload"
REFERENCE_STEP = "step_ms"
_OF_THE_STEP = frozenset({"step_ms", "elements_per_second"})
MOST_PAIRS = 1000
"""A gate measures at most a few dozen."""
_WAITS = 0.2
"""Share of the step interval that the device waits, from which the pipeline may set the pace."""
_Said = TypeVar("_Said", bound=str)


def write_reference(folder: Path) -> Path:
    """Write the spec of the reference workload."""
    path = folder / "reference.yaml"
    path.write_text(REFERENCE, encoding="utf-8")
    return path


def identity_of(file: Path | str, function: str | None, name: str | None, root: Path | None = None) -> Identity:
    """What a target is, however it was typed.

    Args:
        file: Its file, if there is one; else its text.
        root: Of the repository; None outside of one.
    """
    if isinstance(file, Path):
        resolved = file.resolve()
        inside = root is not None and resolved.is_relative_to(root)
        file = resolved.relative_to(root).as_posix() if inside and root is not None else str(resolved)
    digest = hashlib.sha256(json.dumps([file, function, name]).encode()).hexdigest()
    return Identity(file=file, function=function, name=name, digest=digest)


def load_baseline(path: Path, target: str, identity: Identity, root: Path | None = None) -> Result:
    """Read a stored baseline.

    Raises:
        ProfileError: It is missing, no baseline, of another schema or of another target, or no process can have a
            value in it.
    """
    update = _update_command(path, target)
    try:
        path.stat()
    except FileNotFoundError:
        raise ProfileError(f"{path}: no such baseline; measure one: {update}") from None
    except OSError as error:
        raise ProfileError(f"{path} cannot be read: {reason(error)}") from None
    if not is_result(path):
        what = "is a folder" if path.is_dir() else "is not a baseline of pipeprof gate, or only part of one"
        raise ProfileError(f"{path} {what}; measure one: {update}{'' if path.is_dir() else ' --force'}")
    found = load_result(path)
    if found.kind != "baseline" or not found.complete or not found.pairs:
        raise ProfileError(
            f"{path} is a result of {found.kind}, not a complete baseline; measure one: {update} --force"
        )
    if not _is_of(found.a, target, identity, root):
        known = _describe(found.a.identity) if found.a.identity is not None else found.a.text
        raise ProfileError(f"{path} is the baseline of {known}, not of {_describe(identity)}")
    fault = _fault_in(found.pairs)
    if fault is not None:
        raise ProfileError(f"{path} cannot serve as a baseline: {fault}; measure it again: {update}")
    return found


def _is_of(baseline: Side, target: str, identity: Identity, root: Path | None) -> bool:
    """Whether a baseline is that of a target; older ones have only its text, which may name the same file."""
    if baseline.identity is not None:
        return baseline.identity.digest == identity.digest
    if baseline.text == target:
        return True
    file, function = baseline.text, None
    if ".py:" in file:
        file, _, function = file.rpartition(":")
    # A text of the file may be no name that a system takes.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        return identity == identity_of(Path(file), function, identity.name, root)
    return False


def _describe(identity: Identity) -> str:
    function = f":{identity.function}" if identity.function else ""
    return f"{identity.file}{function}" + (f" ({identity.name})" if identity.name else "")


def _fault_in(pairs: Sequence[PairValues]) -> str | None:
    """Why nothing can be judged by these pairs, in words; None if it can."""
    if len(pairs) > MOST_PAIRS:
        return f"it has {len(pairs):,} pairs, expected at most {MOST_PAIRS:,}"
    if len(_processes(counted(pairs))) < 2:
        return "it has fewer than two processes that count"
    for number, pair in enumerate(pairs):
        for name, values in (("a", pair.a), ("b", pair.b), ("again", pair.again)):
            fault = impossible(values) if values is not None else None
            if fault is not None:
                return f"pairs.{number}.{name}.{fault}"
            if name != "b" and values is not None and not values.get("step_ms"):
                return f"pairs.{number}.{name} has no step_ms"
    return None


def conclude_baseline(result: Result, judged: Mapping[str, Judged]) -> None:
    """Write into a session that came to its end why it is no baseline, and the exit code, if it is none."""
    fault = _fault_in(result.pairs)
    lacking = _lacking(result.pairs, judged)
    if len(result.pairs) < GATE.pairs:
        what, code = f"measured {len(result.pairs)} of the {GATE.pairs} pairs of a baseline", NOTHING
    elif fault is not None:
        what, code = f"nothing can be judged by these pairs: {fault}", NOTHING
    elif lacking:
        what, code = f"{listed(lacking)}: not measured, but to be judged", NOT_COMPARABLE
    elif not _has_reference(result.pairs):
        what, code = f"no times of the {REFERENCE_NAME} were measured", NOTHING
    else:
        return
    result.errors.append(Message(code="not-measured", message=what))
    result.exit_code = code


def check_comparable(
    path: Path, found: Result, judged: Mapping[str, Judged], step: str, dispatch: str | int | None
) -> None:
    """Refuse a baseline that cannot answer, before anything is measured.

    Raises:
        ProfileError: It has another step, or lacks a metric that is to be judged.
    """
    again = f"measure it again: {_update_command(path, found.a.text)}"
    steps = [
        one + (f", dispatch {how}" if how is not None else "")
        for one, how in ((found.step or "none", found.dispatch), (step, dispatch))
    ]
    if steps[0] != steps[1]:
        raise ProfileError(f"{path} was measured with step {steps[0]}, this is step {steps[1]}: not comparable")
    lacking = _lacking(found.pairs, judged)
    if lacking:
        msg = f"{path} has no {listed(lacking)}, which the gate is to judge; {again} with the same budgets, and --force"
        raise ProfileError(msg)
    if not _has_reference(found.pairs):
        raise ProfileError(f"{path} has no times of the {REFERENCE_NAME}; {again} --force")


def _has_reference(pairs: Sequence[PairValues]) -> bool:
    """Whether each pair has a time of the reference workload, which others are divided by."""
    return all(pair.b.get(REFERENCE_STEP, 0.0) > 0 for pair in pairs)


def _lacking(pairs: Sequence[PairValues], judged: Mapping[str, Judged]) -> list[str]:
    """Titles of metrics that are to be judged and that some process lacks."""
    wanted = [kind for kind in kinds_of(judged) if kind.name in judged and judged[kind.name].level != "off"]
    return [kind.title for kind in wanted if not _values(kind, pairs)]


def _update_command(path: Path, target: str) -> str:
    return f"pipeprof gate {target} --baseline {path} --update-baseline"


def differences(baseline: Side, now: Side) -> Iterator[Message]:
    """What makes a stored baseline a worse one: another host, other versions."""
    if is_other_host(baseline.host, now.host):
        text = "the baseline is from another host: times are compared after division by the reference workload's"
        yield Message(code="other-host", message=text)
    names = sorted({*baseline.versions, *now.versions})
    others = [name for name in names if baseline.versions.get(name) != now.versions.get(name)]
    if others:
        yield Message(code="other-versions", message=f"the baseline has other versions of {', '.join(others)}")


def is_other_host(one: Host | None, other: Host | None) -> bool:
    """Whether two sessions ran on machines that differ."""
    if one is None or other is None:
        return True
    return any(getattr(one, name) != getattr(other, name) for name in ("name", "cpu_model", "cores", "memory_bytes"))


@dataclass(frozen=True)
class Against:
    """How two sessions are compared.

    Attributes:
        other_host: They ran on machines that differ: times count only after division by the reference workload's.
        simulated: The step is simulated, so no machine makes it faster or slower.
    """

    other_host: bool = False
    simulated: bool = False


def rows_against(
    baseline: Sequence[PairValues],
    now: Sequence[PairValues],
    judged: Mapping[str, Judged] = BY_DEFAULT,
    how: Against = Against(),
) -> list[Row]:
    """Judge all metrics that every process has; in the earlier session's pairs B is the reference workload."""
    rows: list[Row] = []
    tests: dict[int, decision.Test] = {}
    for metric in kinds_of(judged):
        wanted = judged.get(metric.name, Judged(level="off"))
        earlier, later = _values(metric, baseline), _values(metric, now)
        raw = _between_sessions(metric, earlier, later) if earlier and later else None
        if raw is None:
            continue
        floor = metric.on_scale(wanted.floor)
        scaled = _normalised(metric, baseline, now, simulated=how.simulated) if _is_time(metric) else []
        counts = scaled if how.other_host and not _is_the_same_anywhere(metric) else [raw, *scaled]
        low, high = metric.ends(raw) if raw in counts else (None, None)
        ways = [Comparison(found) for found in counts]
        if counts:
            tests[len(rows)] = decision.weakest(ways, floor), floor
        rows.append(
            Row(
                **metric.heads(),
                a=median(earlier),
                b=median(later),
                change=metric.as_change(raw.mean),
                low=low,
                high=high,
                normalised=metric.as_change(scaled[0].mean) if scaled else None,
                pairs=len(now),
                floor=metric.floor if wanted.floor is None else wanted.floor,
                level=wanted.level,
                verdict=_agreed({decision.verdict_of(way, floor) for way in ways}),
                words=_agreed({metric.words_of(way, floor) for way in ways}),
            )
        )
        if wanted.limit is not None:
            limited = estimate(metric.changes([wanted.limit] * len(later), later))
            assert limited is not None  # noqa: S101 - for the type checker: there are values
            tests[len(rows)] = Comparison(limited), 0.0
            rows.append(_limit_row(metric, later, Comparison(limited), wanted))
    together = decision.verdicts({number: test for number, test in tests.items() if rows[number].level != "off"})
    for number, row in enumerate(rows):
        if row.verdict == "regressed":
            row.verdict = together.get(number, row.verdict)
    return rows


def _between_sessions(metric: MetricKind, base: Sequence[float], now: Sequence[float]) -> Interval | None:
    """The change between processes of two sessions, by Welch's interval; ``None`` without two on each side.

    Second best: what the machine does differently between the sessions is in it.

    Args:
        base: Values of the processes of the earlier session, above 0.

    Example:
        >>> from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
        >>> found = _between_sessions(BY_NAME["step_ms"], [10.0, 10.1, 9.9], [11.0, 11.1, 10.9])
        >>> round(found.value, 2), found.freedom
        (1.1, 3)
    """
    if min(len(base), len(now)) < 2:
        return None
    one, other = (estimate(metric.changes([1.0] * len(side), side)) for side in (base, now))
    assert one is not None  # noqa: S101 - for the type checker: there are values
    assert other is not None  # noqa: S101
    return total([other, one.mirrored()])


def _agreed(found: set[_Said]) -> _Said | Literal["cannot tell"]:
    """What all ways to compare say."""
    return found.pop() if len(found) == 1 else "cannot tell"


def _limit_row(metric: MetricKind, values: Sequence[float], compared: Comparison, wanted: Judged) -> Row:
    """Judge a value that must not be exceeded, whatever the baseline has."""
    low, high = metric.ends(compared.change)
    return Row(
        **metric.heads(),
        b=median(values),
        change=metric.as_change(compared.change.mean),
        low=low,
        high=high,
        pairs=len(values),
        floor=0.0,
        limit=wanted.limit,
        level=wanted.level,
        verdict=decision.verdict_of(compared, 0.0),
        words=metric.words_of(compared, 0.0),
    )


def _is_time(metric: MetricKind) -> bool:
    """Whether the ratio of a metric changes with the speed of the machine."""
    return metric.is_speed or (metric.unit == "ms" and metric.scale == "ratio")


def _is_the_same_anywhere(metric: MetricKind) -> bool:
    """Whether a metric does not depend on the speed of the machine."""
    return not _is_time(metric) and (metric.scale == "ratio" or metric.exact)


def _values(metric: MetricKind, pairs: Sequence[PairValues]) -> list[float]:
    """The values of all processes of the pipeline; none where one lacks the metric."""
    sides = _processes(pairs)
    lowest = -math.inf if metric.scale == "difference" else 0.0
    found = [side.get(metric.name, math.nan) for side in sides]
    return found if all(value > lowest for value in found) else []


def _normalised(
    metric: MetricKind, baseline: Sequence[PairValues], now: Sequence[PairValues], *, simulated: bool
) -> list[Interval]:
    """The change after each process is put on the machine of the baseline, by the reference workload of its pair.

    A simulated step lasts as long on any machine, and only the wait for the pipeline changes. Where the device waits
    for good, the pipeline alone may set the pace, whose whole interval changes: then both count.
    """
    references = [[pair.b.get(REFERENCE_STEP, 0.0) for pair in pairs] for pairs in (baseline, now)]
    if not all(references) or min(map(min, references)) <= 0:
        return []
    kept_steps = [True] if simulated and metric.name in _OF_THE_STEP else [False]
    if kept_steps[0] and max(map(_waiting_share, (baseline, now))) > _WAITS:
        kept_steps.append(False)
    unit, found = median(references[0]), []
    for keeps in kept_steps:
        sessions = [
            [
                _on_host_of_baseline(metric, side, reference / unit, keeps_step=keeps)
                for pair, reference in zip(pairs, known, strict=True)
                for side in (pair.a, pair.again)
                if side is not None
            ]
            for pairs, known in zip((baseline, now), references, strict=True)
        ]
        change = _between_sessions(metric, *sessions)
        found += [change] if change is not None else []
    return found


def _on_host_of_baseline(metric: MetricKind, side: Mapping[str, float], slower: float, *, keeps_step: bool) -> float:
    """The value of a process as it would be on the machine of the baseline.

    Args:
        slower: How many times longer the reference workload took next to it than in the baseline.
    """
    if keeps_step:
        interval = side["step_ms"]
        wait = min(side.get("wait_ms", interval), interval)
        slower = interval / (interval - wait + wait / slower)
    return side[metric.name] / slower if metric.higher_is_worse else side[metric.name] * slower


def _waiting_share(pairs: Sequence[PairValues]) -> float:
    return median(side.get("wait_ms", 0.0) / side["step_ms"] for side in _processes(pairs))


def _processes(pairs: Sequence[PairValues]) -> list[dict[str, float]]:
    """The values of each process of the pipeline."""
    return [side for pair in pairs for side in (pair.a, pair.again) if side is not None]
