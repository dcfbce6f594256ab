"""Worker of ``init --from file.py:function``: calls the function and writes the equivalent spec.

Started with the argument WRITE_FD and the job on stdin; one JSON object is the answer.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from pipeprof.pipelines.from_python.call_recorder import CallRecorder
from pipeprof.pipelines.from_python.compare import renamed_files
from pipeprof.pipelines.from_python.graphs import GraphPair
from pipeprof.pipelines.from_python.naming import NoReference, arguments_text
from pipeprof.pipelines.from_python.reading import Recorder
from pipeprof.pipelines.from_python.text import omission_text, place_of, spec_text
from pipeprof.pipelines.graph.observe.in_memory_sources import held_bytes
from pipeprof.pipelines.target.annotations import read_value
from pipeprof.pipelines.target.arguments import bind, signature_of
from pipeprof.pipelines.target.target import load_function, parse_target
from pipeprof.pipelines.target.user_files import is_users
from pipeprof.profiles.protocol.describe import DescribeAnswer, DescribeJob, SpecOfFunction
from pipeprof.profiles.worker.load_function import call_target, import_early, look_like_a_script
from pipeprof.profiles.worker.search_spec import BuiltPipeline, SpecSearch, difference_text, reseed
from pipeprof.profiles.worker.source.one_answer import answer_job, failure_of
from pipeprof.profiles.worker.versions import import_tensorflow

_SHOWN: Final = 5


class Describing:
    """Conversion of one function to a spec."""

    def __init__(self, job: DescribeJob) -> None:
        self._tf = import_tensorflow()
        self._job = job
        self._folder = Path(job.folder)
        self._here = Path.cwd()
        self._target = parse_target(job.target)
        self.called = False

    def run(self) -> SpecOfFunction:
        """Write the spec, and compare the graphs."""
        # Looking for layers loads Keras, which takes a second.
        layers = "keras" in self._target.path.read_text(encoding="utf-8", errors="replace")
        watch = CallRecorder(self._tf, is_users, layers=layers)
        reseed()
        with watch.functions_in_place():
            return self._described(watch)

    def _described(self, watch: CallRecorder) -> SpecOfFunction:
        called = call_target(self._job.target, self._job.arguments, watch.listen)
        self.called = True
        reader = Recorder(self._tf, watch, is_users)
        recording = reader.read(called.dataset)
        in_memory = held_bytes(called.watch.made)
        original = GraphPair(self._tf, called.dataset, in_memory)
        target, why_not = self._reference()
        built = BuiltPipeline(recording, original, in_memory, reader.arrays)
        tried = SpecSearch(self._tf, self._job, built, target, why_not).run()
        notes = tried.notes
        if called.step is not None:
            notes.add("step", "the step function returned with the dataset: name it in `step: {python: …}`", None)
        if watch.problem is not None:
            notes.add("the function", f"incompletely recorded ({watch.problem})", None)
        differing = tried.compared if isinstance(tried.compared, str) else None
        executed = tried.compared[1] if isinstance(tried.compared, tuple) else []
        differences = [difference_text(difference) for difference in executed[:_SHOWN]]
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
        part = tried.described.python
        place = f" ({place_of(part.where, self._here)})" if part is not None and part.where is not None else ""
        return SpecOfFunction(
            text=spec_text(
                tried.described, [*notes.found], said, self._job.target, self._here, schema=self._job.schema
            ),
            unsaid=tuple(omission_text(omission, self._here) for omission in notes.found),
            stages=len(tried.described.data.get("stages", [])),
            python=f"{part.last}{place}" if part is not None else None,
            equal=None if differing is not None else not executed,
            why=differing,
            differences=tuple(differences),
            warnings=(*(text for _, text in called.notes), *([renamed] if renamed is not None else []), *asides),
        )

    def _reference(self) -> tuple[str | None, str]:
        """Return the reference of the function with its arguments, or None and the reason."""
        target = replace(self._target, arguments=tuple((name, value) for name, value in self._job.arguments))
        function = load_function(target)
        signature = signature_of(function)
        if signature is None:
            values = {name: read_value(text, None) for name, text in target.arguments}
        else:
            values = bind(target, signature)
            contexts = [
                parameter for parameter in signature.parameters if parameter.required and parameter.is_input_context
            ]
            if contexts:
                return None, f"it takes {contexts[0]}"
        try:
            text = arguments_text((), values, partial=True) if values else ""
        except NoReference as problem:
            return None, str(problem)
        return f"{self._target.path.resolve()}:{self._target.function}{text}", ""


def main() -> NoReturn:
    """Answer one job."""
    describing: Describing | None = None

    def answer(job: DescribeJob, _: object) -> DescribeAnswer:
        nonlocal describing
        look_like_a_script(str(parse_target(job.target).path))
        import_early(job.target)
        describing = Describing(job)
        return DescribeAnswer(spec=describing.run())

    def failed(error: BaseException) -> DescribeAnswer:
        called = describing is not None and describing.called
        return DescribeAnswer(failure=failure_of(error, "the spec could not be written" if called else None))

    answer_job(DescribeJob, answer, failed)
