"""A document as remarks on lines of files: errors, findings and regressions for those who review the code."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from pipeprof.cli.report.changes import describe_measured
from pipeprof.cli.report.comparison import headline_of
from pipeprof.cli.report.gaps import describe_judged
from pipeprof.cli.report.metric import clause_of
from pipeprof.cli.report.rules import message_codes
from pipeprof.profiles.advise.check import sections
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Problem, Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.gaps.document import GapsReport
from pipeprof.profiles.gaps.limit import ANY_IDLE, judge
from pipeprof.profiles.judge.result import Result
from pipeprof.profiles.wording import if_free, stage_name

Level = Literal["error", "warning", "note"]
GATE, GAPS = "gate/", "gaps/"
"""Before the name of a metric: the code of its regression. Before `idle` or a cause: that of what a trace shows."""


@dataclass(frozen=True)
class Place:
    """A line of a file, from 1, if it is known; and the columns of what is meant, the end being the first one after."""

    file: str
    line: int | None = None
    column: int | None = None
    end_column: int | None = None


@dataclass(frozen=True)
class Remark:
    """One thing to tell.

    Attributes:
        code: A rule, a code of a message, or ``gate/METRIC``.
        level: A proven finding is a warning, a suspicion a note.
        place: None where no line of the repository is the cause.
        key: Identity that survives moved lines: the stage, the metric.
        title: Stands above the text; where it is empty, the code does.
        on_run: Whether it is about the measurement, not about the pipeline.
    """

    code: str
    level: Level
    text: str
    place: Place | None = None
    key: str = ""
    title: str = ""
    on_run: bool = False


@dataclass(frozen=True)
class Checkout:
    """Names of files for a CI system: relative to the root of the repository."""

    root: str | None = None
    folder: str = "."

    def name(self, file: str) -> str | None:
        """The name from the root on of a file, absolute or relative to the current folder; None for one outside.

        Example:
            >>> Checkout("/w", "training").name("../specs/a.yaml"), Checkout("/w").name("/w/a.yaml")
            ('specs/a.yaml', 'a.yaml')
        """
        if file.startswith(("~", "…", "<")):
            return None
        if posixpath.isabs(file):
            inside = self.root is not None and file.startswith(f"{self.root}/")
            found = posixpath.relpath(file, self.root) if inside else None
        else:
            found = posixpath.normpath(posixpath.join(self.folder, file))
        return None if found is None or found == "." or found.startswith("..") else found

    def place(
        self, file: str, line: int | None = None, column: int | None = None, length: int | None = None
    ) -> Place | None:
        """A place in the repository; None for one outside."""
        name, end = self.name(file), column + length if column and length else None
        return Place(name, line or None, column or None, end) if name is not None else None

    def of(self, location: Location | None) -> Place | None:
        """The place of a stage or a change."""
        return self.place(location.file, location.line, location.column) if location is not None else None


def remarks_on(document: Profile | Result | GapsReport, checkout: Checkout) -> list[Remark]:
    """All remarks on a document, errors first and warnings last, with different keys where the rest is the same."""
    if isinstance(document, GapsReport):
        found = _on_traces(document, checkout)
    else:
        found = _on_profile(document, checkout) if isinstance(document, Profile) else _on_result(document, checkout)
    seen: dict[tuple[str, str, str], int] = {}
    remarks = []
    for remark in found:
        same = (remark.code, remark.place.file if remark.place is not None else "", remark.key)
        seen[same] = seen.get(same, 0) + 1
        remarks.append(replace(remark, key=f"{remark.key}#{seen[same]}" if seen[same] > 1 else remark.key))
    return remarks


def about(code: str) -> tuple[str, str, str]:
    """What a code is about, why it matters and what to do, whatever the pipeline; empty for an unknown one."""
    if (section := sections().get(code)) is not None:
        return section.title, section.why, section.fix
    if (known := message_codes().get(code)) is not None:
        return known.meaning, known.meaning, known.action
    kind, _, name = code.partition("/")
    if f"{kind}/" == GATE:
        why = f"The gate judges {name}: the change from the pipeline before, in pairs of fresh processes."
        return f"{name} is worse than before, or inconclusive", why, "Compare both sides: pipeprof compare A B."
    if f"{kind}/" == GAPS:
        what = "A device idles" if name == "idle" else f"A device idles for {name}"
        why = "The share of a device's time in which it has no work, from a trace of another profiler."
        return what, why, "See its causes and longest gaps: pipeprof gaps TRACE."
    return "", "", ""


def _on_profile(profile: Profile, checkout: Checkout) -> Iterator[Remark]:
    stages = {stage.id: stage for stage in profile.stages or ()}
    for problem in profile.errors:
        text = f"{problem.flag}: {problem.message}" if problem.flag else problem.message
        yield Remark(problem.code, "error", text, _of_problem(problem, checkout), problem.address or "")
    for finding in profile.findings or ():
        if finding.status != "rejected":
            yield _of_finding(finding, stages.get(finding.stage or ""), checkout)
    for warning in profile.warnings:
        at = next((stages[id_] for id_ in warning.stages if id_ in stages), None)
        place = checkout.of(at.location) if at is not None else None
        yield Remark(warning.code, "warning", warning.message, place, on_run=True)


def _of_problem(problem: Problem, checkout: Checkout) -> Place | None:
    """Where it is; of an error of the user's code, its innermost line that is in the repository."""
    if problem.flag is not None:
        return None
    if problem.file is not None:
        return checkout.place(problem.file, problem.line, problem.column, problem.length)
    places = (checkout.place(frame.file, frame.line) for frame in reversed(problem.frames))
    return next((place for place in places if place is not None), None)


