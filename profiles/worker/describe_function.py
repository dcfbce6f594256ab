"""Worker of ``init --from file.py:function``: calls the function and writes the equivalent spec.

Started with the argument WRITE_FD and the job on stdin; one JSON object is the answer.
"""

from __future__ import annotations

import json
import os
import random
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from pipeprof.pipelines.addresses import find_address
from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.build.pin_errors import BuildError
from pipeprof.pipelines.data.processes import die_with_parent
from pipeprof.pipelines.data.temporary import settle_temporary_folder
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.from_python.call_recorder import CallRecorder
from pipeprof.pipelines.from_python.compare import Difference
from pipeprof.pipelines.from_python.graphs import GraphPair, compare
from pipeprof.pipelines.from_python.literals import Folders
from pipeprof.pipelines.from_python.pipeline import Describer, RecoveredSpec
from pipeprof.pipelines.from_python.plain_graph import PlainGraph
from pipeprof.pipelines.from_python.reading import Recorder
from pipeprof.pipelines.from_python.records import Notes, NotExpressible, Omission, Recording
from pipeprof.pipelines.from_python.renamed import renamed_files
from pipeprof.pipelines.from_python.text import omission_text, spec_text
from pipeprof.pipelines.graph.observe.in_memory_sources import held_bytes
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.pipelines.target.user_files import is_users
from pipeprof.profiles.protocol.describe import DescribeAnswer, DescribeFailure, DescribeJob, SpecOfFunction
from pipeprof.profiles.protocol.records import decode_record, encode_record
from pipeprof.profiles.user_frames import innermost_users_frame
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.error_text import essence, first_line
from pipeprof.profiles.worker.load_function import call_target, import_early, look_like_a_script
from pipeprof.profiles.worker.versions import NoTensorFlowError, import_tensorflow

_TRIES: Final = 24
_SHOWN: Final = 5


@dataclass
class _ComparedSpec:
    """A built spec with its differences from the function's graph."""

    described: RecoveredSpec
    notes: Notes
    compared: tuple[list[Difference], list[Difference]] | str
    written: PlainGraph | str


