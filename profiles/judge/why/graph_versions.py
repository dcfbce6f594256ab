"""Pipelines between two Python functions: edits of the graph of the first, and what no edit makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from pipeprof.pipelines.edits.edits import PipelineEdit, to_document
from pipeprof.pipelines.from_python.compare import differences
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.harness.describe_function import ask_for_graph
from pipeprof.profiles.judge.why.graph_changes import GraphChange, Names, graph_changes
from pipeprof.profiles.judge.why.units import Subset
from pipeprof.profiles.protocol.source import GraphAnswer, GraphJob, unpacked
from pipeprof.profiles.view.from_graph import view_of_graphs
from pipeprof.profiles.view.view import PipelineView

"""Seconds in which a function has returned its dataset and the graph is read."""
REST = "the rest"
Ask: TypeAlias = "Callable[[GraphJob], GraphAnswer]"


class GraphVersions:
    """Pipelines between two functions.

    Attributes:
        changes: What leads from A to B, in words; the rest is the last one, where there is one.
        steps: Edits of A's graph for each change but the rest.

    Args:
        ask: Calls a function in a process of its own, and reads its graph.
        names: How the profiles name the stages of A and of B.
    """

    def __init__(
        self, a: ParsedTarget, b: ParsedTarget, ask: Ask | None = None, names: tuple[Names, Names] = ({}, {})
    ) -> None:
        self._ask = ask or ask_for_graph
        jobs = [GraphJob(str(one), list(one.arguments), str(one.path.resolve()), stages=True) for one in (a, b)]
        answers = [self._ask(job) for job in jobs]
        failure = next((answer.failure for answer in answers if answer.failure is not None), None)
        found = [] if failure is not None else graph_changes(_view(answers[0]), _view(answers[1]), names)
        left = failure if failure is not None else self._left(jobs[0], found, answers[0], answers[1])
        self.steps = [change.edits for change in found]
        self.changes = [change.text for change in found]
        self.rest: Subset = frozenset()
        if left is not None:
            self.rest = frozenset({len(found)})
            self.changes.append(f"{REST} ({left})")

    def edits(self, chosen: Subset) -> list[list[str]]:
        """The steps of edits of some changes, each edit as JSON."""
        edits = [edit for number in sorted(chosen) for edit in self.steps[number]]
        return [as_documents(edits)] if edits else []

    def _left(self, job: GraphJob, found: Sequence[GraphChange], a: GraphAnswer, b: GraphAnswer) -> str | None:
        """What the edits do not make, in words; None where the edited graph is that of B."""
        answer = a
        if found:
            steps = [as_documents([edit for change in found for edit in change.edits])]
            answer = self._ask(replace(job, steps=steps, stages=False))
        if answer.failure is not None or answer.graph is None or b.graph is None:
            return "not all differences can be made in the graph"
        if answer.element != b.element:
            return f"elements are {answer.element} and {b.element}"
        left = differences(unpacked(answer.graph), unpacked(b.graph), ("in A", "in B"))
        # The seeds of a new stage are TensorFlow's to choose.
        return next((one.what for one in left if one.seed is None), None)


def as_documents(edits: Sequence[PipelineEdit]) -> list[str]:
    """Edits for a job."""
    return [json.dumps(to_document(edit)) for edit in edits]


def _view(answer: GraphAnswer) -> PipelineView:
    written, executed = (StageGraph.from_dict(graph) for graph in unpacked(answer.stages or ""))
    return view_of_graphs(written, executed, [], by_address=False)
