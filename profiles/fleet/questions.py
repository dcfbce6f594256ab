"""The questions that a fleet answers by itself: what waits most, what became slower, what is found, which host is slow.

Each is asked of the runs that `--since` and `--label` leave.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from statistics import median
from typing import Any, Literal, NamedTuple

from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.experiment.decision import SPEED_FLOOR, Comparison, Test, holding
from pipeprof.profiles.experiment.statistics import Interval, estimate
from pipeprof.profiles.fleet.answers import FindingRow, FleetAnswer, HostRow, RegressionRow, TopRow
from pipeprof.profiles.fleet.database import Database
from pipeprof.profiles.fleet.shifts import shifts
from pipeprof.profiles.history.series import LEAST

Question = Literal["top", "regressions", "findings", "hosts"]
_PROVEN = "f.status = 'kept' AND f.speedup IS NOT NULL"


@dataclass(frozen=True)
class Choice:
    """The runs that count.

    Attributes:
        since: Measured at this time or later, UTC.
        labels: That they have, by name.
    """

    since: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    def condition(self) -> tuple[str, list[object]]:
        """The condition of a WHERE, and its values."""
        parts, values = ["TRUE"], list[object]()
        if self.since is not None:
            parts.append("started >= ?")
            values.append(self.since.replace(tzinfo=None))
        for name, value in self.labels.items():
            parts.append("labels[?] = ?")
            values += [name, value]
        return " AND ".join(parts), values


class _Run(NamedTuple):
    """A run of a series.

    Attributes:
        started: Microseconds since 1970, UTC: a date for each of ten thousand runs would take longer than their query.
        elements: Per second.
        batches: Per second.
    """

    started: int | None
    host: str
    commit: str | None
    elements: float | None
    batches: float | None


def answer(
    database: Database,
    question: Question,
    choice: Choice,
    *,
    fleet: str,
    tool: Tool,
    hours: Mapping[str, float] | None = None,
) -> FleetAnswer:
    """Answer one of the questions that are known by name."""
    chosen = _Chosen(database, choice)
    runs, pipelines = chosen.rows("SELECT count(*), count(DISTINCT pipeline) FROM chosen")[0]
    found = FleetAnswer(tool=tool, question=question, fleet=fleet, runs=runs, pipelines=pipelines)
    found.notes += [f"left out, as it cannot be read: {one}" for one in database.damaged[:3]]
    if question == "top":
        _answer_top(found, chosen, hours)
    elif question == "regressions":
        _answer_regressions(found, chosen)
    elif question == "findings":
        found.findings = _findings(chosen)
    else:
        _answer_hosts(found, chosen)
    return found


class _Chosen:
    """Statements on the runs that count, which they call `chosen`."""

    def __init__(self, database: Database, choice: Choice) -> None:
        self._database = database
        self._where, self._values = choice.condition()

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a statement; `values` are those of what stands behind the runs that count."""
        statement = statement.strip()
        begun = f"WITH chosen AS (SELECT * FROM runs WHERE {self._where})"
        further = f", {statement.removeprefix('WITH ')}" if statement.startswith("WITH ") else f" {statement}"
        return self._database.rows(begun + further, [*self._values, *values])


# What waiting costs.


def _answer_top(found: FleetAnswer, chosen: _Chosen, hours: Mapping[str, float] | None) -> None:
    found.cost = "share of the profiled time" if hours is None else "device hours"
    rows = chosen.rows(
        f"""
        WITH gains AS (
            SELECT c.pipeline, arg_max(f.rule, f.speedup) AS rule, max(f.speedup) AS speedup
            FROM chosen c JOIN findings f USING (sha256) WHERE {_PROVEN} GROUP BY c.pipeline
        )
        SELECT c.pipeline, count(*), count(DISTINCT job), sum(seconds),
            sum(wait_share * seconds) / sum(seconds) FILTER (wait_share IS NOT NULL),
            mode(limited_by), any_value(g.rule), any_value(g.speedup)
        FROM chosen c LEFT JOIN gains g USING (pipeline) GROUP BY c.pipeline
        """
    )
    given, wasted, without = _hours_of(chosen, hours or {})
    for pipeline, runs, jobs, seconds, share, limit, rule, speedup in rows:
        row = TopRow(pipeline=pipeline, runs=runs, jobs=jobs, seconds=seconds, wait_share=_share(share))
        row.limited_by, row.rule, row.speedup = limit, rule, speedup
        if hours is not None:
            row.device_hours, row.wasted_hours = given.get(pipeline), wasted.get(pipeline)
        found.top.append(row)
    found.top.sort(key=lambda row: (_cost(row, hours is not None), row.pipeline))
    if any(row.wait_share is None for row in found.top):
        found.notes.append("without a step nothing waits: profiles of `step: none` have no share; measure with --step")
    if hours is None:
        found.notes.append("device hours need --hours jobs.csv (columns job, device_hours) and profiles with a job")
    elif without:
        lost = sum(hours[job] for job in without)
        found.notes.append(
            f"{len(without):,} jobs of --hours ({lost:,.0f} device hours) have no profile with a step here"
        )


