"""JUnit XML: one test case for each metric that the gate judges, or for each device of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.cli.formats.registry import Format, Output
from pipeprof.cli.streams import visible

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from pipeprof.profiles.gaps.document import GapsReport
    from pipeprof.profiles.judge.verdicts.result import Metric, Result


def junit(result: Result) -> str:
    """The result as JUnit XML: a regression is a failure, what cannot be decided is skipped, a failed side an error."""
    from xml.etree.ElementTree import Element, SubElement

    from pipeprof.profiles.judge.clauses import describe_likely

    judged = [metric for metric in result.metrics if metric.level != "off"]
    target = visible(result.b.text)
    suite = Element("testsuite", name=f"pipeprof gate {target}", time=f"{result.seconds or 0:.2f}")
    for problem in result.errors:
        case = SubElement(suite, "testcase", classname=target, name=problem.code)
        SubElement(case, "error", message=visible(problem.message))
    likely = describe_likely(result)
    for metric in judged:
        _case(suite, target, metric, likely)
    if result.unchanged is not None:
        case = SubElement(suite, "testcase", classname=target, name="unchanged")
        SubElement(case, "system-out").text = visible(result.unchanged)
    return _written(suite)


def _written(suite: Element) -> str:
    """The suite with the numbers of its cases, as text."""
    from xml.etree.ElementTree import indent, tostring

    counts = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    suite.set("tests", str(len(suite)))
    for name, tag in counts.items():
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suite, encoding="unicode")}\n'


def _case(suite: Element, target: str, metric: Metric, likely: str) -> None:
    """One metric: named by the target first, since several gates of a job have the same metrics."""
    from xml.etree.ElementTree import SubElement

    from pipeprof.profiles.judge.clauses import allowed_text, describe_direction
    from pipeprof.profiles.judge.words import sentence_of

    name = metric.title if metric.limit is None else f"{metric.title} limit"
    case = SubElement(suite, "testcase", classname=target, name=name)
    allowed = f"; allowed {allowed_text(metric)}" if metric.limit is None else ""
    text = f"{metric.verdict}: {visible(sentence_of(metric))}{allowed}"
    if metric.verdict == "regressed" and metric.level == "error":
        said = ". ".join(filter(None, [describe_direction(metric), likely]))
        SubElement(case, "failure", message=visible(said), type=metric.verdict).text = text
    elif metric.verdict == "cannot tell":
        SubElement(case, "skipped", message=text)
    else:
        SubElement(case, "system-out").text = text


def junit_of_traces(report: GapsReport) -> str:
    """The devices of all traces: above the limit is a failure; where it cannot be said, the case is skipped."""
    from xml.etree.ElementTree import Element, SubElement

    from pipeprof.profiles.gaps.wording import judged

    name = report.limit.name if report.limit is not None else "idle"
    suite = Element("testsuite", name=f"pipeprof gaps {visible(' '.join(trace.file for trace in report.traces))}")
    for one in judged(report):
        title = f"{one.device or 'no device'}: {name}"
        case = SubElement(suite, "testcase", classname=visible(one.trace.file), name=visible(title))
        text = visible(one.sentence)
        if one.verdict == "above":
            SubElement(case, "failure", message=text, type=one.verdict).text = visible(one.trace.sentence)
        elif one.verdict == "cannot say":
            SubElement(case, "skipped", message=text)
        else:
            SubElement(case, "system-out").text = text
    return _written(suite)


def _render(output: Output) -> str:
    from pipeprof.profiles.gaps.document import GapsReport

    return junit_of_traces(output.document) if isinstance(output.document, GapsReport) else junit(output.result)


FORMAT = Format("junit", (".xml",), frozenset({"gate", "gaps"}), _render, order=6, exact=True, redacted=True)
