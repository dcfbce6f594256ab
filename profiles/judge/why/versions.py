"""Pipelines between two: specs with some of the changes, or edits of the graph of the first, and what none makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pydantic import ValidationError

from pipeprof.pipelines.check import find_element_faults
from pipeprof.pipelines.edits.edits import InsertStage, PipelineEdit, ReplaceStages, SetArgument, SetOption, to_document
from pipeprof.pipelines.graph.compare import differences
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.errors.validation import find_faults
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.mixing.mixture import Mixture, address_in
from pipeprof.pipelines.spec.mixing.pair_stages import pair_stages
from pipeprof.pipelines.spec.mixing.shared_paths import as_from
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import missing_files
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.harness.ask_worker import ask_for_graph
from pipeprof.profiles.judge.why.effects import Subset
from pipeprof.profiles.judge.why.source_changes import change_of_reference, is_same_function
from pipeprof.profiles.protocol.source import GraphAnswer, GraphJob, unpacked
from pipeprof.profiles.view.from_graph import view_of_graphs
from pipeprof.profiles.view.view import PipelineView, StageView

REST = "the rest"
Ask: TypeAlias = "Callable[[GraphJob], GraphAnswer]"


class GraphVersions:
    """Pipelines between two functions.

    Attributes:
        changes: What leads from A to B, in words; the rest is the last one, where there is one.
        rest: What no edit of the graph makes.
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

    def problem(self, _chosen: Subset) -> str | None:
        """Nothing: whether an edit fits shows when it is made."""
        return None

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
        left = differences(unpacked(answer.graph), unpacked(b.graph))
        # The seeds of a new stage are TensorFlow's to choose.
        return next((one.what for one in left if one.seed is None), None)


def as_documents(edits: Sequence[PipelineEdit]) -> list[str]:
    """Edits for a job."""
    return [json.dumps(to_document(edit)) for edit in edits]


def _view(answer: GraphAnswer) -> PipelineView:
    written, executed = (StageGraph.from_dict(graph) for graph in unpacked(answer.stages or ""))
    return view_of_graphs(written, executed, [], by_address=False)


@dataclass(frozen=True)
class GraphChange:
    """A change of a graph, with the edits that make it; their addresses are those of the first graph."""

    text: str
    edits: tuple[PipelineEdit, ...]


Names: TypeAlias = "Mapping[str, str]"
"""Of stages by their address, as a report has them."""


def graph_changes(a: PipelineView, b: PipelineView, names: tuple[Names, Names] = ({}, {})) -> list[GraphChange]:
    """The parts of a difference that are edits: arguments, options, and stages that pass elements on.

    What functions compute, sources, and stages with functions of their own are no part of it.

    Args:
        names: For each of the two, names by address of the stages that its graph has no name for.
    """
    lines = _line(a), _line(b)
    titles = [
        [stage.name or known.get(stage.id) or stage.op for stage in line]
        for line, known in zip(lines, names, strict=True)
    ]
    paired = pair_stages(*([{stage.op: {"name": _known_by(stage)}} for stage in line] for line in lines))
    targets = {other: one for one, other in paired.moved.items()}
    found: list[GraphChange] = []
    last = "source"
    for one, other in paired.slots:
        if one is not None and other is not None:
            found += _arguments(titles[0][one], lines[0][one], lines[1][other])
            last = lines[0][one].id
        elif other is not None and traits((theirs := lines[1][other]).op).passes and theirs.function is None:
            title, place = titles[1][other], f"after {titles[1][other - 1]}" if other else "after the source"
            insert = InsertStage(theirs.op, theirs.arguments, last)
            if other in targets:
                removed = ReplaceStages((lines[0][targets[other]].id,), ())
                found.append(GraphChange(f"{title}: moved {place}", (removed, insert)))
            else:
                found.append(GraphChange(f"{title}: added {_call(theirs)} {place}", (insert,)))
        elif one is not None and one not in paired.moved and traits(lines[0][one].op).passes:
            found.append(GraphChange(f"{titles[0][one]}: removed", (ReplaceStages((lines[0][one].id,), ()),)))
    return [*found, *_options(a.options, b.options)]


def _line(view: PipelineView) -> Sequence[StageView]:
    """The stages of the pipeline itself that follow its source."""
    return [
        stage for stage in view.stages if stage.depth == 0 and not stage.injected and stage.id.startswith("stages.")
    ]


def _known_by(stage: StageView) -> str | None:
    """What tells a stage from others of its op: its name, else what its function is made of."""
    ops = stage.function.ops if stage.function is not None else None
    return stage.name or (", ".join(sorted(ops)) if ops else None)


def _call(stage: StageView) -> str:
    arguments = ", ".join(f"{key}={_text(value)}" for key, value in stage.arguments.items() if value is not None)
    return f"{stage.op}({arguments})"


def _arguments(title: str, one: StageView, other: StageView) -> Iterator[GraphChange]:
    for name in dict.fromkeys([*one.arguments, *other.arguments]):
        before, after = one.arguments.get(name), other.arguments.get(name)
        if before != after:
            text = f"{title}.{name}: {_text(before)} → {_text(after)}"
            yield GraphChange(text, (SetArgument(one.id, one.op, name, after),))


def _options(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[GraphChange]:
    for path in dict.fromkeys([*one, *other]):
        before, after = one.get(path), other.get(path)
        # An option cannot be taken away from a graph.
        if before != after and after is not None:
            yield GraphChange(f"options.{path}: {_text(before)} → {_text(after)}", (SetOption(path, after),))


def _text(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _place(spec: LoadedSpec, change: str) -> Location | None:
    address = address_in(spec.data, change)
    found = spec.locate(address) if address is not None else None
    return Location(file=found.file, line=found.line) if found is not None and found.line is not None else None


class SpecVersions:
    """Pipelines between two specs.

    Args:
        b: The other one; of one in another folder, paths that lead to other files are changes.
    """

    rest: Subset = frozenset()

    def __init__(self, a: LoadedSpec, b: LoadedSpec) -> None:
        self._a = a
        self._mixture = Mixture(a.data, *as_from(a.base_dir, b.base_dir, b.data, b.spec, is_same_function))
        found = [(change, _place(b, change)) for change in self._mixture.changes]
        for number, text in self._mixture.files.items():
            reference = change_of_reference((a.base_dir, b.base_dir), text)
            # Two functions of a file may share a change: the spec's lines are apart.
            found[number] = reference if reference not in found else found[number]
        self.changes = [change for change, _ in found]
        self.places = [place for _, place in found]
        """The line of each change in the spec of B, or in a file that it names."""

    def problem(self, chosen: Subset) -> str | None:
        """Why A with some changes is no valid spec; None where it is."""
        data = self._mixture.data(chosen)
        try:
            spec = Spec.model_validate(data)
        except ValidationError as error:
            faults = find_faults(error, data)
            return faults[0].message if faults else "it is not valid"
        lacking = missing_files(spec, self._a.base_dir)
        if lacking:
            return lacking[0].message
        faults = find_element_faults(spec, self._a.base_dir)
        return faults[0].message if faults else None

    def loaded(self, chosen: Subset) -> LoadedSpec:
        """A with some changes, which must be possible."""
        data = self._mixture.data(chosen)
        return replace(self._a, data=data, spec=Spec.model_validate(data))