def _cost(row: TopRow, by_hours: bool) -> float:
    cost = row.wasted_hours if by_hours else (row.wait_share or 0.0) * row.seconds
    return -(cost if cost is not None else -1.0)


def _share(value: float | None) -> float | None:
    return min(1.0, max(0.0, value)) if value is not None else None


def _hours_of(chosen: _Chosen, hours: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float], list[str]]:
    """Device hours and those that were waited, by pipeline, and the jobs without a profile.

    The hours of a job that has profiles of several pipelines are divided among them by the profiled time.
    """
    rows = chosen.rows(
        """
        SELECT job, pipeline, sum(seconds), sum(wait_share * seconds) / sum(seconds)
        FROM chosen WHERE job IS NOT NULL AND wait_share IS NOT NULL AND seconds > 0 GROUP BY job, pipeline
        """
    )
    profiled: defaultdict[str, float] = defaultdict(float)
    for job, _, seconds, _ in rows:
        profiled[job] += seconds
    given: defaultdict[str, float] = defaultdict(float)
    wasted: defaultdict[str, float] = defaultdict(float)
    for job, pipeline, seconds, share in rows:
        if job in hours:
            mine = hours[job] * seconds / profiled[job]
            given[pipeline] += mine
            wasted[pipeline] += mine * (_share(share) or 0.0)
    return given, wasted, [job for job in hours if job not in profiled]


# What became slower.


def _answer_regressions(found: FleetAnswer, chosen: _Chosen) -> None:
    short = 0
    for (pipeline, step, *host_class), runs in _series(chosen).items():
        if len(runs) < 2 * LEAST:
            short += 1
            continue
        about = {"pipeline": pipeline, "step": step, "hosts": _class_text(*host_class)}
        found.regressions += [RegressionRow.model_validate({**about, **row}) for row in _regressions_of(runs)]
    found.regressions.sort(key=lambda row: (row.faster_again is not None, -row.slower, row.pipeline))
    if short:
        found.notes.append(
            f"{short:,} series have fewer than {2 * LEAST} profiles of one step and class of hosts: not judged"
        )


def _regressions_of(runs: Sequence[_Run]) -> Iterator[dict[str, object]]:
    """The changes for the worse in one series."""
    unit, rates = _rates(runs)
    changes = shifts([-math.log(rate) for rate in rates], [run.host for run in runs])
    begins = [0, *(change.at for change in changes), len(runs)]
    for place, change in enumerate(changes):
        if change.change.mean < 0:
            continue
        begin, end = begins[place], begins[place + 2]
        faster = next((later.at for later in changes[place + 1 :] if later.change.mean < 0), None)
        yield {
            "started": _time(runs[change.at].started),
            "before_commit": runs[change.at - 1].commit,
            "commit": runs[change.at].commit,
            "before": median(rates[begin : change.at]),
            "after": median(rates[change.at : end]),
            "unit": unit,
            "slower": change.change.value,
            "low": change.change.low,
            "high": change.change.high,
            "runs_before": change.at - begin,
            "runs_after": end - change.at,
            "faster_again": _time(runs[faster].started) if faster is not None else None,
        }


def _series(chosen: _Chosen) -> dict[tuple[Any, ...], list[_Run]]:
    """Runs in their order by pipeline, step and class of hosts."""
    rows = chosen.rows(
        """
        SELECT pipeline, step, coalesce(cpu_model, machine), cores, devices, epoch_us(started),
            coalesce(host, ''), commit, elements_per_second, batches_per_second
        FROM chosen WHERE batches_per_second > 0 ORDER BY started, sha256
        """
    )
    found: defaultdict[tuple[Any, ...], list[_Run]] = defaultdict(list)
    for row in rows:
        found[row[:5]].append(_Run(*row[5:]))
    return found


