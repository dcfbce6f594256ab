"""Worker of ``check file.py:function --hosts N``: calls the function, and returns the stages and files of its dataset.

Started with the argument WRITE_FD and the job on stdin; one JSON object is the answer.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Final, NoReturn

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.graph.observe.in_memory_sources import held_bytes
from pipeprof.pipelines.graph.observe.reading import read_written, readable, serialised
from pipeprof.pipelines.graph.read.file_names import file_names, reader_arguments
from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.paths import has_scheme
from pipeprof.profiles.protocol.job import HostOf
from pipeprof.profiles.protocol.source import HostGraph, HostsAnswer, HostsJob, packed
from pipeprof.profiles.worker.load_function import Called, call_target, import_early, look_like_a_script
from pipeprof.profiles.worker.source.one_answer import answer_job, failure_of
from pipeprof.profiles.worker.versions import import_tensorflow

MOST_CALLED: Final = 32
"""Hosts for which a function is called: each call takes as long as the user's code does."""


class Calling:
    """Calls of one function for the hosts of a job.

    Attributes:
        reading: Whether the last call has returned: what fails now is not the function's fault.
    """

    def __init__(self, job: HostsJob) -> None:
        self._tf = import_tensorflow()
        self._job = job
        self.reading = False

    def run(self) -> HostsAnswer:
        """Call it for host 0, and for the others where its graph does not say how it divides the data.

        Raises:
            PipeprofError: The graph of a dataset could not be read.
        """
        first, graph = self._call(0)
        graphs = [self._host(first, graph)]
        if first.took_context and not any(_divides(node) for node in graph["nodes"]):
            graphs += [self._host(*self._call(index)) for index in range(1, min(self._job.hosts, MOST_CALLED))]
        return HostsAnswer(
            graphs,
            first.dataset.options().experimental_distribute.auto_shard_policy.name,
            context=first.took_context,
            notes=list(first.notes),
        )

    def _call(self, index: int) -> tuple[Called, GraphDict]:
        self.reading = False
        job = self._job
        called = call_target(job.target, job.arguments, host=HostOf(index, job.hosts))
        self.reading = True
        dataset, left = self._readable(called)
        written = read_written(dataset, in_memory=left, made=called.watch.made)
        if written["root"] is None:
            raise PipeprofError(f"the stages of {job.target} could not be read: {written['reason']}")
        if dataset is not called.dataset:
            # What stands for an array has one row.
            called.watch.lines.set_sources(dataset, written, written)
        return called, written

    def _readable(self, called: Called) -> tuple[Any, int]:
        """The dataset, without its arrays where they are large."""
        return readable(called.dataset, in_memory=held_bytes(called.watch.made), room=None, watch=called.watch)

    def _host(self, called: Called, written: GraphDict) -> HostGraph:
        dataset, left = self._readable(called)
        graph = serialised(dataset, in_memory=left)
        # A dataset that was made again without its arrays may lack names as well.
        whole = dataset is called.dataset
        return HostGraph(
            packed(written),
            packed(called.watch.lines.places(dataset, written)),
            file_names(graph, self._texts, _is_file) if whole else {},
            reader_arguments(graph, written, self._inputs),
        )

    def _texts(self, tensor: Any) -> list[str]:
        with self._tf.device("CPU:0"):
            read = self._tf.io.parse_tensor(tensor.SerializeToString(), self._tf.string)
            texts = self._tf.reshape(read, [-1]).numpy().tolist()
        return [text.decode("utf-8", "replace") for text in texts]

    def _inputs(self, op: str) -> list[str]:
        return list(inspect.signature(getattr(self._tf.raw_ops, op)).parameters)


def _divides(node: NodeDict) -> bool:
    """Whether a dataset gives every so many of its elements."""
    return node["owner"] is None and traits(node["op"]).cardinality == "share"


def _is_file(text: str) -> bool:
    try:
        return has_scheme(text) or Path(text).is_file()
    except (OSError, ValueError):
        return False


def main() -> NoReturn:
    """Answer one job."""
    calling: Calling | None = None

    def answer(job: HostsJob, _: object) -> HostsAnswer:
        nonlocal calling
        look_like_a_script(job.path)
        import_early(job.target)
        calling = Calling(job)
        return calling.run()

    def failed(error: BaseException) -> HostsAnswer:
        reading = calling is not None and calling.reading
        return HostsAnswer(failure=failure_of(error, "its stages could not be read" if reading else None))

    answer_job(HostsJob, answer, failed)
