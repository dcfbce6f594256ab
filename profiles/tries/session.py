"""What `run` and `fix` need around their races: memory, the lock for measuring, workers, and what ends them early."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.fork_server import ForkServer
from pipeprof.profiles.harness.lock import measuring_lock, waiting_note
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.machine import machine_memory
from pipeprof.profiles.host.system_faults import system_fault
from pipeprof.profiles.tries.search import TrackClosedError
from pipeprof.profiles.tries.track import CountingTeam


def memory_for(wanted: int | None) -> int | None:
    """Bytes that all processes may use together.

    Args:
        wanted: What the user allows; None for all that there is.
    """
    found = limits.memory_limit(wanted, limits.cgroup_memory(Cgroup()), machine_memory())
    return found.bytes if found is not None else None


@contextlib.contextmanager
def measuring(
    settings: RunSettings, progress: RunProgress, signals: Signals, limit: int | None, server: ForkServer | None = None
) -> Iterator[CountingTeam]:
    """Wait for other commands that measure; end all workers with the body.

    Raises:
        InterruptedVerificationError: The user wants an end.
        PipeprofError: Another command measures for too long.
    """
    note_waiting = waiting_note(progress.note, settings.lock_patience)

    def waiting(pid: int | None, seconds: float) -> None:
        if signals.asked is not None:
            raise InterruptedVerificationError
        note_waiting(pid, seconds)

    lock = measuring_lock(settings.command, limit=settings.lock_patience, waiting=waiting) if settings.lock else None
    with lock or contextlib.nullcontext(), CountingTeam(signals, limit, server=server).closing() as team:
        yield team


@contextlib.contextmanager
def ending(found: list[Exception]) -> Iterator[None]:
    """Take what ends races early: the user, a changed file, another command that measures, a fault of the system."""
    try:
        yield
    except (InterruptedVerificationError, TrackClosedError) as error:
        found.append(error)
    except (PipeprofError, OSError) as error:
        found.append(system_fault(error) or error)
