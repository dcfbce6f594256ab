"""The main dataset of a training script without its training: measured, or in turns, as that of a function.

The script runs until it is about to iterate the dataset. Everything else happens there, in its main thread, with the
step of its first run replayed; then the process ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.errors import PipelineFailedError
from pipeprof.profiles.worker.error_report import describe_error
from pipeprof.profiles.worker.sample import JobRun
from pipeprof.profiles.worker.taken_dataset.main_dataset import MainDatasetJob
from pipeprof.profiles.worker.turns.turn_run import TurnRun

if TYPE_CHECKING:
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.protocol.options import Options


class TakenDataset(MainDatasetJob):
    """A job on the main dataset of a script that does not train."""

    def _use(self, dataset: Any) -> NoReturn:
        """Do the job, and end the process: nothing of the script runs afterwards, its handlers of errors neither."""
        self._end_watch()
        self._hooks.uninstall()
        try:
            self.dataset = dataset
            self._know_sources()
            self._begin()
            self._run_dataset()
        except BaseException as error:
            self._channel.send(error=describe_error(error, self))
        self._end()

    def _begin(self) -> None:
        """Tell what comes before the dataset."""


class TakenTurns(TakenDataset, TurnRun):
    """A job in turns."""

    def _begin(self) -> None:
        self._keep_peak()
        self._began = time.perf_counter()


class TakenRun(TakenDataset, JobRun):
    """A job that is one measurement."""

    def run(self) -> None:
        """Run the script until its dataset is there."""
        self._enter("import")
        super().run()

    def _begin(self) -> None:
        self._leave()
        self._floor = self._measure_floor()
        self._send_libraries()
        self._memory.read("build")

    def _refuse(self, reason: str) -> NoReturn:
        self._channel.send(error=describe_error(PipelineFailedError(reason), self))
        self._end()


def taken(job: Options, channel: WorkerEnd) -> TakenDataset:
    """Return the run of a job."""
    return TakenTurns(job, channel) if job.turns is not None else TakenRun(job, channel)
