"""Worker that calls a user's function, with its own text or with an edited one, and returns the graph of its dataset.

Started with the argument WRITE_FD and the job on stdin; one JSON object is the answer.
"""

from __future__ import annotations

import importlib.machinery
import json
from pathlib import Path
from typing import Any, NoReturn

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import builder
from pipeprof.pipelines.edits.edits import known_edits
from pipeprof.pipelines.from_python.graphs import GraphPair
from pipeprof.pipelines.graph.edit.apply import apply_steps
from pipeprof.pipelines.graph.observe.in_memory_sources import held_bytes
from pipeprof.pipelines.graph.observe.reading import read_executed, read_written
from pipeprof.profiles.protocol.source import GraphAnswer, GraphJob, packed
from pipeprof.profiles.worker.error_text import first_line
from pipeprof.profiles.worker.load_function import call_target, import_early, look_like_a_script
from pipeprof.profiles.worker.search_spec import reseed
from pipeprof.profiles.worker.source.one_answer import answer_job
from pipeprof.profiles.worker.versions import import_tensorflow


def read_instead(path: str, text: str) -> None:
    """Import a file with another text in this process; the file does not change."""
    original = importlib.machinery.SourceFileLoader.get_code
    wanted = Path(path).resolve()

    def get_code(self: Any, fullname: str) -> Any:
        file = self.get_filename(fullname)
        if Path(file).resolve() != wanted:
            return original(self, fullname)
        return self.source_to_code(text.encode(), file)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]  # of this process alone


def _answer(job: GraphJob) -> GraphAnswer:
    look_like_a_script(job.path)
    if job.text is not None:
        read_instead(job.path, job.text)
    import_early(job.target)
    tf = import_tensorflow()
    reseed()
    called = call_target(job.target, job.arguments)
    dataset, in_memory = called.dataset, held_bytes(called.watch.made)
    if job.steps:
        steps = [known_edits(map(json.loads, step)) for step in job.steps]
        building = builder(BuildContext(Path()))
        dataset = apply_steps(dataset, steps, building=building, in_memory=in_memory)
    graph = GraphPair(tf, dataset, in_memory)
    if isinstance(graph.executed, str):
        return GraphAnswer(failure=graph.executed)
    stages = None
    if job.stages:
        written = read_written(dataset, in_memory=in_memory)
        stages = packed([written, read_executed(dataset, in_memory=in_memory, written=written)])
    return GraphAnswer(packed(graph.executed), graph.element, stages=stages, step=called.step is not None)


def main() -> NoReturn:
    """Answer one job."""
    answer_job(GraphJob, _answer, lambda error: GraphAnswer(failure=first_line(error)))