class Describing:
    """Conversion of one function to a spec.

    Args:
        job: What to describe.
    """

    def __init__(self, job: DescribeJob) -> None:
        self._tf = import_tensorflow()
        self._job = job
        self._folder = Path(job.folder)
        self._here = Path.cwd()
        self._target = parse_target(job.target)
        self._reader: Recorder | None = None
        self._seed: int | None = None
        self._written: set[Path] = set()
        self.called = False

    def run(self) -> SpecOfFunction:
        """Write the spec, and compare the graphs."""
        # Looking for layers loads Keras, which takes a second.
        layers = "keras" in self._target.path.read_text(encoding="utf-8", errors="replace")
        watch = CallRecorder(self._tf, is_users, layers=layers)
        _reseed()
        with watch:
            called = call_target(self._job.target, self._job.arguments)
        self.called = True
        self._reader = Recorder(self._tf, watch, is_users)
        recording = self._reader.read(called.dataset)
        self._seed = recording.seed
        original = GraphPair(self._tf, called.dataset, held_bytes(called.watch.made))
        tried = self._search(recording, original, held_bytes(called.watch.made))
        notes = tried.notes
        if called.step is not None:
            notes.add("step", "the step function returned with the dataset: name it in `step: {python: …}`", None)
        if watch.problem is not None:
            notes.add("the function", f"incompletely recorded ({watch.problem})", None)
        differing = tried.compared if isinstance(tried.compared, str) else None
        executed = [] if isinstance(tried.compared, str) else tried.compared[1]
        differences = [_difference_text(one) for one in executed[:_SHOWN]]
        renamed = renamed_files(original.written, tried.written, self._job.target)
        asides = [omission_text(aside, self._here) for aside in notes.asides]
        said = [
            *([f"Not verified against the graph of the function: {differing}."] if differing is not None else []),
            *(
                f"TensorFlow builds a different graph from this spec than from the function: {difference}."
                for difference in differences
            ),
            *([renamed] if renamed is not None else []),
            *asides,
        ]
        return SpecOfFunction(
            text=spec_text(tried.described, [*notes.found], said, self._job.target, self._here),
            unsaid=tuple(omission_text(one, self._here) for one in notes.found),
            stages=len(tried.described.data.get("stages", [])),
            equal=None if differing is not None else not executed,
            why=differing,
            differences=tuple(differences),
            warnings=(*(text for _, text in called.notes), *([renamed] if renamed is not None else []), *asides),
        )

    def _search(self, recording: Recording, original: GraphPair, in_memory: int) -> _ComparedSpec:
        """Try specs until one gives the same graph; a stage that differs stays in Python in the next one."""
        refused: dict[int, str] = {}
        denied: dict[int, str] = {}
        best: _ComparedSpec | None = None
        notes, why = Notes(), ""
        for _ in range(_TRIES):
            notes = Notes()
            try:
                described = self._describe(recording, refused, denied, notes)
            except NotExpressible as problem:
                if not notes.found:
                    notes.add("the pipeline", str(problem), None)
                return self._function_spec(notes, original, in_memory)
            try:
                dataset = self._build_spec(described)
            except (BuildError, ValidationError) as problem:
                address, why = _refused_stage(problem)
            else:
                best = self._compare_graphs(described, notes, dataset, original, in_memory)
                if isinstance(best.compared, str) or not any(best.compared):
                    return best
                address, why = _first_difference(best.compared)
            if address is None or address not in described.calls:
                break
            if address in described.chains and described.chains[address] not in refused:
                refused[described.chains[address]] = why
            elif described.calls[address] not in denied:
                denied[described.calls[address]] = why
            else:
                break
        if best is not None and not best.compared[1]:
            return best
        return self._fall_back_to_function(
            best, Notes([*notes.found, Omission("the pipeline", why)]), original, in_memory
        )

    def _compare_graphs(
        self, described: RecoveredSpec, notes: Notes, dataset: Any, original: GraphPair, in_memory: int
    ) -> _ComparedSpec:
        graphs = GraphPair(self._tf, dataset, in_memory)
        return _ComparedSpec(described, notes, compare(original, graphs), graphs.written)

    def _fall_back_to_function(
        self, best: _ComparedSpec | None, notes: Notes, original: GraphPair, in_memory: int
    ) -> _ComparedSpec:
        """Return the spec that calls the whole function, if its graph is equal and that of the best spec is not."""
        try:
            whole = self._function_spec(notes, original, in_memory)
        except UsageError:
            if best is None:
                raise
            return best
        return whole if best is None or whole.compared == ([], []) else best

    def _describe(
        self, recording: Recording, refused: dict[int, str], denied: dict[int, str], notes: Notes
    ) -> RecoveredSpec:
        saved: dict[int, str] | None = {} if self._job.arrays is not None else None
        folders = Folders(self._folder, self._here, saved, self._job.arrays or "")
        described = Describer(recording, folders, dict(refused), dict(denied), notes).describe(self._job.name)
        for number, name in (saved or {}).items():
            self._save(number, name)
        return described

    def _save(self, number: int, name: str) -> None:
        import numpy as np

        path = self._folder / name
        if path.exists() and path not in self._written and not self._job.force:
            msg = f"--save-arrays: {path} exists; use --force to overwrite it, or another name for --out"
            raise UsageError(msg)
        self._written.add(path)
        if self._reader is not None:
            np.save(path, self._reader.arrays[number], allow_pickle=False)

    def _build_spec(self, described: RecoveredSpec) -> Any:
        spec = Spec.model_validate(described.data)
        _reseed()
        context = BuildContext(self._folder)
        load_arrays(spec, context)
        return build(spec, context)

    def _function_spec(self, notes: Notes, original: GraphPair, in_memory: int) -> _ComparedSpec:
        """Build the spec that calls the user's function for everything."""
        if self._job.arguments:
            why = notes.found[-1].why if notes.found else "its stages"
            msg = (
                f"{self._job.target} cannot be written as a spec ({why}), and a spec cannot pass arguments to it: "
                "write a function without parameters that calls it"
            )
            raise UsageError(msg)
        folders = Folders(self._folder, self._here)
        reference = folders.reference(f"{self._target.path.resolve()}:{self._target.function}")
        data = {"version": 1, "name": self._job.name, "source": {"python": {"function": reference}}}
        if self._seed is not None:
            data["measure"] = {"seed": self._seed}
        described = RecoveredSpec(data)
        try:
            dataset = self._build_spec(described)
        except (BuildError, ValidationError) as problem:
            why = _refused_stage(problem)[1]
            msg = f"{self._job.target} cannot be written as a spec ({notes.found[-1].why}) nor called from one: {why}"
            raise UsageError(msg) from problem
        return self._compare_graphs(described, notes, dataset, original, in_memory)


