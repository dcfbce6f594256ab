"""Worker that calls a user's function, with its own text or with an edited one, and returns the graph of its dataset.

Started with the argument WRITE_FD and the job on stdin; one JSON object is the answer.
"""

from __future__ import annotations

import importlib.machinery
import io
import json
import linecache
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import builder
from pipeprof.pipelines.changes.in_calls import apply_changes
from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.edits.edits import known_edits
from pipeprof.pipelines.graph.observe.in_memory_sources import held_bytes
from pipeprof.profiles.protocol.source import GraphAnswer, GraphJob, packed
from pipeprof.profiles.worker.error_text import first_line
from pipeprof.profiles.worker.load_function import call_target, import_early, look_like_a_script
from pipeprof.profiles.worker.source.one_answer import answer_job
from pipeprof.profiles.worker.source.plain_graphs import GraphPair
from pipeprof.profiles.worker.versions import import_tensorflow


def read_instead(path: str, text: str) -> None:
    """Import or run a file with another text in this process; the file does not change."""
    original, open_code = importlib.machinery.SourceFileLoader.get_code, io.open_code
    wanted = Path(path).resolve()
    # AutoGraph reads the text of functions, by the lines of the code that runs.
    for name in {path, str(wanted), str(Path(path).absolute())}:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)

    def get_code(self: Any, fullname: str) -> Any:
        file = self.get_filename(fullname)
        if Path(file).resolve() != wanted:
            return original(self, fullname)
        return self.source_to_code(text.encode(), file)

    def code_of(name: str) -> Any:
        return io.BytesIO(text.encode()) if Path(name).resolve() == wanted else open_code(name)

    # Of this process alone.
    io.open_code = code_of  # type: ignore[assignment]
    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]


def reseed() -> None:
    """Reset the global generators for default seeds (Keras' loaders), so that both graphs get the same."""
    import numpy as np

    random.seed(0)
    np.random.seed(0)


def _answer(job: GraphJob, _: object) -> GraphAnswer:
    look_like_a_script(job.path)
    if job.text is not None:
        read_instead(job.path, job.text)
    import_early(job.target)
    tf = import_tensorflow()
    reseed()
    called = call_target(job.target, job.arguments)
    return graph_after(tf, called.dataset, called.watch, job.steps)


def graph_after(tf: Any, dataset: Any, watch: CallWatch, steps: Sequence[Sequence[str]] | None) -> GraphAnswer:
    """Read the graph that TensorFlow runs for a dataset with edits.

    Args:
        watch: What has seen it being made.
        steps: The edits, step by step, each as JSON; None for none.
    """
    in_memory = held_bytes(watch.made)
    if steps:
        known = [known_edits(map(json.loads, step)) for step in steps]
        with watch:
            dataset = apply_changes(dataset, known, watch.calls, builder(BuildContext(Path())))
    graph = GraphPair(tf, dataset, in_memory)
    if isinstance(graph.executed, str):
        return GraphAnswer(failure=graph.executed)
    return GraphAnswer(packed(graph.executed), graph.element)


def main() -> NoReturn:
    """Answer one job."""
    answer_job(GraphJob, _answer, lambda error: GraphAnswer(failure=first_line(error)))
