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
from pipeprof.pipelines.from_python.compare import Difference
from pipeprof.pipelines.from_python.graphs import GraphPair, compare
from pipeprof.pipelines.from_python.literals import Folders
from pipeprof.pipelines.from_python.pipeline import Describer, RecoveredSpec, top_level_calls
from pipeprof.pipelines.from_python.plain_graph import PlainGraph
from pipeprof.pipelines.from_python.records import Notes, NotExpressible, Omission, Recording
from pipeprof.pipelines.from_python.user_functions import TARGET
from pipeprof.pipelines.spec.models import Spec
from pipeprof.profiles.protocol.describe import DescribeJob
from pipeprof.profiles.worker.error_text import essence

_TRIES: Final = 24


@dataclass(frozen=True)
class Attempt:
    """A spec, and how its graph differs from the function's.

    Attributes:
        described: The spec.
        notes: What stays in Python.
        compared: The differences as written and as executed, or why the graphs cannot be compared; None if the spec
            could not be built.
        written: Its graph.
        address: The first stage that differs or was refused; None if that is not known.
        why: The reason.
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

    @property
    def differs_in_target(self) -> bool:
        """Whether the first difference is in the part that the function itself makes."""
        return self.compared is not None and self.described.calls.get(self.address or "") == TARGET


class SpecSearch:
    """Search of the spec of one function.

    Args:
        tf: The module tensorflow.
        job: What to describe.
        recording: The recorded build.
        original: The function's graph.
        in_memory: Bytes that its sources hold in memory.
        arrays: Arrays by number, to be saved.
        target: Reference of the function; None if a spec cannot call it.
        why_not: Why it cannot.
    """

    def __init__(
        self,
        tf: Any,
        job: DescribeJob,
        recording: Recording,
        original: GraphPair,
        in_memory: int,
        arrays: dict[int, Any],
        target: str | None,
        why_not: str = "",
    ) -> None:
        self._tf, self._job = tf, job
        self._recording, self._original, self._in_memory = recording, original, in_memory
        self._arrays, self._target, self._why_not = arrays, target, why_not
        self._folder, self._here = Path(job.folder), Path.cwd()
        self._refused: dict[int, str] = {}
        self._denied: dict[int, str] = {}
        self._seeds: dict[int, int] = {}
        self._notes = Notes()
        self._saved: set[Path] = set()

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
            if not self._exclude(attempt):
                break
        if best is not None and best.runs_equal:
            return best
        if best is not None and best.differs_in_target:
            return self._with_own_differences(best)
        return self._cut_where_equal(best) or self._whole(best)

    def _exclude(self, attempt: Attempt) -> bool:
        """Exclude the stage that differs from the next spec; return whether there was one."""
        described, address = attempt.described, attempt.address
        number = described.calls.get(address or "")
        if address is None or number is None or number == TARGET:
            return False
        if attempt.seed is not None and number not in self._seeds:
            self._seeds[number] = attempt.seed
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
        calls = top_level_calls(self._recording)
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

    def _with_own_differences(self, attempt: Attempt) -> Attempt:
        """Return a spec that differs in the function's own part, if that part differs in every call."""
        whole = self._whole(None)
        if whole.is_equal or whole.compared is None or isinstance(whole.compared, str):
            return self._cut_where_equal(attempt) or whole
        what = [*whole.compared[0], *whole.compared[1]][0].what
        why = f"{self._job.target} builds another graph in each call ({what.partition(': ')[0]})"
        return replace(attempt, compared=why)

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
        graphs = GraphPair(self._tf, dataset, self._in_memory)
        compared = compare(self._original, graphs)
        if isinstance(compared, str) or not any(compared):
            return Attempt(described, notes, compared, graphs.written)
        address, first = _first_difference(compared)
        why = f"as a spec it gave another graph ({first.what})"
        return Attempt(described, notes, compared, graphs.written, address, why, first.seed)

    def _describe(self, denied: dict[int, str], notes: Notes) -> RecoveredSpec:
        saved: dict[int, str] | None = {} if self._job.arrays is not None else None
        folders = Folders(self._folder, self._here, saved, self._job.arrays or "")
        describer = Describer(
            self._recording, folders, dict(self._refused), dict(denied), self._target, dict(self._seeds), notes
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
        np.save(path, self._arrays[number], allow_pickle=False)

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
        if self._recording.seed is not None:
            data["measure"] = {"seed": self._recording.seed}
        described = RecoveredSpec(data, calls={"source": TARGET})
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
    placed = ((find_address(one.node), one) for one in found if one.node is not None)
    return next((pair for pair in placed if pair[0] is not None), (None, found[0]))


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
