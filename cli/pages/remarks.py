"""A document as remarks on lines of files: errors, findings and regressions for those who review the code."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.cli.pages.codes import message_codes
from pipeprof.cli.report.findings import describe_measured
from pipeprof.cli.render.remarks import Level, Place, Remark
from pipeprof.profiles.advise.check import sections
from pipeprof.profiles.gaps.wording import judged
from pipeprof.profiles.judge.words import headline, sentence_of
from pipeprof.profiles.wording import if_free, stage_name

if TYPE_CHECKING:
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.messages import Message, Problem
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.gaps.document import GapsReport
    from pipeprof.profiles.judge.verdicts.result import Metric, Result

GATE = "gate/"
"""Before the name of a metric: the code of its regression."""
GAPS = "gaps/"
"""Before `idle` or a cause: the code of what a trace shows."""


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


def remarks_on(document: Profile | Result | GapsReport, checkout: Checkout) -> list[Remark]:
    """All remarks on a document: errors first, then findings or metrics, then warnings."""
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.gaps.document import GapsReport

    if isinstance(document, GapsReport):
        found = _on_traces(document, checkout)
    else:
        found = _on_profile(document, checkout) if isinstance(document, Profile) else _on_result(document, checkout)
    return [replace(remark, about=_about(remark.code)) for remark in found]


def _about(code: str) -> tuple[str, str, str]:
    """Title, reason and advice of a rule or code."""
    section = sections().get(code)
    if section is not None:
        return section.title, section.why, section.fix
    known = message_codes().get(code)
    if known is not None:
        return known.meaning, known.meaning, known.action
    if code.startswith(GATE):
        name = code.removeprefix(GATE)
        why = f"The gate judges {name}: the change from the pipeline before, in pairs of fresh processes."
        return (
            f"{name} is worse than before, or inconclusive",
            why,
            "Compare the stages of both: pipeprof compare A B.",
        )
    if code.startswith(GAPS):
        name = code.removeprefix(GAPS)
        what = "A device idles" if name == "idle" else f"A device idles for {name}"
        why = "The share of a device's time in which it has no work, from a trace of another profiler."
        return what, why, "See its causes and longest gaps: pipeprof gaps TRACE."
    return "", "", ""


def _on_profile(profile: Profile, checkout: Checkout) -> Iterator[Remark]:
    stages = {stage.id: stage for stage in profile.stages or ()}
    for problem in profile.errors:
        yield _error(problem, checkout)
    for finding in profile.findings or ():
        if finding.status != "rejected":
            yield _finding(finding, stages, checkout)
    for warning in profile.warnings:
        at = next((stages[id_] for id_ in warning.stages if id_ in stages), None)
        yield _warning(warning, _of_stage(at, checkout))


def _error(problem: Problem, checkout: Checkout) -> Remark:
    place = None
    if problem.flag is None and problem.file is not None:
        end = problem.column + problem.length if problem.column and problem.length else None
        place = _place(checkout, problem.file, problem.line, problem.column, end)
    elif problem.flag is None:
        # The innermost line of the user's own files that is in the repository.
        places = (_place(checkout, frame.file, frame.line) for frame in reversed(problem.frames))
        place = next((place for place in places if place is not None), None)
    text = f"{problem.flag}: {problem.message}" if problem.flag else problem.message
    return Remark(problem.code, "error", problem.code, text, place, problem.address or "")


def _finding(finding: Finding, stages: dict[str, Stage], checkout: Checkout) -> Remark:
    at = stages.get(finding.stage or "")
    place = finding.location or (at.location if at is not None else None)
    level, proof = _proof(finding)
    parts = (finding.title, finding.sentence, finding.recommendation, proof)
    return Remark(
        finding.rule,
        level,
        finding.rule,
        " ".join(f"{part.rstrip('.')}." for part in parts if part),
        _place(checkout, place.file, place.line, place.column) if place is not None else None,
        stage_name(at) if at is not None else "",
    )


def _proof(finding: Finding) -> tuple[Level, str]:
    """Confidence in a finding, as a level and in words."""
    measured = describe_measured(finding.measured) if finding.measured else ""
    if finding.status == "kept":
        return "warning", f"Proven: {measured}" if measured else "Proven by measuring"
    if finding.status == "ceiling":
        bound = if_free(measured, finding.measured or {})
        return "note", f"Suspicion with a measured bound: {bound}" if measured else "Suspicion"
    if finding.family == "correctness":
        return "warning", "Certain from the pipeline as it is written; not measured"
    return "note", "Suspicion: the change was not measured"


def _of_stage(stage: Stage | None, checkout: Checkout) -> Place | None:
    place = stage.location if stage is not None else None
    return _place(checkout, place.file, place.line, place.column) if place is not None else None


def _warning(warning: Message, place: Place | None) -> Remark:
    return Remark(warning.code, "warning", warning.code, warning.message, place, on_run=True)


def _place(
    checkout: Checkout, file: str, line: int | None, column: int | None = None, end: int | None = None
) -> Place | None:
    name = checkout.name(file)
    return Place(name, line or None, column or None, end) if name is not None else None


def _on_result(result: Result, checkout: Checkout) -> Iterator[Remark]:
    place = _of_side(result, checkout)
    for problem in result.errors:
        yield Remark(problem.code, "error", problem.code, problem.message, place)
    likely = next((one for one in result.change_places if one is not None), None)
    cause = (_place(checkout, likely.file, likely.line, likely.column) if likely is not None else None) or place
    first = "".join(headline(result)[:2])
    for metric in result.metrics if result.kind == "gate" else ():
        if metric.level != "off" and metric.verdict != "not regressed":
            failed = metric.level == "error" and metric.verdict == "regressed"
            remark = _regression(metric, cause if failed else place, checkout)
            # The first line of the report has what has regressed, its limit and the likely cause.
            yield replace(remark, text=first) if failed and first else remark
            first = "" if failed else first
    for warning in result.warnings:
        yield _warning(warning, None)


def _regression(metric: Metric, place: Place | None, checkout: Checkout) -> Remark:
    level: Level = "error" if metric.verdict == "regressed" and metric.level == "error" else "warning"
    at = metric.location
    if at is not None:
        place = _place(checkout, at.file, at.line, at.column) or place
    limit = " limit" if metric.limit is not None else ""
    return Remark(
        f"{GATE}{metric.name}",
        level,
        f"{metric.title}: {metric.verdict}",
        f"{metric.verdict.capitalize()}: {sentence_of(metric)}",
        place,
        f"{metric.name}{limit}",
    )


def _on_traces(report: GapsReport, checkout: Checkout) -> Iterator[Remark]:
    code = f"{GAPS}{report.limit.name if report.limit is not None else 'idle'}"
    for one in judged(report):
        place = _place(checkout, one.trace.file, None)
        name = one.device or "no device"
        if one.verdict == "within" and report.limit is not None:
            continue
        level: Level = "error" if one.verdict == "above" else "warning" if one.verdict == "cannot say" else "note"
        text = one.sentence if report.limit is not None else one.trace.sentence
        yield Remark(
            code, level, f"{name}: {one.verdict if report.limit is not None else 'idle time'}", text, place, name
        )
    for trace in report.traces:
        for note in trace.notes:
            yield Remark(f"{GAPS}damage", "warning", "not all of the trace is read", note, on_run=True)


def _of_side(result: Result, checkout: Checkout) -> Place | None:
    """Line where side B is written; None for a git ref."""
    side = result.b
    if side.ref is not None:
        return None
    if side.location is not None:
        return _place(checkout, side.location.file, side.location.line)
    file = side.text.partition(" --set ")[0]
    file = file.rpartition(":")[0] if ".py:" in file else file
    return _place(checkout, file, None) if file.endswith((".py", ".yaml", ".yml")) else None