def _reseed() -> None:
    """Reset the global generators for default seeds (Keras' loaders), so that function and spec get the same."""
    import numpy as np

    random.seed(0)
    np.random.seed(0)


def _first_difference(compared: tuple[list[Difference], list[Difference]]) -> tuple[str | None, str]:
    """Return the first difference; later ones may follow from it."""
    found = [*compared[0], *compared[1]]
    placed = ((find_address(one.node), one) for one in found if one.node is not None)
    address, one = next((pair for pair in placed if pair[0] is not None), (None, found[0]))
    return address, f"as a spec it gave another graph ({one.what})"


def _refused_stage(problem: BuildError | ValidationError) -> tuple[str | None, str]:
    """Return the stage that the build or the validation refused, and the reason."""
    if isinstance(problem, BuildError):
        return problem.address, f"as a spec it was refused ({essence(problem.message)})"
    error = problem.errors(include_url=False)[0]
    place = [str(part) for part in error["loc"]]
    address = ".".join(place[:2]) if place[:1] == ["stages"] else "source"
    return address, f"the spec language refuses it ({essence(str(error['msg']))})"


def _difference_text(difference: Difference) -> str:
    address = find_address(difference.node) if difference.node is not None else None
    return f"{address}: {difference.what}" if address is not None else difference.what


def _failure(error: BaseException, *, called: bool) -> DescribeFailure:
    if isinstance(error, UsageError):
        return DescribeFailure("usage", str(error))
    if isinstance(error, NoTensorFlowError):
        return DescribeFailure("internal", str(error))
    if called:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return DescribeFailure("internal", f"the spec could not be written: {first_line(error)} ({where})")
    frame = innermost_users_frame("".join(traceback.format_exception(error)))
    place_of_user = f"{as_typed(frame.file)}:{frame.line}: " if frame is not None else ""
    return DescribeFailure("pipeline", f"{place_of_user}{first_line(error)}")


def main() -> int:
    """Answer one job."""
    job = decode_record(DescribeJob, json.loads(sys.stdin.readline()))
    die_with_parent(job.parent_pid)
    settle_temporary_folder()
    write_fd, process = int(sys.argv[1]), os.getpid()
    describing: Describing | None = None
    try:
        look_like_a_script(str(parse_target(job.target).path))
        import_early(job.target)
        describing = Describing(job)
        answer = DescribeAnswer(spec=describing.run())
    except BaseException as error:
        # BaseException: sys.exit() in the user's code must be reported with its place as well.
        answer = DescribeAnswer(failure=_failure(error, called=describing is not None and describing.called))
    if os.getpid() != process:
        # A copy that the user's code forked; one answer is enough.
        os._exit(0)
    with os.fdopen(write_fd, "w", encoding="utf-8") as channel:
        channel.write(encode_record(answer))
    sys.stdout.flush()
    sys.stderr.flush()
    # Do not wait for threads of TensorFlow or the user.
    os._exit(0)
