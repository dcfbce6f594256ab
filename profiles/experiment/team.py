"""Workers that take turns: started together, stopped between their turns, ended together."""

from __future__ import annotations

import contextlib
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from pipeprof.profiles.harness.event_loop import SUSPENDED_SECONDS
from pipeprof.profiles.harness.failure import describe_end
from pipeprof.profiles.harness.fork_server import Copies
from pipeprof.profiles.harness.process import WorkerProcess
from pipeprof.profiles.host import limits, procfs
from pipeprof.profiles.host.limits import Cgroup, CgroupWatch, machine_memory
from pipeprof.profiles.host.run_family import RunFamily
from pipeprof.profiles.protocol.messages import SERVICE_FAILED, Graphs, Sample
from pipeprof.profiles.protocol.turns import Built, TurnEnded, TurnRequest

if TYPE_CHECKING:
    from typing_extensions import Self

    from pipeprof.profiles.harness.event_loop import Signals
    from pipeprof.profiles.protocol.options import Options

LOOK_SECONDS = 0.25
"""Between two looks at the memory of all workers."""
SERVER_SECONDS = 60.0
"""For TensorFlow to be imported, in one process; where it takes longer, each worker imports it."""
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals that no fault of a program raises."""
_Answer = TypeVar("_Answer", Built, Graphs, TurnEnded)
_Read: TypeAlias = "Callable[[Sample], _Answer | None]"
"""What is waited for, in a sample."""


class MemberFailedError(Exception):
    """A worker ended, raised or took too long.

    It is `refused` where the edit is not possible on this pipeline, ended from `outside`, or `crowded` where all
    workers together took more memory than there is: none of these says anything against the edit, or against one worker
    alone.
    """

    def __init__(
        self, name: str, reason: str, *, refused: bool = False, outside: bool = False, crowded: bool = False
    ) -> None:
        super().__init__(reason)
        self.name = name
        self.reason = reason
        self.refused = refused
        self.outside = outside
        self.crowded = crowded


class InterruptedVerificationError(Exception):
    """The user wants an end; `exit_code` is the command's, where not this one's signals have to say it."""

    def __init__(self, exit_code: int | None = None) -> None:
        super().__init__()
        self.exit_code = exit_code


class OutOfTimeError(Exception):
    """The time of the whole command is over."""


@dataclass
class _Member:
    name: str
    worker: WorkerProcess
    family: RunFamily
    said: Sample = field(default_factory=Sample)
    open: bool = True

    def pump(self) -> None:
        """Take what it has said and printed."""
        self.worker.read_output()
        messages = self.worker.read_messages() if self.open else []
        if messages is None:
            self.open = False
        else:
            for changes in messages:
                vars(self.said).update(changes)


def _built(said: Sample) -> Built | None:
    return said.built


class Team:
    """Workers by name; all but the one whose turn it is are stopped.

    Args:
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never. What waits
            for a worker then raises `OutOfTimeError`.
        copies: Starts the workers; ends with the team.

    Attributes:
        measured: Seconds of all turns, without those in which TensorFlow freed iterators that had ended: these may be
            longer than the epochs, and nothing is measured in them.
    """

    def __init__(
        self, signals: Signals, limit_bytes: int | None, *, end_at: float | None = None, copies: Copies | None = None
    ) -> None:
        self._signals = signals
        self._limit = limit_bytes
        self._clock = time.monotonic
        self._end_at = end_at
        self._members: dict[str, _Member] = {}
        self._oom = CgroupWatch(Cgroup())
        self._copies = copies or Copies()
        self.measured = 0.0

    def start(self, jobs: Mapping[str, Options], *, seconds: float) -> Iterator[tuple[str, Built | MemberFailedError]]:
        """Start workers; yield each once it has built its pipeline, and is stopped, or has failed, and is ended.

        They come as they get ready, `seconds` at most: one that waits for the others must not fill its buffers.
        """
        self._launch(jobs)
        left, until = set(jobs), self._clock() + seconds
        while left:
            ready = {name for name in left if self._has_answer(self._members[name], _built)}
            if not ready and self._clock() < until:
                until += self._pump(left)
                continue
            for name in ready or tuple(left):
                left.discard(name)
                try:
                    outcome: Built | MemberFailedError = self._await(name, _built, seconds)
                except MemberFailedError as error:
                    outcome = error
                    self.end(name)
                yield name, outcome

    def _launch(self, jobs: Mapping[str, Options]) -> None:
        start = partial(self._copies.start, self._is_readable)
        for name, job in jobs.items():
            family = RunFamily()
            try:
                self._members[name] = _Member(name, WorkerProcess(job, family, start), family)
            except BaseException:
                family.__exit__()
                raise

    def _is_readable(self, descriptor: int) -> bool:
        """Wait for something to read; return whether it has come.

        Raises InterruptedVerificationError or OutOfTimeError, as the user or the time wants an end.
        """
        until = self._clock() + SERVER_SECONDS
        while self._clock() < until:
            readable, _, _ = select.select([descriptor, self._signals.read_fd], [], [], LOOK_SECONDS)
            if self._signals.read_fd in readable:
                self._signals.rest()
            self._go_on()
            if descriptor in readable:
                return True
        return False

    def _go_on(self) -> None:
        if self._signals.asked is not None:
            raise InterruptedVerificationError
        if self._end_at is not None and self._clock() >= self._end_at:
            raise OutOfTimeError

    def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
        """Give a worker a turn, and stop it again; raises MemberFailedError where it did not come to its end."""
        began, freeing = time.monotonic(), 0.0
        try:
            ended = self._ask(name, request, lambda said: said.turn, seconds)
            freeing = ended.freeing_seconds
        finally:
            self.measured += time.monotonic() - began - freeing
        return ended

    def stages(self, name: str, *, seconds: float) -> Graphs:
        """Ask a worker for its graphs, with the model as it was in its blocks, and stop it again.

        Raises MemberFailedError where it gave none.
        """
        return self._ask(name, TurnRequest("stages"), lambda said: said.graphs, seconds)

    def _ask(self, name: str, request: TurnRequest, read: _Read[_Answer], seconds: float) -> _Answer:
        worker = self._members[name].worker
        worker.send(request)
        worker.resume()
        return self._await(name, read, seconds)

    def end(self, *names: str) -> None:
        """End workers; all without names."""
        for name in names or tuple(self._members):
            member = self._members.pop(name, None)
            if member is not None:
                member.worker.end()
                member.worker.close()
                member.family.__exit__()

    @contextlib.contextmanager
    def closing(self) -> Iterator[Self]:
        """End all workers with the body, whatever ends it."""
        try:
            yield self
        finally:
            self.end()
            self._copies.close()

    def bytes_used(self) -> int:
        """Resident memory of all workers."""
        return sum(procfs.rss_bytes(member.worker.pid) or 0 for member in self._members.values())

    def _await(self, name: str, read: _Read[_Answer], seconds: float) -> _Answer:
        member, until = self._members[name], self._clock() + seconds
        while not self._has_answer(member, read):
            if self._clock() >= until:
                raise MemberFailedError(name, f"took longer than {seconds:.0f} s")
            until += self._pump({name})
        said, member.said = member.said, Sample()
        if said.error is not None:
            first, *_ = said.error.message.strip().splitlines() or ["raised an error"]
            if said.error.code == SERVICE_FAILED:
                raise MemberFailedError(name, first, outside=True)
            raise MemberFailedError(name, f"raised: {first}")
        if said.refused is not None:
            raise MemberFailedError(name, said.refused, refused=True)
        answer = read(said)
        if answer is None:
            raise self._ended(member)
        member.worker.pause()
        return answer

    def _ended(self, member: _Member) -> MemberFailedError:
        returncode, oom = member.worker.returncode, self._oom.report()
        reason = describe_end(returncode, member.worker.output.text(), oom)
        if returncode == -signal.SIGKILL and oom.killed:
            return MemberFailedError(member.name, reason, crowded=len(self._members) > 1)
        outside = returncode is not None and -returncode in _FROM_OUTSIDE
        return MemberFailedError(member.name, reason, outside=outside)

    def _has_answer(self, member: _Member, read: _Read[_Answer]) -> bool:
        """Whether a worker has said what is waited for, or can say nothing any more."""
        said = member.said
        return not member.open or any(one is not None for one in (read(said), said.error, said.refused))

    def _pump(self, names: set[str]) -> float:
        """Wait for some of the workers to say something, and look at the memory of all.

        Returns the seconds for which this process was stopped meanwhile, by Ctrl-Z or with the whole machine: they do
        not count for a worker.
        """
        members = [self._members[name] for name in names if self._members[name].open]
        pipes = [number for member in members for number in (member.worker.messages, member.worker.printed)]
        due = self._clock() + LOOK_SECONDS
        readable, _, _ = select.select([*pipes, self._signals.read_fd], [], [], LOOK_SECONDS)
        late = self._clock() - due
        if self._signals.read_fd in readable:
            self._signals.rest()
        self._go_on()
        for member in members:
            member.pump()
            if member.worker.returncode is not None:
                member.pump()
                member.open = False
        if self._limit is not None and (used := self.bytes_used()) > self._limit:
            name = next(iter(names))
            crowded = len(self._members) > 1
            took = "all pipelines together took" if crowded else "it took"
            reason = f"reached the memory limit: {took} {used / 2**20:,.0f} MiB"
            raise MemberFailedError(name, reason, crowded=crowded)
        return late if late > SUSPENDED_SECONDS else 0.0


def memory_for(wanted: int | None) -> int | None:
    """Bytes that all processes may use together: what the user allows, else all that there is."""
    found = limits.memory_limit(wanted, Cgroup(), machine_memory())
    return found.bytes if found is not None else None
