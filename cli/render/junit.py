"""JUnit XML: one test case for each metric that the gate judges, or for each device of a trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pipeprof.cli.report.comparison import headline_of
from pipeprof.cli.report.gaps import describe_judged
from pipeprof.cli.report.metric import clause_of, facts_of
from pipeprof.cli.streams import visible
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.gaps.document import GapsReport
from pipeprof.profiles.gaps.limit import ANY_IDLE, judge
from pipeprof.profiles.judge.result import Result


class _Case(NamedTuple):
    """A test case; that of a target, since several gates of a job have the same metrics."""

    target: str
    name: str
    tag: str
    message: str
    text: str = ""


def junit(document: Profile | Result | GapsReport) -> str:
    """What has regressed or idles too much is a failure, what cannot be decided is skipped, a failed side an error."""
    assert not isinstance(document, Profile)  # noqa: S101 - `gate` and `gaps` alone have this format
    if isinstance(document, GapsReport):
        name, cases = f"pipeprof gaps {' '.join(trace.file for trace in document.traces)}", _of_traces(document)
    else:
        name, cases = f"pipeprof gate {document.b.text}", _of_result(document)
    suite = Element("testsuite", name=visible(name))
    for case in cases:
        inside = SubElement(suite, "testcase", classname=visible(case.target), name=visible(case.name))
        if case.tag == "system-out":
            SubElement(inside, case.tag).text = visible(case.message)
        else:
            SubElement(inside, case.tag, message=visible(case.message)).text = visible(case.text)
    suite.set("tests", str(len(suite)))
    for count, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
        suite.set(count, str(len(suite.findall(f"testcase/{tag}"))))
    if isinstance(document, Result):
        suite.set("time", f"{document.seconds or 0:.2f}")
    indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suite, encoding="unicode")}\n'


def _of_result(result: Result) -> Iterator[_Case]:
    target, headline = result.b.text, headline_of(result)
    for problem in result.errors:
        yield _Case(target, problem.code, "error", problem.message)
    for metric in result.metrics:
        if metric.level != "off":
            facts = "; ".join(f"{label}: {text}" for label, text in facts_of(metric).items() if text)
            failed = metric.verdict == "regressed" and metric.level == "error"
            tag = "failure" if failed else "skipped" if metric.verdict == "cannot tell" else "system-out"
            name = metric.title if metric.limit is None else f"{metric.title} limit"
            yield _Case(target, name, tag, headline.text if failed else clause_of(metric, limited=True), facts)
    if result.unchanged is not None:
        yield _Case(target, "unchanged", "system-out", result.unchanged)


def _of_traces(report: GapsReport) -> Iterator[_Case]:
    limit = report.limit or ANY_IDLE
    for one in judge(report, limit):
        tag = {"above": "failure", "cannot say": "skipped"}.get(one.verdict, "system-out")
        said = describe_judged(one, limit)
        yield _Case(one.trace.file, f"{one.device or 'no device'}: {limit.name}", tag, said, one.trace.sentence)
