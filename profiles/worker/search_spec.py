"""Search for the spec of a recorded pipeline that gives the same graph as the user's function (worker only)."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from pipeprof.pipelines.addresses import find_address
from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.build.pin_errors import BuildError
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.from_python.compare import Difference, PlainGraph
from pipeprof.pipelines.from_python.graphs import GraphPair, compare
from pipeprof.pipelines.from_python.literals import Folders
from pipeprof.pipelines.from_python.pipeline import Describer, PythonPart, RecoveredSpec, top_level_calls
from pipeprof.pipelines.from_python.records import Notes, NotExpressible, Omission, RecordedCalls
from pipeprof.pipelines.from_python.user_functions import TARGET
from pipeprof.pipelines.spec.models import Spec
from pipeprof.profiles.protocol.describe import DescribeJob
from pipeprof.profiles.worker.error_text import essence

_TRIES: Final = 24


@dataclass(frozen=True)
class Attempt:
    """A spec, and how its graph differs from the function's.

    Attributes:
        notes: What stays in Python.
        compared: The differences as written and as executed, or why the graphs cannot be compared; None if the spec
            could not be built.
        address: The first stage that differs or was refused; None if that is not known.
        seed: The function's random seed of that stage, if only that differs.
    """

    described: RecoveredSpec
    notes: Notes
    compared: tuple[list[Difference], list[Difference]] | str | None = None
    written: PlainGraph | str = ""
    address: str | None = None
    why: str = ""
    seed: int | None = None

    @property
    def is_equal(self) -> bool:
        """Whether no difference was found."""
        return isinstance(self.compared, str) or self.compared == ([], [])

    @property
    def runs_equal(self) -> bool:
        """Whether TensorFlow executes the same graph."""
        return self.is_equal or (self.compared is not None and not self.compared[1])


@dataclass(frozen=True)
class BuiltPipeline:
    """Result of the user's function.

    Attributes:
        in_memory: Bytes that its sources hold in memory.
        arrays: Its arrays by number.
    """

    recording: RecordedCalls
    graphs: GraphPair
    in_memory: int
    arrays: dict[int, Any]


class SpecSearch:
    """Search of the spec of one function.

    Args:
        target: Reference of the function; None if a spec cannot call it.
    """

    def __init__(
        self,
        tf: Any,
        job: DescribeJob,
        built: BuiltPipeline,
        target: str | None,
        why_not: str = "",
    ) -> None:
        self._tf, self._job, self._built = tf, job, built
        self._target, self._why_not = target, why_not
        self._folder, self._here = Path(job.folder), Path.cwd()
        self._refused: dict[int, str] = {}
        self._denied: dict[int, str] = {}
        self._seeds: dict[int, int] = {}
        calls = built.recording.calls.values()
        self._drawn = {call.id: call.drawn for call in calls if call.drawn is not None}
        self._notes = Notes()
        self._saved: set[Path] = set()
        self._own: str | None = None

    def run(self) -> Attempt:
        """Try specs until one gives the same graph; a stage that differs stays in Python in the next one.

        Raises:
            UsageError: There is none.
        """
        found = self._found()
        used = _texts(found.described.data)
        for path in self._saved:
            if path.name not in used:
                path.unlink(missing_ok=True)
        return found

    def _found(self) -> Attempt:
        best: Attempt | None = None
        for _ in range(_TRIES):
            attempt = self._try(self._denied)
            if attempt is None:
                break
            if attempt.is_equal:
                return attempt
            best = attempt if attempt.compared is not None else best
            if attempt.compared is not None and attempt.described.calls.get("source") == TARGET:
                why = self._own_differences()
                if why is not None:
                    return replace(attempt, compared=why)
            if not self._exclude(attempt):
                break
        if best is not None and best.runs_equal:
            return best
        return self._cut_where_equal(best) or self._whole(best)

    def _exclude(self, attempt: Attempt) -> bool:
        """Exclude the stage that differs from the next spec; return whether there was one."""
        described, address = attempt.described, attempt.address
        number = described.calls.get(address or "")
        if address is None or number is None or number == TARGET:
            return False
        seed = attempt.seed if attempt.seed is not None else self._drawn.get(number)
        if seed is not None and number not in self._seeds:
            self._seeds[number] = seed
        elif address in described.chains and described.chains[address] not in self._refused:
            self._refused[described.chains[address]] = attempt.why
        elif number not in self._denied:
            self._denied[number] = attempt.why
        else:
            return False
        return True

    def _cut_where_equal(self, best: Attempt | None) -> Attempt | None:
        """Return the spec whose Python part ends at the first stage from which on the graphs are equal."""
        if best is None or self._target is None:
            return None
        calls = top_level_calls(self._built.recording)
        found: Attempt | None = None
        low, high = 0, len(calls) - 1
        while low <= high:
            middle = (low + high) // 2
            attempt = self._try({**self._denied, calls[middle].id: best.why})
            if attempt is not None and attempt.is_equal:
                found, high = attempt, middle - 1
            else:
                low = middle + 1
        return found

    def _own_differences(self) -> str | None:
        """Return why the graph cannot be compared, if each call of the function builds another one."""
        if self._own is None:
            compared = self._whole(None).compared
            differing = [*compared[0], *compared[1]] if isinstance(compared, tuple) else []
            what = f" ({differing[0].what.partition(': ')[0]})" if differing else ""
            self._own = f"{self._job.target} builds another graph in each call{what}" if differing else ""
        return self._own or None

    def _try(self, denied: dict[int, str]) -> Attempt | None:
        """Write a spec and compare it; None if a part of the pipeline cannot be written."""
        notes = Notes()
        try:
            described = self._describe(denied, notes)
        except NotExpressible as problem:
            if not notes.found:
                notes.add("the pipeline", str(problem), None)
            self._notes = notes
            return None
        self._notes = notes
        try:
            dataset = self._build(described)
        except (BuildError, ValidationError) as problem:
            address, why = _refused_stage(problem)
            return Attempt(described, notes, address=address, why=why)
        return self._compared(described, notes, dataset)

    def _compared(self, described: RecoveredSpec, notes: Notes, dataset: Any) -> Attempt:
        graphs = GraphPair(self._tf, dataset, self._built.in_memory)
        compared = compare(self._built.graphs, graphs)
        if isinstance(compared, str) or not any(compared):
            return Attempt(described, notes, compared, graphs.written)
        address, first = _first_difference(compared)
        why = f"written as a stage it would differ from your function: {first.what}"
        return Attempt(described, notes, compared, graphs.written, address, why, first.seed)

    def _describe(self, denied: dict[int, str], notes: Notes) -> RecoveredSpec:
        saved: dict[int, str] | None = {} if self._job.arrays is not None else None
        folders = Folders(self._folder, self._here, saved, self._job.arrays or "")
        describer = Describer(
            self._built.recording, folders, dict(self._refused), dict(denied), self._target, dict(self._seeds), notes
        )
        described = describer.describe(self._job.name)
        used = _texts(described.data)
        for number, name in (saved or {}).items():
            if name in used:
                self._save(number, name)
        return described

    def _save(self, number: int, name: str) -> None:
        import numpy as np

        path = self._folder / name
        if path.exists() and path not in self._saved and not self._job.force:
            msg = f"--save-arrays: {path} exists; use --force to overwrite it, or another name for --out"
            raise UsageError(msg)
        self._saved.add(path)
        np.save(path, self._built.arrays[number], allow_pickle=False)

    def _build(self, described: RecoveredSpec) -> Any:
        spec = Spec.model_validate(described.data)
        reseed()
        context = BuildContext(self._folder)
        load_arrays(spec, context)
        return build(spec, context)

    def _whole(self, best: Attempt | None) -> Attempt:
        """Return the spec that calls the function for everything, or the best other one."""
        notes = best.notes if best is not None else self._notes
        if best is not None:
            notes = Notes([*notes.found, Omission("the pipeline", best.why)], notes.asides)
        why = notes.found[-1].why if notes.found else "its stages are not known"
        if self._target is None:
            if best is not None:
                return best
            msg = f"{self._job.target} cannot be written as a spec ({why}), and a spec cannot call it: {self._why_not}"
            raise UsageError(msg)
        reference = Folders(self._folder, self._here).reference(self._target)
        data = {"version": 1, "name": self._job.name, "source": {"python": {"function": reference}}}
        if self._built.recording.seed is not None:
            data["measure"] = {"seed": self._built.recording.seed}
        calls = top_level_calls(self._built.recording)
        part = PythonPart(calls[-1].name, calls[-1].where) if calls else PythonPart("source", None)
        described = RecoveredSpec(data, calls={"source": TARGET}, python=part)
        try:
            dataset = self._build(described)
        except (BuildError, ValidationError) as problem:
            if best is not None:
                return best
            refused = _refused_stage(problem)[1]
            msg = f"{self._job.target} cannot be written as a spec ({why}) nor called from one: {refused}"
            raise UsageError(msg) from problem
        return self._compared(described, notes, dataset)


def reseed() -> None:
    """Reset the global generators for default seeds (Keras' loaders), so that function and spec get the same."""
    import numpy as np

    random.seed(0)
    np.random.seed(0)


def difference_text(difference: Difference) -> str:
    """Describe a difference with the stage that it is in."""
    address = find_address(difference.node) if difference.node is not None else None
    return f"{address}: {difference.what}" if address is not None else difference.what


def _first_difference(compared: tuple[list[Difference], list[Difference]]) -> tuple[str | None, Difference]:
    """Return the first difference; later ones may follow from it."""
    found = [*compared[0], *compared[1]]
    placed = ((find_address(difference.node), difference) for difference in found if difference.node is not None)
    first = next((pair for pair in placed if pair[0] is not None), None)
    # Stages are named after their addresses; a source that TensorFlow takes no name for is not.
    return first or ("source" if found[0].node is not None else None, found[0])


def _refused_stage(problem: BuildError | ValidationError) -> tuple[str | None, str]:
    """Return the stage that the build or the validation refused, and the reason."""
    if isinstance(problem, BuildError):
        return problem.address, f"as a spec it was refused ({essence(problem.message)})"
    error = problem.errors(include_url=False)[0]
    place = [str(part) for part in error["loc"]]
    address = ".".join(place[:2]) if place[:1] == ["stages"] else "source"
    return address, f"the spec language refuses it ({essence(str(error['msg']))})"


def _texts(value: Any) -> set[str]:
    """Return all texts in YAML data."""
    found: set[str] = set()
    todo = [value]
    while todo:
        at = todo.pop()
        if isinstance(at, str):
            found.add(at)
        elif isinstance(at, dict):
            todo += at.values()
        elif isinstance(at, list):
            todo += at
    return found