def _of_finding(finding: Finding, stage: Stage | None, checkout: Checkout) -> Remark:
    measured = describe_measured(finding.measured) if finding.measured else ""
    level: Level = "note"
    if finding.status == "kept":
        level, proof = "warning", f"Proven: {measured}" if measured else "Proven by measuring"
    elif finding.status == "ceiling":
        bound = if_free(measured, finding.measured or {})
        proof = f"Suspicion with a measured bound: {bound}" if measured else "Suspicion"
    elif finding.family == "correctness":
        level, proof = "warning", "Certain from the pipeline as it is written; not measured"
    else:
        proof = "Suspicion: the change was not measured"
    parts = (finding.title, finding.sentence, finding.recommendation, proof)
    text = " ".join(f"{part.rstrip('.')}." for part in parts if part)
    place = checkout.of(finding.location or (stage.location if stage is not None else None))
    return Remark(finding.rule, level, text, place, stage_name(stage) if stage is not None else "")


def _on_result(result: Result, checkout: Checkout) -> Iterator[Remark]:
    place = _of_side(result, checkout)
    for problem in result.errors:
        yield Remark(problem.code, "error", problem.message, place)
    cause = checkout.of(next((one for one in result.change_places if one is not None), None)) or place
    headline = headline_of(result)
    first = f"{headline.label}: {headline.text}"
    for metric in result.metrics if result.kind == "gate" else ():
        if metric.level == "off" or metric.verdict == "not regressed":
            continue
        failed = metric.level == "error" and metric.verdict == "regressed"
        # The first line of the report has what has regressed, its limit and the likely cause.
        text = first if failed and first else f"{metric.verdict.capitalize()}: {clause_of(metric, limited=True)}"
        first = "" if failed else first
        yield Remark(
            f"{GATE}{metric.name}",
            "error" if failed else "warning",
            text,
            checkout.of(metric.location) or (cause if failed else place),
            f"{metric.name}{' limit' if metric.limit is not None else ''}",
            f"{metric.title}: {metric.verdict}",
        )
    for warning in result.warnings:
        yield Remark(warning.code, "warning", warning.message, on_run=True)


def _of_side(result: Result, checkout: Checkout) -> Place | None:
    """Line where side B is written; None for a git ref."""
    side = result.b
    if side.ref is not None or side.location is not None:
        return checkout.place(side.location.file, side.location.line) if side.location and side.ref is None else None
    file = side.text.partition(" --set ")[0]
    file = file.rpartition(":")[0] if ".py:" in file else file
    return checkout.place(file) if file.endswith((".py", ".yaml", ".yml")) else None


def _on_traces(report: GapsReport, checkout: Checkout) -> Iterator[Remark]:
    limit = report.limit
    code = f"{GAPS}{limit.name if limit is not None else 'idle'}"
    for one in judge(report, limit or ANY_IDLE):
        if one.verdict == "within" and limit is not None:
            continue
        name, place = one.device or "no device", checkout.place(one.trace.file)
        level: Level = "error" if one.verdict == "above" else "warning" if one.verdict == "cannot say" else "note"
        text = describe_judged(one, limit) if limit is not None else one.trace.sentence
        yield Remark(code, level, text, place, name, f"{name}: {one.verdict if limit is not None else 'idle time'}")
    for note in (note for trace in report.traces for note in trace.notes):
        yield Remark(f"{GAPS}damage", "warning", note, title="not all of the trace is read", on_run=True)
