"""Workers of a tf.data service as they are seen from outside."""

from __future__ import annotations

from dataclasses import dataclass, field

from unit.worker.fakes import FakeSeconds

from pipeprof.profiles.document.stages import ServiceWorker
from pipeprof.profiles.host.process_readers import FamilyReading
from pipeprof.profiles.host.procfs import Shares
from pipeprof.profiles.service.watch import KnownWorker, WorkersWatch, known_workers


def test_what_is_known_of_a_worker_comes_together_by_its_process() -> None:
    found = known_workers(
        [KnownWorker(traced_at="localhost:9", pid=7)],
        ["h1:5001", "localhost:5001"],
        ["localhost:5002", "h1:5002"],
        {"localhost:5001": 11, "localhost:5002": 11},
    )
    assert found == [
        KnownWorker(traced_at="localhost:9", pid=7),
        KnownWorker(address="h1:5001"),
        KnownWorker("localhost:5001", "localhost:5002", 11),
        # Which of the registered ones it is, nobody can tell from here.
        KnownWorker(traced_at="h1:5002"),
    ]


@dataclass
class Reader:
    """Reads processes from lists, one reading after the other."""

    readings: dict[int, list[FamilyReading]] = field(default_factory=dict)

    def read(self, pid: int) -> FamilyReading | None:
        left = self.readings.get(pid)
        return left.pop(0) if left else None

    def shares(self, pid: int) -> Shares | None:
        return Shares(private=40) if pid == 7 else None

    def libraries(self, pid: int) -> dict[str, int]:
        del pid
        return {}


def test_the_load_of_workers_is_that_between_two_readings() -> None:
    reader = Reader({7: [FamilyReading(100, 1.0), FamilyReading(120, 4.0)], 8: [FamilyReading(90, 1.0)]})
    clock = FakeSeconds()
    workers = [KnownWorker(traced_at="a:1", pid=7), KnownWorker(traced_at="a:2", pid=8), KnownWorker(address="b:1")]
    watch = WorkersWatch(workers, lambda: reader, clock)
    watch.start()
    clock.now += 2.0
    assert watch.stop() == [
        ServiceWorker(traced_at="a:1", cores=1.5, rss_bytes=120, private_bytes=40),
        # It has ended.
        ServiceWorker(traced_at="a:2"),
        ServiceWorker(address="b:1"),
    ]
    assert WorkersWatch().stop() == []
