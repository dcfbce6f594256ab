"""Records of a script's iteration, by dataset, and their folding into the readings of a step loop.

Pure: no TensorFlow and no clock. A `Pass` is one iteration over a dataset; its lists are filled by the hooks and
drained by the reporter's thread. They are no arrays: to append to one takes more than twice as long where a
step has emptied the caches. Times are nanoseconds of one clock.

What is between two passes, from the end of one to the creation of the next one's iterator, is no step: validation,
checkpoints and callbacks of an epoch. The clock of the steps stands still meanwhile, as in `Feed`. Passes whose batches
are taken in turn, as from two iterators in one loop, are folded in the order of their times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pipeprof.pipelines.late import np

if TYPE_CHECKING:
    from pipeprof.profiles.worker.steps.statistics import Nanoseconds

Model = Callable[[Any], tuple[int, Sequence[int]] | None]
"""Returns how many elements an iterator gave, and the latest gaps between them in microseconds; None: no model."""

Role = Literal["training", "validation", "evaluation", "prediction", "adapt", "loop"]
MOST_LOOKS = 8
"""Batches up to which a dataset, of whose iterators each gave one or two, was only looked at."""
MOST_COMPARED = 3
"""Objects of a dataset that is built again whose graphs are compared."""
ENDLESS = -1
"""``tf.data.INFINITE_CARDINALITY``."""
QUIET_NS = 1_000_000_000
"""Without a step, after which another dataset with more steps takes the place of the main one."""
MUCH_MORE = 1.5
"""Times the main dataset's fetch time, or steps, from which another one takes its place: two that are iterated in turn
would each begin its warm-up again in each epoch."""
MOST_KEPT = 3
"""Datasets that one line iterates in turn: for training, validation and test."""
Kind = Literal["loop", "fit", "fit-executions", "graph"]
"""Who takes the batches: Python, Keras' `fit` inside its function, the same with several steps in it, a tf.function."""


class Place(NamedTuple):
    """A line of the user's code; its file is None where none led there."""

    file: str | None = None
    line: int | None = None


class GraphSeen(NamedTuple):
    """What a dataset's graph shows: a text equal for an equal dataset, caches, one in memory, a shuffle with a seed."""

    text: str
    cached: bool
    in_memory: bool
    seeded: bool


@dataclass
class Total:
    """Nanoseconds that something took in all, and how often it did."""

    ns: int = 0
    count: int = 0

    def add(self, ns: int, count: int = 1) -> None:
        """Add so many that took so long together."""
        self.ns += ns
        self.count += count

    def mean(self, unit_ns: float) -> float | None:
        """Return the mean in units of so many nanoseconds; None without any."""
        return self.ns / self.count / unit_ns if self.count else None


@dataclass(eq=False)
class Pass:
    """One iteration over a dataset.

    Attributes:
        began: When its iterator was requested; `made`: when it was there.
        times: For each batch when it was requested in Python and when it came; at the end the former alone.
        steps: For each step of `fit` when it began and when its function returned.
        ended: When the end was found, or an epoch of `fit` was over; 0 before.
        iterator: Returns its iterator; None once that is gone.
        modelled: Returns the iterator whose model counts its batches, where that is another one: of a strategy's only
            device, and None with several.
        last_model: What the model said when an epoch of `fit` was over.
        asked: When the batch was requested, by the clock of the steps, that has not come; None if none is waited for.
        starts: Whether that batch is the first of this pass, and the pass not the first one.
        goes_on: Whether it takes further batches from the iterator of an epoch that is over (`steps_per_epoch`).
    """

    began: int
    made: int
    iterator: Callable[[], Any]
    modelled: Callable[[], Any] | None = None
    times: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    ended: int = 0
    last_model: tuple[int, Sequence[int]] | None = None
    polled: int = 0
    polled_at: int = 0
    in_python: bool = False
    began_folding: bool = False
    asked: int | None = None
    starts: bool = False
    goes_on: bool = False

    def look(self, model: Model) -> tuple[int, Sequence[int]] | None:
        """Read the model of its iterator; None where there is none."""
        iterator = (self.modelled or self.iterator)()
        return model(iterator) if iterator is not None else None

    def drain(self) -> tuple[list[int], list[int]]:
        """Return and forget the times so far; safe while another thread appends."""
        times, steps = self.times[:], self.steps[:]
        # One call of C each: nothing that was appended meanwhile is lost.
        del self.times[: len(times)], self.steps[: len(steps)]
        return times, steps


