"""Jobs about the main dataset of a training script, which the script does not get to iterate."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.host import procfs
from pipeprof.profiles.worker.ended import end_at_once
from pipeprof.profiles.worker.script.hooks import Hooks
from pipeprof.profiles.worker.script.observer import ScriptObserver
from pipeprof.profiles.worker.script.script_feed import read_model
from pipeprof.profiles.worker.script.script_job import ScriptJob
from pipeprof.profiles.worker.writes.writes import Loss

if TYPE_CHECKING:
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.protocol.options import Options
    from pipeprof.profiles.worker.script.consumers import Consumer, Pass, Place, Role


class MainDatasetJob(ScriptJob):
    """A job of kind ``script`` that gets the main dataset where the script iterates it."""

    def __init__(self, job: Options, channel: WorkerEnd) -> None:
        super().__init__(job, channel)
        self._observer = ScriptObserver(
            self._iterator_made,
            self._attend,
            self._end_watch,
            read_model,
            saving=self._writes.saving,
            exiting=self._exiting,
            give=self._give,
        )
        self._hooks = Hooks(self._observer, time.perf_counter_ns)
        self._runtime: int | None = None

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

    @abstractmethod
    def _use(self, dataset: Any) -> NoReturn:
        """Do the job with the main dataset, and end the process."""

    def _give(self, dataset: Any, place: Place, role: Role) -> Any:
        if self._is_main(place, role):
            with self._not_the_scripts():
                self._use(dataset)
        return dataset

    def _iterator_made(self, consumer: Consumer) -> None:
        """Look at an iterator that was made."""

    def _attend(self, one: Pass) -> None:
        """Look at a batch that is about to be taken."""

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
