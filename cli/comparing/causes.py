"""The causes of a difference in the report: what each part of it does, and what all explain together."""

from __future__ import annotations

from collections.abc import Iterator

from pipeprof.cli.text.blocks import Block, Heading, Prose, TextSpan
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
from pipeprof.profiles.judge.verdicts.result import Result
from pipeprof.profiles.judge.words import describe_cause, describe_explanation, describe_rest

COLORS = {"slower": "red", "more": "red", "faster": "green", "less": "green"}


def causes(result: Result) -> Iterator[Block]:
    """Build the section of ``--why``; nothing without it."""
    search = result.search
    if search is None:
        return
    if search.note is not None or not search.explanations:
        yield Heading("Why")
        yield Prose(search.note or "Nothing was measured: the time was over.", hang=2)
        return
    rounds = len({one.number for one in search.rounds})
    yield Heading("Why", f"parts of the difference, measured against A in {rounds} rounds of fresh processes")
    for explanation in search.explanations:
        yield Prose(describe_explanation(explanation), hang=2)
        for cause in result.why or ():
            if cause.metric == BY_NAME[explanation.metric].name:
                yield Prose((TextSpan("- "), TextSpan(describe_cause(cause), COLORS.get(cause.words, ""))), hang=4)
        if (rest := describe_rest(explanation)) is not None:
            yield Prose(rest, hang=2)
