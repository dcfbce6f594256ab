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
MOST_KEPT = 3
"""Datasets that one line iterates in turn: for training, validation and test."""
_MANY = 16
"""Batches of a loop from which on they are folded as arrays."""
Kind = Literal["loop", "fit", "fit-executions", "graph"]
"""Who takes the batches: Python, Keras' `fit` inside its function, the same with several steps in it, a tf.function."""


class Place(NamedTuple):
    """A line of the user's code; its file is None where none led there."""

    file: str | None = None
    line: int | None = None


class GraphSeen(NamedTuple):
    """What a dataset's graph shows.

    Attributes:
        text: Equal for an equal dataset.
        cached: Whether a cache is in it.
        in_memory: Whether one keeps its elements in memory, not in files.
        seeded: Whether a shuffle with a seed is in it.
    """

    text: str
    cached: bool
    in_memory: bool
    seeded: bool


@dataclass(eq=False)
class Pass:
    """One iteration over a dataset.

    Attributes:
        began: When its iterator was requested.
        made: When it was there.
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

    Attributes:
        fetch_ns: Of all batches whose fetch is known.
        batches: Their number.
        begun: Passes that had a first batch.
        continued: Epochs of `fit` that went on with the iterator of the one before.
        between_ns: From the end of a pass, or of such an epoch, to the next one's beginning, summed.
        first_ns: From a pass's beginning to its first batch, or the end of its first step in `fit`, summed.
        firsts: Number of these; the first pass is not counted.
        call_ns: Of all calls of the function of `fit`.
        calls: Their number.
        apart_ns: From the return of that function to its next call, within a pass, summed.
        aparts: Number of these.
    """

    def __init__(self) -> None:
        self.fetch_ns = 0
        self.batches = 0
        self.begun = self.continued = 0
        self.between_ns = 0
        self.first_ns = self.firsts = 0
        self.call_ns = self.calls = 0
        self.apart_ns = self.aparts = 0
        self._parts: list[Nanoseconds] = []
        self._rows: list[tuple[int, ...]] = []
        self._paused = 0
        self._end: int | None = None
        self._found_end = 0
        # Of a loop: the batch whose step has not ended.
        self._extra = 0
        self._taken: tuple[int, int, bool] | None = None
        # Of `fit`: the step whose function has not returned; the one that did, and when.
        self._running: tuple[int, bool] | None = None
        self._returned: tuple[int, bool, int] | None = None
        self._fetch = 0.0
        self._owed = 0.0

    def take(self) -> Nanoseconds:
        """Return the readings since the last time, shape (n, 7), in the order of `StepReading`."""
        self._close_rows()
        parts, self._parts = self._parts, []
        return np.concatenate(parts) if parts else np.empty((0, 7), np.int64)

    def _close_rows(self) -> None:
        if self._rows:
            self._parts.append(np.asarray(self._rows, dtype=np.int64))
            self._rows = []

    def _add(self, asked: int, got: int, end: int, *, begins: bool) -> None:
        """Append a step, which began when its batch came."""
        self._rows.append((asked, asked, asked, got, got, max(end, got), begins))

    def loop(self, one: Pass, times: Sequence[int]) -> None:
        """Fold what Python requested and got, in the order in which it happened."""
        number = 0
        while number < len(times):
            batches = (len(times) - number) // 2
            if one.asked is None and one.began_folding and batches >= _MANY:
                self._loop_on(times[number : number + 2 * batches])
                number += 2 * batches
                continue
            time = times[number]
            number += 1
            if one.asked is None:
                one.asked = self._ask(one, time)
                self._close_taken(one.asked)
                continue
            # What finding the end and making the iterator took is a part of the first fetch.
            self._paused -= self._extra
            self._extra = 0
            got = time - self._paused
            self.fetch_ns += got - one.asked
            self.batches += 1
            if one.starts:
                self.first_ns += time - max(one.began, one.asked + self._paused)
                self.firsts += 1
            # Of two threads that wait for batches at once, the first one's has no step of its own.
            self._close_taken(one.asked)
            self._taken = (one.asked, got, one.starts)
            one.asked, one.starts = None, False

    def _loop_on(self, times: Sequence[int]) -> None:
        """Fold batches of a pass that goes on, each requested and got, all at once."""
        self._end, self._extra = None, 0
        at = np.asarray(times, dtype=np.int64) - self._paused
        asked, got = at[::2], at[1::2]
        self._close_taken(int(asked[0]))
        self._close_rows()
        ends = np.maximum(asked[1:], got[:-1])
        begun, came = asked[:-1], got[:-1]
        self._parts.append(np.stack([begun, begun, begun, came, came, ends, np.zeros_like(ends)], axis=1))
        self._taken = (int(asked[-1]), int(got[-1]), False)
        self.fetch_ns += int((got - asked).sum())
        self.batches += len(got)

    def _ask(self, one: Pass, time: int) -> int:
        """Return when a batch was requested, by the steps' clock: a first one, when its iterator was."""
        if one.began_folding:
            # Another pass has ended, and this one goes on: nothing stood still.
            self._end, self._extra = None, 0
            return time - self._paused
        one.began_folding = True
        one.starts = self._begin(one)
        if self._end is None:
            # The pass before was left in the middle, or there is none.
            left = self._taken is not None and one.began - self._paused >= self._taken[1]
            return (one.began if left else time) - self._paused
        return self._go_on(one, time, at_end=True)

    def _begin(self, one: Pass) -> bool:
        """Count a pass; return whether its dataset has begun again."""
        self.begun += not one.goes_on
        self.continued += one.goes_on
        return self.begun > 1 and not one.goes_on

    def _go_on(self, one: Pass, time: int, *, at_end: bool) -> int:
        """Continue the clock where the pass before ended; return when this pass began by it."""
        end, self._end = self._end or 0, None
        self.between_ns += max(0, one.began - self._found_end)
        made = one.made - one.began
        if at_end:
            self._extra += made
            self._paused = time - end
        else:
            self._paused = time - end - made
        return end

    def _close_taken(self, at: int) -> None:
        if self._taken is not None:
            asked, got, begins = self._taken
            self._taken = None
            self._add(asked, got, at, begins=begins)

    def end_loop(self, one: Pass) -> None:
        """Note that a pass has ended: its last step did when the end was requested."""
        if one.asked is not None:
            self._end, self._found_end = one.asked, one.ended
            self._extra += max(0, one.ended - self._paused - one.asked)
            one.asked = None
        elif self._taken is not None:
            # An epoch of `fit` is over, its dataset is not.
            self._end, self._found_end = one.ended - self._paused, one.ended

    def fit(self, one: Pass, steps: Sequence[int], gap: int | None, executions: int) -> None:
        """Fold steps of `fit`.

        Args:
            steps: When each began and when its function returned.
            gap: Mean time between two fetches, of these steps; None where that is not known.
            executions: Steps in one call.
        """
        closed: list[tuple[int, int, bool]] = []
        for time in steps:
            if self._running is not None:
                begin, starts = self._running
                self._running, self._returned = None, (begin, starts, time - self._paused)
                if starts:
                    self.first_ns += time - self._paused - begin
                    self.firsts += 1
                elif self.aparts:
                    self.call_ns += time - self._paused - begin
                    self.calls += 1
                continue
            begin, starts = time - self._paused, False
            if not one.began_folding:
                one.began_folding = True
                starts = self._begin(one)
                if self._end is not None:
                    begin = self._go_on(one, time, at_end=False)
            if self._returned is not None:
                closed.append((self._returned[0], time - self._paused, self._returned[1]))
                self.apart_ns += time - self._paused - self._returned[2]
                self.aparts += 1
                self._returned = None
            self._running = (begin, starts)
        if one.ended and one.began_folding:
            if self._returned is not None or self._running is not None:
                # One that found no batch was no step.
                end = self._running[0] if self._running is not None else (self._returned or (0, False, 0))[2]
                if self._returned is not None:
                    closed.append((self._returned[0], end, self._returned[1]))
                self._end, self._found_end = end, one.ended
            self._running = self._returned = None
        self._fold_closed(closed, gap, executions)

    def _fold_closed(self, closed: Sequence[tuple[int, int, bool]], gap: int | None, executions: int) -> None:
        usual = [end - begin for begin, end, starts in closed if not starts]
        if usual and gap is not None:
            self._fetch = self._share(sum(usual), gap, len(usual) * executions)
        for begin, end, starts in closed:
            length = max(0, end - begin) / executions
            fetch = min(self._fetch, length)
            if starts and gap is not None and executions == 1:
                fetch = max(fetch, length - gap)
            for number in range(executions):
                at = begin + number * length
                self._add(round(at), round(at + fetch), round(at + length), begins=starts and not number)
            self.fetch_ns += round(fetch * executions)
            self.batches += executions

    def _share(self, spent: int, gap: int, batches: int) -> float:
        """Return the fetch of each of so many batches: what the gaps leave of the time that was spent.

        Gaps and steps of a look are not the same to the last one: the next one is shortened by what one lacks.
        """
        left = spent - gap * batches + self._owed
        self._owed = max(min(left, 0.0), -spent / batches)
        return max(0.0, left) / batches

    def polled(self, since: int, now: int, elements: int, gap: int | None) -> None:
        """Fold batches that a graph took between two looks, as steps of equal length.

        Args:
            gap: Mean time between two fetches, of these batches; None where that is not known.
        """
        length = (now - since) / elements
        fetch = min(length, self._share(now - since, gap, elements)) if gap is not None else 0.0
        self.fetch_ns += round(fetch * elements)
        self.batches += elements
        for number in range(elements):
            at = since + number * length
            self._add(round(at), round(at + fetch), round(at + length), begins=False)


