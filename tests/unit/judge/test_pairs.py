"""Sessions of pairs, with workers that are made up."""

from collections.abc import Collection
from typing import Any, cast

import pytest
from unit.tries.workers import Cores, Workers

from pipeprof.pipelines.graph.read.records import GraphDict
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.experiment.turns import order_of
from pipeprof.profiles.host.limits import CoresClock, SystemTimes
from pipeprof.profiles.judge.pairs import AGAIN, A, Pairs, Process, SideFailedError
from pipeprof.profiles.protocol.messages import Graphs
from pipeprof.profiles.protocol.turns import BatchDigest, Built, TurnEnded, TurnRequest

B = "B"
NAMES = (A, B, AGAIN)
UNREAD: GraphDict = {"root": None, "reason": "it was not read", "nodes": []}
BUILT = Built([BatchDigest("data", ["row"], "int64")], False, 400 << 20, 0.5, 0.25)


class InPairs(Workers):
    """Workers whose steps take so long; one may fail, and all say how they were asked for their stages."""

    def __init__(self, room: int = 3, interval: float = 0.01, failing: str | None = None) -> None:
        error = MemberFailedError(failing or "", "raised: no such file")
        fails = {failing: error} if failing is not None else {}
        super().__init__({}, dict.fromkeys(NAMES, BUILT), room=room, fails=fails)
        self.said: list[tuple[str, TurnRequest]] = []
        self.asked: list[tuple[str, int]] = []
        self._interval = interval

    def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
        super().turn(name, request, seconds=seconds)
        self.said += [(name, request)] if request.kind == "block" else []
        return TurnEnded(request.steps, request.steps * self._interval, 0.1, 0.2, 1 << 30, read_bytes=0)

    def stages(self, name: str, *, seconds: float) -> Graphs:
        assert (name in self.alive, seconds > 0) == (True, True)
        self.asked.append((name, len(self.said)))
        return Graphs(UNREAD, UNREAD)


def schedule(number: int, blocks: int = 14) -> tuple[str, ...]:
    """The order of the blocks of a pair without a disturbance."""
    return tuple(name for turn in range(blocks) for name in order_of(turn + number, NAMES))


def session(
    workers: InPairs, timed: tuple[str, ...] = (), slower: float = 0.0, disturbed: Collection[int] = ()
) -> Pairs:
    jobs = dict.fromkeys(("a", "b"), lambda: cast("Any", None))
    team, cores = cast("Team", workers), lambda: Cores(disturbed.__contains__, cpu_seconds=0.6)
    return Pairs(team, jobs, timeout=60.0, timed=timed, slower=slower, cores=cores)


def test_a_pair_is_three_processes_in_turns():
    workers = InPairs()
    pair = session(workers).pair(0)
    assert tuple(name for name, _ in workers.said) == pair.order == schedule(0)
    assert workers.alive == set()
    assert {len(pair.processes[name].blocks) for name in NAMES} == {14}
    values = pair.processes[B].values(32)
    assert values["step_ms"] == pytest.approx(10.0)
    assert values["elements_per_second"] == pytest.approx(3200.0)
    assert values["first_batch_s"] == pytest.approx(0.75)
    assert values["peak_bytes"] == 1 << 30
    assert values["disk_bytes_per_element"] == 0
    assert "elements_per_second" not in pair.processes[B].values(None)


def test_where_three_do_not_fit_one_runs_after_the_other():
    workers = InPairs(room=1)
    one = session(workers)
    pair = one.pair(0)
    assert one.order == "one by one"
    assert [name for name, _ in workers.said] == [A] * 14 + [B] * 14 + [AGAIN] * 14
    assert len(pair.processes[AGAIN].blocks) == 14
    assert pair.order == tuple(name for name, _ in workers.said)


@pytest.mark.parametrize(("failing", "side"), [(A, "a"), (AGAIN, "a"), (B, "b")])
def test_a_side_that_fails_is_named(failing, side):
    workers = InPairs(failing=failing)
    with pytest.raises(SideFailedError, match="raised: no such file") as error:
        session(workers).pair(0)
    assert error.value.side == side
    assert workers.alive == set()


