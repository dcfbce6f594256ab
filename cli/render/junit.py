"""JUnit XML: one test case for each metric that the gate judges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pipeprof.cli.report.comparison import headline_of
from pipeprof.cli.report.metric import clause_of, facts_of
from pipeprof.cli.streams import visible
from pipeprof.profiles.judge.result import Result


class _Case(NamedTuple):
    """A test case; that of a target, since several gates of a job have the same metrics."""

    target: str
    name: str
    tag: str
    message: str
    text: str = ""


def junit(result: Result) -> str:
    """What has regressed is a failure, what cannot be decided is skipped, a failed side an error."""
    suite = Element("testsuite", name=visible(f"pipeprof gate {result.b.text}"))
    for case in _cases(result):
        inside = SubElement(suite, "testcase", classname=visible(case.target), name=visible(case.name))
        if case.tag == "system-out":
            SubElement(inside, case.tag).text = visible(case.message)
        else:
            SubElement(inside, case.tag, message=visible(case.message)).text = visible(case.text)
    suite.set("tests", str(len(suite)))
    for count, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
        suite.set(count, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("time", f"{result.seconds or 0:.2f}")
    indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suite, encoding="unicode")}\n'


def _cases(result: Result) -> Iterator[_Case]:
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