class StepClock:
    """Folding of passes into step readings: as arrays, since the garbage collector would look at an object of each.

    A step is two times: when its batch was requested and when it came, or in `fit` when the step began and when its
    function returned. It ends where the next one begins.

    Attributes:
        fetch_ns: Of all batches whose fetch is known.
        begun: Passes that had a first batch.
        continued: Epochs of `fit` that went on with the iterator of the one before.
        between_ns: From the end of a pass, or of such an epoch, to the next one's beginning, summed.
        firsts: From a pass's beginning to its first batch, or the end of its first step in `fit`; not of the first one.
        calls: Of the function of `fit`.
        apart: From the return of that function to its next call, within a pass.
    """

    def __init__(self) -> None:
        self.fetch_ns = self.batches = self.begun = self.continued = self.between_ns = 0
        self.firsts, self.calls, self.apart = Total(), Total(), Total()
        self._parts: list[Nanoseconds] = []
        self._paused = self._extra = 0
        # When the last step of a pass ended, by the clock of the steps, and when the end was found.
        self._end: tuple[int, int] | None = None
        # The batch whose step has not ended.
        self._taken: tuple[int, int, bool] | None = None
        self._fetch = self._owed = 0.0

    def take(self) -> Nanoseconds:
        """Return the readings since the last time, shape (n, 7), in the order of `StepReading`."""
        parts, self._parts = self._parts, []
        return np.concatenate(parts) if parts else np.empty((0, 7), np.int64)

    def _add(self, asked: Any, got: Any, end: Any, begins: Any) -> None:
        """Append steps that began when their batches came: numbers, or arrays of shape (n,)."""
        rows = np.stack(np.broadcast_arrays(asked, asked, asked, got, got, np.maximum(end, got), begins), axis=-1)
        self._parts.append(rows.astype(np.int64).reshape(-1, 7))

    def loop(self, one: Pass, times: Sequence[int]) -> None:
        """Fold what Python requested and got, in the order in which it happened."""
        number = 0
        if times and not one.began_folding:
            one.asked = self._begin(one, times[0])
            self._close_taken(one.asked)
            number = 1
        if one.asked is not None and number < len(times):
            self._got(one, one.asked, times[number])
            number += 1
        if number == len(times):
            return
        # Where another pass has ended, and this one goes on, nothing stood still.
        self._end, self._extra = None, 0
        at = np.asarray(times[number:], dtype=np.int64) - self._paused
        asked, got = at[::2], at[1::2]
        self._close_taken(int(asked[0]))
        closed = len(asked) - 1
        self._add(asked[:-1], got[:closed], asked[1:], 0)
        if len(got) > closed:
            self._taken = (int(asked[-1]), int(got[-1]), False)
        else:
            one.asked = int(asked[-1])
        self.fetch_ns += int((got - asked[: len(got)]).sum())
        self.batches += len(got)

    def _begin(self, one: Pass, time: int) -> int:
        """Begin a pass; return when its first batch was requested, by the steps' clock."""
        one.began_folding = True
        self.begun += not one.goes_on
        self.continued += one.goes_on
        one.starts = self.begun > 1 and not one.goes_on
        if self._end is None:
            # The pass before was left in the middle, or there is none.
            left = self._taken is not None and one.began - self._paused >= self._taken[1]
            return (one.began if left else time) - self._paused
        # What finding the end and making the iterator took is a part of the first fetch.
        (end, found_end), self._end = self._end, None
        self.between_ns += max(0, one.began - found_end)
        self._extra += one.made - one.began
        self._paused = time - end
        return end

    def _got(self, one: Pass, asked: int, time: int) -> None:
        """Take the batch that was waited for."""
        self._paused -= self._extra
        self._extra = 0
        got = time - self._paused
        self.fetch_ns += got - asked
        self.batches += 1
        if one.starts:
            self.firsts.add(time - max(one.began, asked + self._paused))
        # Of two threads that wait for batches at once, the first one's has no step of its own.
        self._close_taken(asked)
        self._taken = (asked, got, one.starts)
        one.asked, one.starts = None, False

    def _close_taken(self, at: int) -> None:
        if self._taken is not None:
            (asked, got, begins), self._taken = self._taken, None
            self._add(asked, got, at, begins)

    def end(self, one: Pass, at: int | None = None) -> None:
        """Note that a pass has ended: its last step did when the end was requested, else at `at` or with the epoch."""
        if one.asked is not None:
            self._end = one.asked, one.ended
            self._extra += max(0, one.ended - self._paused - one.asked)
            one.asked = None
        elif self._taken is not None:
            # An epoch of `fit` is over, its dataset is not.
            end = one.ended - self._paused if at is None else at
            self._end = end, one.ended
            self._close_taken(end)

    def fit(self, one: Pass, steps: Sequence[int], gap: int | None, executions: int) -> None:
        """Fold steps of `fit`.

        Args:
            steps: When each began and when its function returned.
            gap: Mean time between two fetches, of these steps; None where that is not known.
            executions: Steps in one call.
        """
        parts, self._parts = self._parts, []
        known, first = (self.fetch_ns, self.batches), not self.apart.count
        self.loop(one, steps)
        if one.ended and one.began_folding:
            self.end(one, self._taken[1] if self._taken is not None else None)
        (self.fetch_ns, self.batches), rows, self._parts = known, self.take(), parts
        if not len(rows):
            return
        begin, returned, end, begins = rows.T[[2, 3, 5, 6]]
        apart = (end - returned)[end > returned]
        self.apart.add(int(apart.sum()), len(apart))
        # The first call of all traces.
        calls = (returned - begin)[first:][begins[first:] == 0]
        self.calls.add(int(calls.sum()), len(calls))
        self.spread(begin, end, begins, gap, executions)

    def spread(
        self, begin: Nanoseconds, end: Nanoseconds, begins: Nanoseconds, gap: int | None, executions: int
    ) -> None:
        """Append calls as steps of equal length, each with the mean fetch; `gap` as in `fit`."""
        length = (end - begin) / executions
        usual = begins == 0
        if gap is not None and usual.any():
            self._fetch = self._share(float((end - begin)[usual].sum()), gap, int(usual.sum()) * executions)
        fetch = np.minimum(self._fetch, length)
        if gap is not None and executions == 1:
            fetch = np.where(usual, fetch, np.maximum(fetch, length - gap))
        self.fetch_ns += round(float(fetch.sum()) * executions)
        self.batches += len(begin) * executions
        number = np.tile(np.arange(executions), len(begin))
        length, fetch, begins = (np.repeat(one, executions) for one in (length, fetch, begins))
        at = np.repeat(begin, executions) + number * length
        self._add(at.round(), (at + fetch).round(), (at + length).round(), begins * (number == 0))

    def _share(self, spent: float, gap: int, batches: int) -> float:
        """Return the fetch of each of so many batches: what the gaps leave of the time that was spent.

        Gaps and steps of a look are not the same to the last one: the next one is shortened by what one lacks.
        """
        left = spent - gap * batches + self._owed
        self._owed = max(min(left, 0.0), -spent / batches)
        return max(0.0, left) / batches


