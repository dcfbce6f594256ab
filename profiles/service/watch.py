"""CPU time and memory of the workers of a tf.data service, from outside, while steps are measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeprof.profiles.document.stages import ServiceWorker
from pipeprof.profiles.host.process_readers import FamilyReading, system_reader
from pipeprof.profiles.host.sampler import ProcessReader

SHORTEST_SECONDS = 0.2
"""For a number of cores: the kernel counts CPU time in steps of 10 ms."""


@dataclass(frozen=True)
class KnownWorker:
    """A worker as far as it is known.

    Attributes:
        address: Where readers find it; None of one that was started for the run.
        traced_at: The host:port of its profiler server.
        pid: Its process, where that is on this machine.
    """

    address: str | None = None
    traced_at: str | None = None
    pid: int | None = None


def known_workers(
    started: Iterable[KnownWorker], registered: Iterable[str], traced: Iterable[str], pids: Mapping[str, int]
) -> list[KnownWorker]:
    """Join what is known of the workers of a run.

    Args:
        started: Those that were started for it.
        registered: Addresses of those that a dispatcher knows.
        traced: Addresses of profiler servers.
        pids: Processes of this machine by the addresses that they listen at.
    """
    found = [*started, *(KnownWorker(address, None, pids.get(address)) for address in registered)]
    for address in traced:
        pid = pids.get(address)
        at = next((number for number, one in enumerate(found) if pid is not None and one.pid == pid), None)
        if at is None:
            found.append(KnownWorker(None, address, pid))
        else:
            found[at] = replace(found[at], traced_at=address)
    return found


@dataclass
class WorkersWatch:
    """Reads workers when steps begin to be measured, and when that ends.

    Args:
        reader: Makes a reader of one process.
        clock: Seconds, monotonic.
    """

    workers: Sequence[KnownWorker] = ()
    reader: Callable[[], ProcessReader] = system_reader
    clock: Callable[[], float] = time.monotonic
    _readers: dict[int, ProcessReader] = field(default_factory=dict)
    _before: dict[int, FamilyReading] = field(default_factory=dict)
    _began: float = 0.0

    def start(self) -> None:
        """Read all of them."""
        self._readers = {worker.pid: self.reader() for worker in self.workers if worker.pid is not None}
        self._before = self._read()
        self._began = self.clock()

    def stop(self) -> list[ServiceWorker]:
        """Return each with its load since the start; without numbers where its process is not known, or has ended."""
        after, seconds = self._read(), self.clock() - self._began
        return [self._loaded(worker, after, seconds) for worker in self.workers]

    def _read(self) -> dict[int, FamilyReading]:
        read = {pid: reader.read(pid) for pid, reader in self._readers.items()}
        return {pid: one for pid, one in read.items() if one is not None}

    def _loaded(self, worker: KnownWorker, after: Mapping[int, FamilyReading], seconds: float) -> ServiceWorker:
        now, before = after.get(worker.pid or 0), self._before.get(worker.pid or 0)
        cores = None
        if now is not None and before is not None and seconds >= SHORTEST_SECONDS:
            used = (now.cpu_seconds, before.cpu_seconds)
            cores = max(0.0, used[0] - used[1]) / seconds if used[0] is not None and used[1] is not None else None
        shares = self._readers[worker.pid].shares(worker.pid) if worker.pid is not None and now is not None else None
        return ServiceWorker(
            address=worker.address,
            traced_at=worker.traced_at,
            cores=cores,
            rss_bytes=now.rss_bytes if now is not None else None,
            private_bytes=shares.private if shares is not None else None,
        )
