"""The main dataset of a training script without its training: measured, or in turns, as that of a function.

The script runs until it is about to iterate the dataset. Everything else happens there, in its main thread, with the
step of its first run replayed; then the process ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.errors import PipelineFailedError
from pipeprof.profiles.host import procfs
from pipeprof.profiles.worker.ended import end_at_once
from pipeprof.profiles.worker.error_report import describe_error
from pipeprof.profiles.worker.sample import JobRun
from pipeprof.profiles.worker.script.script_job import ScriptJob
from pipeprof.profiles.worker.turns.turn_run import TurnRun
from pipeprof.profiles.worker.writes.writes import Loss

if TYPE_CHECKING:
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.protocol.options import Options
    from pipeprof.profiles.worker.script.consumers import Place, Role


class TakenDataset(ScriptJob):
    """A job on the main dataset of a script that does not train."""

    _runtime: int | None = None

    def run(self) -> None:
        """Run the script until the harness wants an end."""
        self._runtime = procfs.rss_bytes("self")
        try:
            left = self._run_script()
        except SystemExit as ending:
            if ending.code not in (None, 0) or self._channel.is_copy:
                raise
            left = {}
        if not self._channel.is_copy:
            self._refuse(self._not_again())
        del left

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

    def _give(self, dataset: Any, place: Place, role: Role) -> Any:
        if self._is_main(place, role):
            with self._not_the_scripts():
                self._use(dataset)
        return dataset

    def _begin_build(self) -> None:
        self._runtime = procfs.rss_bytes("self")
        super()._begin_build()

    def _pin_seeds(self) -> None:
        """A script sets its own seeds."""

    def _refuse_write(self, loss: Loss) -> None:
        self._refuse(str(loss))

    def _exiting(self, status: int) -> None:
        del status
        self._refuse(self._not_again())

    def _refuse(self, reason: str) -> NoReturn:
        """End with a reason that says nothing against a change."""
        self._channel.send(refused=reason)
        self._end()

    def _end(self) -> NoReturn:
        self._channel.send(done=True)
        end_at_once()


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