@dataclass(eq=False)
class DatasetObjects:
    """The dataset objects that one consumer iterates over, each built after the one before.

    Attributes:
        latest: Returns the latest; None once that is gone.
        built: From when a dataset was first made, after what the script did before, to the iteration of an object that
            was built again.
        caches_again: Whether a cache was made for an object that was built again; one made before keeps its elements.
        graph: Of the first one.
        equal: Whether they have equal graphs; None where that was not seen.
        endless: Whether the first one is known to have no end.
        made: How the first one was made, as `Lines.created` has it; None where that was not seen.
    """

    latest: Callable[[], Any] = lambda: None
    count: int = 1
    built: Total = field(default_factory=Total)
    caches_again: bool = False
    graph: GraphSeen | None = None
    equal: bool | None = None
    endless: bool = False
    made: Any = None

    def compare(self, dataset: Any, graph_of: Callable[[Any], GraphSeen | None]) -> None:
        """Look at the graph of the latest, if it is one of the first."""
        if self.count > MOST_COMPARED or self.equal is False:
            return
        with suppress(Exception):
            self.endless = int(dataset.cardinality()) == ENDLESS
        with suppress(Exception):
            graph = graph_of(dataset)
            if self.count == 1:
                self.graph = graph
            elif graph is not None and self.graph is not None:
                self.equal = graph == self.graph


