"""JUnit XML: one test case for each metric that the gate judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.cli.formats.registry import Format
from pipeprof.cli.streams import visible

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from pipeprof.profiles.judge.verdicts.result import Metric, Result


def junit(result: Result) -> str:
    """The result as JUnit XML: a regression is a failure, what cannot be decided is skipped, a failed side an error."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    judged = [metric for metric in result.metrics if metric.level != "off"]
    suite = Element("testsuite", name=f"pipeprof gate {visible(result.b.text)}", time=f"{result.seconds or 0:.2f}")
    for problem in result.errors:
        case = SubElement(suite, "testcase", classname="pipeprof.gate", name=problem.code)
        SubElement(case, "error", message=visible(problem.message))
    for metric in judged:
        _case(suite, metric)
    counts = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    suite.set("tests", str(len(suite)))
    for name, tag in counts.items():
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suite, encoding="unicode")}\n'


def _case(suite: Element, metric: Metric) -> None:
    from xml.etree.ElementTree import SubElement

    from pipeprof.profiles.judge.words import sentence_of

    name = metric.name if metric.limit is None else f"{metric.name} limit"
    case = SubElement(suite, "testcase", classname="pipeprof.gate", name=name)
    text = visible(sentence_of(metric))
    if metric.verdict == "regressed" and metric.level == "error":
        SubElement(case, "failure", message=text, type=metric.verdict)
    elif metric.verdict == "cannot tell":
        SubElement(case, "skipped", message=f"{metric.verdict}: {text}")
    else:
        SubElement(case, "system-out").text = f"{metric.verdict}: {text}"


FORMAT = Format(
    "junit", (".xml",), frozenset({"gate"}), lambda output: junit(output.result), order=6, exact=True, redacted=True
)