@pytest.mark.parametrize(
    ("interval", "blocks", "seconds"), [(0.01, 14, 0.2), (0.08, 10, 0.48), (0.15, 6, 0.6), (2.0, 4, 6.0)]
)
def test_slow_steps_make_longer_blocks_and_fewer_of_them(interval, blocks, seconds):
    workers = InPairs(interval=interval)
    pair = session(workers).pair(1)
    assert pair.order == schedule(1, blocks)
    assert {request.steps for _, request in workers.said} == {3}
    assert {round(request.seconds, 6) for _, request in workers.said} == {seconds}
    assert {request.settle_seconds for _, request in workers.said} == {0.03}


def test_what_slows_the_machine_for_a_while_leaves_the_ratio_as_it_is():
    def process(share, slow):
        blocks = [TurnEnded(10, share * slow[turn], None, 1.0, 1 << 30) for turn in range(6)]
        return Process(BUILT, tuple(blocks)).values(None)["step_ms"]

    slow = [1.0, 1.0, 3.0, 2.0, 1.0, 1.0]
    assert process(1.1, slow) / process(1.0, slow) == pytest.approx(1.1)
    # A step that is slow now and then counts.
    assert process(1.0, [1.0, 1.0, 1.0, 1.0, 1.0, 2.0]) > 1.1 * process(1.0, [1.0] * 6)


@pytest.mark.parametrize(
    ("disturbed", "measured", "counted"),
    [((), 14, 14), ((3,), 15, 14), ((0, 1), 16, 14), (range(5, 14), 21, 12), (range(21), 14, 14)],
)
def test_disturbed_turns_are_left_out_and_measured_again(disturbed, measured, counted):
    workers = InPairs()
    pair = session(workers, disturbed=disturbed).pair(0)
    assert len(workers.said) == 3 * measured
    assert {len(pair.processes[name].blocks) for name in NAMES} == {counted}
    # Load that does not change leaves nothing out.
    kept = [turn for turn in range(measured) if turn not in disturbed or counted == measured]
    assert pair.order == tuple(name for turn in kept for name in order_of(turn, NAMES))


def test_what_went_elsewhere_is_neither_idle_nor_used_by_the_processes():
    times = iter([SystemTimes(0, 0), SystemTimes(200, 30, idle=40), SystemTimes(400, 30, idle=240), None])
    clock = CoresClock(lambda: next(times), ticks_per_second=100)
    assert clock.taken(cpu_seconds=1.0) == pytest.approx((0.3, 0.15))
    assert clock.taken(cpu_seconds=0.1) == (0.0, 0.0)
    assert clock.taken(cpu_seconds=0.1) is None


@pytest.mark.parametrize(("room", "asked_at"), [(3, [42, 42, 42]), (1, [14, 28, 42])])
def test_each_process_is_asked_for_its_stages_after_its_last_block(room, asked_at):
    workers = InPairs(room=room)
    pair = session(workers, ("a", "b")).pair(0)
    assert workers.asked == list(zip(NAMES, asked_at, strict=True))
    assert None not in (pair.processes[A].graphs, pair.processes[B].graphs, pair.processes[AGAIN].graphs)
    only_a = InPairs(room=room)
    assert session(only_a, ("a",)).pair(0).processes[B].graphs is None
    assert [name for name, _ in only_a.asked] == [A, AGAIN]


@pytest.mark.parametrize("room", [3, 1])
def test_a_slower_b_is_slower_than_what_was_measured_before_it(room):
    workers = InPairs(room=room, interval=0.02)
    session(workers, slower=0.1).pair(0)
    paces = {name: {round(request.batch_seconds, 9) for one, request in workers.said if one == name} for name in NAMES}
    assert paces == {A: {0.0}, B: {0.022}, AGAIN: {0.0}}


def test_a_pair_knows_what_went_elsewhere():
    assert session(InPairs(), disturbed=range(100)).pair(0).taken == (0.4, 0.3)
    assert session(InPairs(room=1)).pair(0).taken is None
