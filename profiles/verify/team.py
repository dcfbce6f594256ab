"""Workers that take turns: started together, stopped between their turns, ended together."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from pipeprof.profiles.harness.process import WorkerProcess
from pipeprof.profiles.host import procfs
from pipeprof.profiles.host.run_family import RunFamily
from pipeprof.profiles.protocol.messages import Raised
from pipeprof.profiles.protocol.turn_messages import Built, EditRefused, TurnEnded
from pipeprof.profiles.protocol.turns import TurnRequest

if TYPE_CHECKING:
    from typing_extensions import Self

    from pipeprof.profiles.harness.event_loop import Signals
    from pipeprof.profiles.protocol.job import Job
    from pipeprof.profiles.protocol.messages import WorkerMessage

LOOK_SECONDS = 0.25
"""Between two looks at the memory of all workers."""
_Message = TypeVar("_Message", "Built", "TurnEnded")


class MemberFailedError(Exception):
    """A worker ended, raised or took too long.

    Attributes:
        name: Of the worker.
        reason: In words.
        refused: The edit is not possible on this pipeline, which says nothing against it.
        crowded: All workers together took more memory than there is, which says nothing against one alone.
    """

    def __init__(self, name: str, reason: str, *, refused: bool = False, crowded: bool = False) -> None:
        super().__init__(reason)
        self.name = name
        self.reason = reason
        self.refused = refused
        self.crowded = crowded


class InterruptedVerificationError(Exception):
    """The user wants an end.

    Attributes:
        exit_code: Of the command, where another one than this one's signals had to say it.
    """

    def __init__(self, exit_code: int | None = None) -> None:
        super().__init__()
        self.exit_code = exit_code


@dataclass
class _Member:
    """A worker with what it has said."""

    name: str
    worker: WorkerProcess
    family: RunFamily
    inbox: list[WorkerMessage] = field(default_factory=list)
    open: bool = True

    def pump(self) -> None:
        """Take what it has said and printed."""
        self.worker.read_output()
        messages = self.worker.read_messages() if self.open else []
        if messages is None:
            self.open = False
        else:
            self.inbox += messages


class Team:
    """Workers by name; all but the one whose turn it is are stopped.

    Args:
        signals: The user's signals.
        limit_bytes: Memory that all of them may use together; None for any.
        clock: Seconds that only grow.
    """

    def __init__(self, signals: Signals, limit_bytes: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._signals = signals
        self._limit = limit_bytes
        self._clock = clock
        self._members: dict[str, _Member] = {}

    def start(self, jobs: Mapping[str, Job], *, seconds: float) -> dict[str, Built]:
        """Start workers and wait until all have built their pipelines; each is stopped once it has.

        Args:
            jobs: By name.
            seconds: After which one is taken to hang.

        Raises:
            MemberFailedError: One of them did not.
        """
        self._launch(jobs)
        return {name: self._await(name, Built, seconds) for name in self._in_order_of_answer(jobs, seconds)}

    def start_each(self, jobs: Mapping[str, Job], *, seconds: float) -> dict[str, Built | MemberFailedError]:
        """Start workers as `start` does; one that fails is ended, and the others go on.

        Args:
            jobs: By name.
            seconds: After which one is taken to hang.
        """
        self._launch(jobs)
        found: dict[str, Built | MemberFailedError] = {}
        for name in self._in_order_of_answer(jobs, seconds):
            try:
                found[name] = self._await(name, Built, seconds)
            except MemberFailedError as error:
                found[name] = error
                self.end(name)
        return found

    def _launch(self, jobs: Mapping[str, Job]) -> None:
        for name, job in jobs.items():
            family = RunFamily()
            try:
                self._members[name] = _Member(name, WorkerProcess(job, family), family)
            except BaseException:
                family.__exit__()
                raise

    def _in_order_of_answer(self, jobs: Mapping[str, Job], seconds: float) -> Iterator[str]:
        """Yield the workers as they get ready: one that waits for the others must not fill its buffers meanwhile."""
        left, until = set(jobs), self._clock() + seconds
        while left:
            ready = {name for name in left if self._has_answer(self._members[name], Built)}
            if not ready and self._clock() < until:
                self._pump(left)
                continue
            yield from ready or tuple(left)
            left -= ready or left

    def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
        """Give a worker a turn, and stop it again.

        Args:
            name: Of the worker.
            request: What it does.
            seconds: After which it is taken to hang.

        Raises:
            MemberFailedError: It did not come to the end of the turn.
        """
        worker = self._members[name].worker
        worker.send_turn(request)
        worker.resume()
        return self._await(name, TurnEnded, seconds)

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

    def bytes_used(self) -> int:
        """Resident memory of all workers."""
        return sum(procfs.rss_bytes(member.worker.pid) or 0 for member in self._members.values())

    def _await(self, name: str, kind: type[_Message], seconds: float) -> _Message:
        member, until = self._members[name], self._clock() + seconds
        while not self._has_answer(member, kind):
            if self._clock() >= until:
                self._fail(name, f"took longer than {seconds:.0f} s")
            self._pump({name})
        for message in member.inbox:
            if isinstance(message, Raised):
                self._fail(name, f"raised: {_first_line(message)}")
            if isinstance(message, EditRefused):
                raise MemberFailedError(name, message.reason, refused=True)
            if isinstance(message, kind):
                member.worker.pause()
                member.inbox.clear()
                return message
        self._fail(name, _how_it_ended(member.worker.returncode))
        raise AssertionError

    def _has_answer(self, member: _Member, kind: type[_Message]) -> bool:
        """Whether a worker has said what is waited for, or can say nothing any more."""
        return not member.open or any(isinstance(message, (kind, Raised, EditRefused)) for message in member.inbox)

    def _pump(self, names: set[str]) -> None:
        """Wait for some of the workers to say something, and look at the memory of all."""
        members = [self._members[name] for name in names if self._members[name].open]
        pipes = [number for member in members for number in (member.worker.messages, member.worker.printed)]
        readable, _, _ = select.select([*pipes, self._signals.read_fd], [], [], LOOK_SECONDS)
        if self._signals.read_fd in readable:
            self._signals.rest()
        if self._signals.asked is not None:
            raise InterruptedVerificationError
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

    def _fail(self, name: str, reason: str) -> None:
        raise MemberFailedError(name, reason)


def _first_line(message: Raised) -> str:
    text = message.message.strip().splitlines()
    return text[0] if text else "raised an error"


def _how_it_ended(returncode: int | None) -> str:
    if returncode is None:
        return "closed its channel"
    return f"was ended by signal {-returncode}" if returncode < 0 else f"ended with exit status {returncode}"