class GapTimes:
    """Mean time between two fetches of an iterator, of those since the look before.

    TensorFlow's model keeps the last hundred: of more that are new these are the sample.
    """

    def __init__(self) -> None:
        self.mean_ns: int | None = None

    def take(self, gaps_us: Sequence[int], new: int) -> None:
        """Take the model's list, whose last `new` have not been seen; without any the mean stays."""
        found = gaps_us[-new:] if new > 0 else ()
        if found:
            self.mean_ns = round(1000 * sum(found) / len(found))


@dataclass(eq=False)
class Consumer:
    """Everything that iterates over one dataset, or over datasets that follow each other at the same place.

    Attributes:
        place: Where it is iterated.
        datasets: How many objects there were.
        iterators: How many iterators were made of them.
        executions: Steps in one call of the function of `fit`.
        began_ns: When its first iterator was requested.
        built_ns: From when a dataset was first made, after what the script did before, to the iteration of an object
            that was built again, summed.
        builds: Number of these.
        caches_again: Whether a cache was made for an object that was built again; one made before keeps its elements.
        together: Iterators that gave batches in turn.
        graph: What the graph of the first of its objects shows.
        equal: Whether the objects have equal graphs; None where that was not seen.
        endless: Whether the first one is known to have no end.
        devices: For which a strategy distributes it; 0: none does.
        made: How the first of its objects was made, as `Lines.created` has it; None where that was not seen.
    """

    place: Place
    role: Role
    kind: Kind = "loop"
    dataset: Callable[[], Any] = lambda: None
    datasets: int = 1
    iterators: int = 0
    executions: int = 1
    passes: list[Pass] = field(default_factory=list)
    clock: StepClock = field(default_factory=StepClock)
    gaps: GapTimes = field(default_factory=GapTimes)
    seconds: float = 0.0
    steps: int = 0
    moved_ns: int = 0
    began_ns: int = 0
    built_ns: int = 0
    builds: int = 0
    caches_again: bool = False
    together: int = 1
    graph: GraphSeen | None = None
    equal: bool | None = None
    endless: bool = False
    devices: int = 0
    made: Any = None

    @property
    def epochs(self) -> int:
        """Passes that have begun; the only one over a dataset without an end is none."""
        return 0 if self.endless and self.clock.begun == 1 else self.clock.begun

    @property
    def fetch_seconds(self) -> float:
        """Time in which its batches were fetched."""
        return self.clock.fetch_ns / 1e9

    @property
    def current(self) -> Pass | None:
        """The latest pass that took a batch, else the latest one."""
        begun = [one for one in self.passes if one.began_folding or one.times or one.steps]
        known = begun or self.passes
        return known[-1] if known else None

    def is_built_again(self, kept: int) -> bool:
        """Whether a new dataset of the same role at the same place takes the place of this one: it was built again.

        One that still exists is another one: a function that trains and validates has both in one line.

        Args:
            kept: Consumers of this role at this place. Of more than training, validation and test need, those that
                were iterated once are built in each epoch, and something keeps them.
        """
        once = kept >= MOST_KEPT and self.iterators <= self.datasets
        return self.dataset() is None or once or self.begins_each()

    @property
    def taken(self) -> int:
        """Batches that it has given, those that were not folded yet with them."""
        waiting = sum(len(one.times) // 2 + (len(one.steps) + 1) // 2 for one in self.passes[:])
        return self.clock.batches + waiting

    def goes_to(self, role: Role) -> bool:
        """Whether the next iterator, in this role, is what the dataset is for: so far it was only looked at."""
        taken = self.taken
        looked_at = taken <= min(MOST_LOOKS, 2 * self.iterators)
        adapted = self.role == "adapt" and not self.steps
        return adapted or not taken or (looked_at and (self.role == "loop" or role in ("training", "loop")))

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
                self.clock.end_loop(one)
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
            self.gaps.take(seen[1], min(seen[0] - one.polled, len(seen[1])))
            one.polled = seen[0]
        self.clock.fit(one, steps, self.gaps.mean_ns, self.executions)

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
        self.gaps.take(gaps, elements - before)
        self.clock.polled(since, now, elements - before, self.gaps.mean_ns)


def _most_at_once(spans: Sequence[tuple[int, int]]) -> int:
    """Return how many spans of time there are at one moment, at most.

    Example:
        >>> _most_at_once([(0, 10), (2, 4), (5, 20), (20, 30)])
        2
    """
    changes = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    return max(accumulate(change for _, change in changes), default=0)


def _in_turn(passes: Sequence[tuple[Pass, list[int], bool]]) -> Iterator[tuple[Pass, list[int], bool]]:
    """Cut what several passes were requested and got into pieces, in the order in which it happened.

    Args:
        passes: Each with its times, and whether it is over after them.
    """
    if len(passes) == 1:
        yield passes[0]
        return
    happened = [(time, number, False) for number, (_, times, _) in enumerate(passes) for time in times]
    happened += [(max([one.ended, *times]), number, True) for number, (one, times, over) in enumerate(passes) if over]
    for (number, ends), piece in groupby(sorted(happened), key=lambda event: event[1:]):
        yield passes[number][0], [] if ends else [time for time, _, _ in piece], ends