def _rates(runs: Sequence[_Run]) -> tuple[Literal["elements", "batches"], list[float]]:
    """Rates of elements, which stay comparable where the batch size changes; of batches where one lacks them."""
    elements = [run.elements for run in runs if run.elements]
    if len(elements) == len(runs):
        return "elements", elements
    return "batches", [run.batches or 0.0 for run in runs]


def _time(at: int | None) -> str:
    if at is None:
        return ""
    return datetime.fromtimestamp(at / 1e6, timezone.utc).replace(tzinfo=None).isoformat(timespec="seconds")


def _class_text(cpu: str | None, cores: float | None, devices: int | None) -> str:
    known = [f"{cores:g} cores" if cores is not None else "", cpu or "", f"{devices} devices" if devices else ""]
    return ", ".join(filter(None, known))


# What is found.


def _findings(chosen: _Chosen) -> list[FindingRow]:
    rows = chosen.rows(
        f"""
        SELECT f.rule, count(DISTINCT c.pipeline), count(DISTINCT c.sha256),
            count(*) FILTER ({_PROVEN}), median(f.speedup) FILTER ({_PROVEN}), max(f.speedup) FILTER ({_PROVEN}),
            arg_max(c.pipeline, f.speedup) FILTER ({_PROVEN}),
            count(*) FILTER (f.status = 'rejected'), count(*) FILTER (f.status IN ('unverified', 'ceiling'))
        FROM chosen c JOIN findings f USING (sha256) WHERE f.rule IS NOT NULL
        GROUP BY f.rule ORDER BY 2 DESC, 3 DESC, 1
        """
    )
    # The columns are the fields, in their order.
    return [FindingRow.model_validate(dict(zip(FindingRow.model_fields, row, strict=True))) for row in rows]


# Which host is slow.


def _answer_hosts(found: FleetAnswer, chosen: _Chosen) -> None:
    differences: defaultdict[str, list[float]] = defaultdict(list)
    for runs in _series_of_all(chosen).values():
        by_host: defaultdict[str, list[float]] = defaultdict(list)
        for run, rate in zip(runs, _rates(runs)[1], strict=True):
            by_host[run.host].append(-math.log(rate))
        middles = {host: median(values) for host, values in by_host.items()}
        for host, values in by_host.items():
            others = [middle for other, middle in middles.items() if other != host]
            if others:
                differences[host] += [value - median(others) for value in values]
    changes = {host: change for host, values in differences.items() if (change := estimate(values)) is not None}
    tests: dict[str, Test] = {host: (Comparison(change), SPEED_FLOOR) for host, change in changes.items()}
    slow = holding(tests)
    rows = chosen.rows(
        """
        SELECT host, count(*), median(cores), median(others_cores), avg(CASE WHEN disturbed THEN 1.0 ELSE 0.0 END)
        FROM chosen WHERE host IS NOT NULL GROUP BY host
        """
    )
    for host, runs_there, cores, others, disturbed in rows:
        row = HostRow(host=host, runs=runs_there, compared=len(differences[host]), slow=host in slow)
        row.cores, row.others_cores, row.disturbed_share = cores, others, disturbed
        _put_change(row, changes.get(host))
        found.hosts.append(row)
    found.hosts.sort(key=lambda row: (-(row.slower or 0.0), row.host))
    if any(not row.compared for row in found.hosts):
        found.notes.append("hosts without a number share no pipeline and step with another host")


def _series_of_all(chosen: _Chosen) -> dict[tuple[Any, ...], list[_Run]]:
    """Runs by pipeline and step, whatever the class of their hosts."""
    found: defaultdict[tuple[Any, ...], list[_Run]] = defaultdict(list)
    for (pipeline, step, *_), runs in _series(chosen).items():
        found[pipeline, step] += [run for run in runs if run.host]
    return found


def _put_change(row: HostRow, change: Interval | None) -> None:
    if change is None:
        return
    row.slower = change.value
    if change.freedom:
        row.low, row.high = change.low, change.high