@dataclass(eq=False)
class Consumer:
    """Everything that iterates over one dataset, or over datasets that follow each other at the same place.

    Attributes:
        executions: Steps in one call of the function of `fit`.
        began_ns: When its first iterator was requested.
        together: Iterators that gave batches in turn.
        devices: For which a strategy distributes it; 0: none does.
        gap_ns: Mean time between two fetches, of the latest look; None where TensorFlow's model does not tell it.
    """

    place: Place
    role: Role
    kind: Kind = "loop"
    objects: DatasetObjects = field(default_factory=DatasetObjects)
    iterators: int = 0
    executions: int = 1
    passes: list[Pass] = field(default_factory=list)
    clock: StepClock = field(default_factory=StepClock)
    gap_ns: int | None = None
    seconds: float = 0.0
    steps: int = 0
    moved_ns: int = 0
    began_ns: int = 0
    together: int = 1
    devices: int = 0

    @property
    def epochs(self) -> int:
        """Passes that have begun; the only one over a dataset without an end is none."""
        return 0 if self.objects.endless and self.clock.begun == 1 else self.clock.begun

    @property
    def current(self) -> Pass | None:
        """The latest pass that took a batch, else the latest one."""
        begun = [one for one in self.passes if one.began_folding or one.times or one.steps]
        return next(reversed(begun or self.passes), None)

    def is_built_again(self, kept: int) -> bool:
        """Whether a new dataset of this role at this place takes the place of this one: it was built again.

        One that still exists is another one: a function that trains and validates has both in one line.

        Args:
            kept: Consumers of this role at this place.
        """
        # Of more than training, validation and test need, those iterated once are built in each epoch and kept.
        once = kept >= MOST_KEPT and self.iterators <= self.objects.count
        return self.objects.latest() is None or once or self.begins_each()

    @property
    def taken(self) -> int:
        """Batches that it has given, those that were not folded yet with them."""
        waiting = sum(len(one.times) // 2 + (len(one.steps) + 1) // 2 for one in self.passes[:])
        return self.clock.batches + waiting

    def goes_to(self, role: Role) -> bool:
        """Whether the next iterator, in this role, is what the dataset is for: so far it was only looked at."""
        looked_at = self.taken <= min(MOST_LOOKS, 2 * self.iterators)
        adapted = self.role == "adapt" and not self.steps
        return adapted or not self.taken or (looked_at and (self.role == "loop" or role in ("training", "loop")))

    def begins_each(self) -> bool:
        """Whether its iterators are left after a batch or two."""
        return self.iterators > 1 and self.steps <= 2 * self.iterators

    def fold(self, now: int, model: Model) -> Nanoseconds:
        """Fold all that has happened since the last time, until `now`; return its readings as `StepClock.take` does."""
        # Of two batches each.
        spans = [(one.times[0], one.times[-1]) for one in self.passes if len(one.times) >= 4]
        self.together = max(self.together, _most_at_once(spans))
        in_python: list[tuple[Pass, list[int], bool]] = []
        for one in list(self.passes):
            over = bool(one.ended)
            times, steps = one.drain()
            one.in_python = one.in_python or bool(times)
            if one.in_python:
                in_python.append((one, times, over))
            elif steps or (over and one.began_folding):
                self._fold_fit(one, steps, model)
            elif self.role == "loop":
                self._poll(one, now, model)
            if over and not (one.times or one.steps):
                self.passes.remove(one)
        for one, batches, ends in _in_turn(in_python):
            self.kind = "loop"
            self.clock.loop(one, batches)
            if ends and not one.times:
                self.clock.end(one)
        # Iterators that were never requested a batch, as Keras makes one in each epoch, go here.
        self.passes = [one for one in self.passes if one.times or one.steps or one.iterator() is not None]
        rows = self.clock.take()
        if len(rows):
            self.steps += len(rows)
            self.seconds += int(rows[-1, 5] - rows[0, 2]) / 1e9
            self.moved_ns = now
        return rows

    def _fold_fit(self, one: Pass, steps: Sequence[int], model: Model) -> None:
        self.kind = "fit" if self.executions == 1 else "fit-executions"
        seen = one.last_model or (one.look(model) if steps else None)
        if seen is not None:
            self._take_gaps(seen[1], seen[0] - one.polled)
            one.polled = seen[0]
        self.clock.fit(one, steps, self.gap_ns, self.executions)

    def _poll(self, one: Pass, now: int, model: Model) -> None:
        """Look whether a graph takes batches from the iterator of a pass that Python has not requested any."""
        seen = one.look(model)
        if seen is None or not seen[0]:
            return
        (elements, gaps), before, since = seen, one.polled, one.polled_at
        one.polled, one.polled_at = elements, now
        if not before or elements <= before:
            # The first look opens the window.
            return
        self.kind, one.began_folding = "graph", True
        self._take_gaps(gaps, elements - before)
        # What the graph took between two looks, as one call.
        self.clock.spread(np.asarray([since]), np.asarray([now]), np.zeros(1, np.int64), self.gap_ns, elements - before)

    def _take_gaps(self, gaps_us: Sequence[int], new: int) -> None:
        """Take the times between two fetches, whose last `new` have not been seen; without any the mean stays.

        TensorFlow's model keeps the last hundred: of more that are new these are the sample.
        """
        found = gaps_us[-new:] if new > 0 else ()
        if found:
            self.gap_ns = round(1000 * sum(found) / len(found))


def main_of(able: Sequence[Consumer], main: Consumer | None, now: int) -> Consumer | None:
    """Return the main one of those that may be it: with most fetch time; once that has ended, one with more steps."""
    best = max(able, key=lambda one: one.clock.fetch_ns, default=main)
    if main is None or main not in able:
        return best
    if best is not None and best.moved_ns == now and best.clock.fetch_ns > MUCH_MORE * main.clock.fetch_ns:
        return best
    moving = (one for one in able if one.moved_ns == now and one.seconds > MUCH_MORE * main.seconds)
    return next(moving, main) if now - main.moved_ns > QUIET_NS else main


def _most_at_once(spans: Sequence[tuple[int, int]]) -> int:
    """Return how many spans of time there are at one moment, at most."""
    changes = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    return max(accumulate(change for _, change in changes), default=0)


def _in_turn(passes: Sequence[tuple[Pass, list[int], bool]]) -> Iterator[tuple[Pass, list[int], bool]]:
    """Cut the times of several passes, each over after them or not, into pieces in the order in which it happened."""
    if len(passes) == 1:
        yield passes[0]
        return
    happened = [(time, number, False) for number, (_, times, _) in enumerate(passes) for time in times]
    happened += [(max([one.ended, *times]), number, True) for number, (one, times, over) in enumerate(passes) if over]
    for (number, ends), piece in groupby(sorted(happened), key=lambda event: event[1:]):
        yield passes[number][0], [] if ends else [time for time, _, _ in piece], ends
