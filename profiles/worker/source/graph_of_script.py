"""Worker that runs a training script, or an edited text of it, until its main dataset is there, and returns its graph.

Started with the argument WRITE_FD and the job on stdin; one JSON object is the answer. Nothing of the script runs after
that, and it does not train.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from pipeprof.profiles.protocol.channel import WorkerEnd
from pipeprof.profiles.protocol.source import GraphAnswer, ScriptGraphJob
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.error_text import first_line
from pipeprof.profiles.worker.load_function import look_like_a_script
from pipeprof.profiles.worker.source.graph_of_source import graph_after, read_instead, reseed
from pipeprof.profiles.worker.source.one_answer import answer_job
from pipeprof.profiles.worker.taken_dataset.main_dataset import MainDatasetJob

if TYPE_CHECKING:
    from pipeprof.profiles.worker.script.consumers import Place, Role


class _Graph(MainDatasetJob):
    """The main dataset's graph."""

    def __init__(self, asked: ScriptGraphJob, finish: Callable[[GraphAnswer], NoReturn]) -> None:
        WorkerEnd.in_worker = True
        super().__init__(asked.job, WorkerEnd.open(*(os.open(os.devnull, how) for how in (os.O_RDONLY, os.O_WRONLY))))
        self._changes, self._answer_with = asked.steps, finish

    def _imported(self, library: str) -> None:
        super()._imported(library)
        if library == "tensorflow":
            reseed()

    def _use(self, dataset: Any) -> NoReturn:
        self._end_watch()
        self._hooks.uninstall()
        try:
            assert self._watch is not None  # noqa: S101 - for the type checker; set when TensorFlow is imported
            found = graph_after(sys.modules["tensorflow"], dataset, self._watch, self._changes)
        except BaseException as error:  # the script may catch whatever is raised into it
            found = GraphAnswer(failure=first_line(error))
        self._answer_with(found)

    def _give(self, dataset: Any, place: Place, role: Role) -> Any:
        if role == "training" and not self._is_main(place, role):
            where = f"{as_typed(place.file)}:{place.line}" if place.file is not None else "the script"
            self._refuse(f"{where} trains with another dataset first")
        return super()._give(dataset, place, role)

    def _refuse(self, reason: str) -> NoReturn:
        self._answer_with(GraphAnswer(failure=reason))


def _answer(asked: ScriptGraphJob, finish: Callable[[GraphAnswer], NoReturn]) -> GraphAnswer:
    file = asked.job.user_files[0]
    look_like_a_script(file)
    if asked.text is not None:
        read_instead(file, asked.text)
    _Graph(asked, finish).run()
    return GraphAnswer(failure="the script ended before its dataset was there")


def main() -> NoReturn:
    """Answer one job."""
    answer_job(ScriptGraphJob, _answer, lambda error: GraphAnswer(failure=first_line(error)))
