"""Control of one sample in this process: memory and time are read from inside, and nothing is started or ended."""

from __future__ import annotations

import os
import time
from dataclasses import replace

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.harness.event_loop import Ended, Reason
from pipeprof.profiles.harness.failure import Circumstances, Failure, diagnose
from pipeprof.profiles.harness.harness import Run
from pipeprof.profiles.harness.outside import Outside
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.received import Observed
from pipeprof.profiles.host.cgroup import CgroupWatch
from pipeprof.profiles.host.contention import ContentionProbe
from pipeprof.profiles.host.processes import FamilyReader
from pipeprof.profiles.host.sampler import Sampler, SamplerThread
from pipeprof.profiles.protocol.channel import Changes
from pipeprof.profiles.protocol.options import Options

SAMPLE_SECONDS = 0.5
"""Between two samples: one takes 0.3 ms of a core, with Python's lock."""
SAVE_SECONDS = 10.0
"""Between two saves of what was measured so far, in case that a signal kills the process."""
MOST_SAVING = 0.001
"""Share of the time that may go into them."""
FOREVER_SECONDS = 1e9
"""Length of a measurement that its surroundings end. With a length, looks that take long become rare."""


class LocalRun(Run):
    """State of a measurement of this process."""

    def __init__(self, options: Options, writer: ProfileWriter) -> None:
        super().__init__(options, writer, Silent(), time.monotonic())
        self._observed = Observed()
        pid = os.getpid()
        # What this process does is the training: nothing of it is pipeprof's alone.
        self._oom = CgroupWatch(self._cgroup)
        self._sampler = Sampler(FamilyReader(pid), interval=SAMPLE_SECONDS)
        self._thread = SamplerThread(self._sampler)
        probe = ContentionProbe(pid, self._cgroup, own_cpu=lambda: 0.0)
        self._outside = Outside(self._facts, pid, probe, lambda: self._thread.cpu_seconds)
        self._failure: Failure | None = None
        self._save_at = time.monotonic() + SAVE_SECONDS

    def job(self) -> Options:
        """Return the job for the hooks' side."""
        return replace(self._options, memory_limit=None, seconds=FOREVER_SECONDS)

    def begin(self) -> None:
        """Start to sample memory."""
        self._thread.start()

    def take(self, changes: Changes) -> None:
        """Take what has changed on the hooks' side."""
        self._observed.take(changes)
        self._follow_phases(self._sampler)
        began = time.monotonic()
        if self._observed.measured is not None and began >= self._save_at:
            self._save(self._sampler)
            now = time.monotonic()
            self._save_at = now + max(SAVE_SECONDS, (now - began) / MOST_SAVING)

    def fail(self, reason: Reason) -> None:
        """Diagnose an end before its time, with the phase in which it came."""
        around = Circumstances(self._options, self._sampler, self._limit, self._oom.report())
        self._failure = self._failure or diagnose(Ended(reason, 0), self._observed, around)

    def discard(self) -> None:
        """Stop to sample; nothing is written."""
        self._thread.stop()

    def finish(self) -> Profile:
        """Stop to sample; build the profile and write it."""
        self._thread.stop()
        self.fail("exit")
        failure = self._failure
        return self._finish(self._sampler, failure.problem if failure else None, failure.exit_code if failure else 0)
