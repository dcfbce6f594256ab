"""``gate --bisect``: sessions of pairs that find a commit, each of its own trees; the checkout is never touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.cli.comparing.options import GateOptions
from pipeprof.cli.comparing.session import live
from pipeprof.cli.targets.sides import GivenSide, read_one
from pipeprof.pipelines.errors import PipeprofError, ProfileError, UsageError
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.git.calls import GitCalls, GitView
from pipeprof.profiles.git.dirty import is_dirty
from pipeprof.profiles.git.refs import RANGE, commit_of, commits_between, parse_ref, subject_of
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.history.bisect import CommitSearch, half_of, is_bad, main_failure, stage_of_changes
from pipeprof.profiles.judge.live import LiveSide, SessionPlan, SideName, measure
from pipeprof.profiles.judge.unchanged import why_unchanged
from pipeprof.profiles.judge.verdicts.gating import (
    FAILED,
    INCONCLUSIVE,
    NOT_COMPARABLE,
    conclude_gate,
    counted,
    has_seen_enough,
    judged_for,
)
from pipeprof.profiles.judge.verdicts.result import Bisect, BisectStep, Metric, Result
from pipeprof.profiles.judge.verdicts.tabulate import rows_of

if TYPE_CHECKING:
    from pipeprof.profiles.judge.verdicts.tabulate import Judged

_PER_STEP = {"step_ms", "elements_per_second"}
_SHORT = 10
WHY_ROUNDS = 4


@dataclass
class Commits:
    """The commits of a range, GOOD first, and the target at each of them.

    Attributes:
        hashes: Full ones.
        target: As typed.
        most: Pairs of a session at most.
    """

    given: GateOptions
    calls: GitCalls
    view: GitView
    hashes: list[str]
    target: str
    most: int

    def __post_init__(self) -> None:
        self._sides: dict[int, GivenSide] = {}

    def side(self, place: int) -> GivenSide:
        """The target at a commit, read from a tree of its own.

        Raises:
            PipeprofError: It is not there, or wrong there.
        """
        if place not in self._sides:
            text = f"git:{self.hashes[place]}:{self.target}"
            self._sides[place] = read_one(self.given, text, self.calls, f"commit-{place}")
        return self._sides[place]

    def subject(self, place: int) -> str:
        """The first line of a commit's message."""
        return subject_of(self.calls, self.view, self.hashes[place])

    def same(self, one: int, other: int) -> str | None:
        """Why the target is the same pipeline at two commits; None where it is not, or may not be."""
        a, b = self.side(one).settings, self.side(other).settings
        if a is None or b is None or self.given.measure:
            return None
        return why_unchanged(a, b, ())


def commits_of(given: GateOptions, calls: GitCalls, most: int) -> Commits:
    """The commits of ``--bisect``.

    Raises:
        UsageError: It is no range.
        ProfileError: A ref is missing, or the range has no commit.
    """
    text = given.bisect or ""
    good, dots, bad = text.partition(RANGE)
    if not dots or not good or bad.startswith("."):
        raise UsageError(f"--bisect: got {text!r}, expected GOOD..BAD such as v1.0..main: a good commit and a bad one")
    if parse_ref(given.target) is not None:
        raise UsageError(f"--bisect looks for the target at each commit: give its path, not {given.target}")
    near = Path(given.target.rpartition(":")[0] if ".py:" in given.target else given.target)
    view = calls.find(near if near.exists() else Path.cwd())
    if view is None:
        raise ProfileError(f"--bisect: {given.target} is in no git repository")
    ends = [commit_of(calls, view, ref) for ref in (good, bad or "HEAD")]
    between = commits_between(calls, view, *ends)
    if not between:
        raise ProfileError(f"--bisect {text}: both are commit {ends[0][:_SHORT]}, so there is nothing between them")
    return Commits(given, calls, view, [ends[0], *between], given.target, most)


def search_commits(
    commits: Commits, judged: Mapping[str, Judged], result: Result, save: Callable[[], object], progress: RunProgress
) -> None:
    """Find the first bad commit, and write it with its cause into the result of GOOD and BAD."""
    last = len(commits.hashes) - 1
    found = Bisect(good=commits.hashes[0], bad=commits.hashes[last], commits=last)
    result.bisect = found
    if is_dirty(commits.calls, commits.view.repository.root):
        note = "the work tree has uncommitted changes, which are in no commit of the range: they are not looked at"
        result.warnings.append(Message(code="dirty-tree", message=note))
    run = _Sessions(commits, result, save, progress)
    if (same := commits.same(0, last)) is not None:
        _end(result, NOT_COMPARABLE, f"{_named(found.bad)} is the pipeline of {_named(found.good)}: {same}")
        return
    progress.note(f"{last} commits: GOOD {_named(found.good)} against BAD {_named(found.bad)}")
    ends = run.session(0, last, judged)
    result.pairs, result.metrics = ends.pairs, ends.metrics
    conclude_gate(ends)
    row = main_failure(ends.metrics)
    if ends.errors or row is None:
        _without_a_bad_end(result, ends, found)
        return
    found.metric, found.change, found.low, found.high = row.name, row.change, row.low, row.high
    search = CommitSearch(last)
    while (place := search.following()) is not None:
        step = run.look(search, place, row)
        found.candidates = [commits.hashes[left] for left in search.candidates]
        if step is None:
            return
        found.steps.append(step)
        search.tell(place, is_bad=step.is_bad)
        save()
    found.candidates = [commits.hashes[place] for place in search.candidates]
    _explain(run, search, judged, result, found)


@dataclass
class _Sessions:
    commits: Commits
    result: Result
    save: Callable[[], object]
    progress: RunProgress

    def session(self, one: int, other: int, judged: Mapping[str, Judged], *, why: bool = False) -> Result:
        """Measure two commits in pairs, until the answer is clear."""
        sides = [self.commits.side(place) for place in (one, other)]
        session = self.result.model_copy(
            deep=True,
            update={"a": sides[0].shown, "b": sides[1].shown, "pairs": [], "metrics": [], "errors": [], "warnings": []},
        )
        plan = SessionPlan(
            enough=lambda so_far: has_seen_enough(so_far, self.commits.most),
            rows=lambda pairs: rows_of(pairs, judged_for(session.a, session.b, judged)),
            profiled=why,
            why_rounds=WHY_ROUNDS if why else 0,
            metrics=judged,
            end_at=self.commits.calls.end_at,
            most=self.commits.most,
        )
        both: dict[SideName, LiveSide] = {name: live(side) for name, side in zip("ab", sides, strict=True)}
        measure(both, session, plan, self.progress, self.save)
        return session

    def look(self, search: CommitSearch, place: int, row: Metric) -> BisectStep | None:
        """What a commit is: the same pipeline as one that is known, or by its pairs with GOOD.

        None where the whole search is over, as after an interruption and where the time is.
        """
        commits = self.commits
        commit = commits.hashes[place]
        step = BisectStep(commit=commit, subject=commits.subject(place), how="skipped")
        try:
            for known, bad in ((search.good, False), (search.bad, True)):
                if (same := commits.same(known, place)) is not None:
                    return step.model_copy(update={"how": "unchanged", "is_bad": bad, "note": same})
            commits.side(place)
        except PipeprofError as error:
            return step.model_copy(update={"note": str(error).partition("\n")[0]})
        left = len(search.candidates)
        self.progress.note(f"{left} commits left: GOOD against {_named(commit)} {step.subject}")
        session = self.session(0, place, {row.name: half_of(row)})
        if session.errors and session.errors[0].code != "side-failed":
            self.result.errors += session.errors
            self.result.exit_code = session.exit_code
            return None
        if session.errors:
            return step.model_copy(update={"note": session.errors[0].message})
        if not session.pairs:
            over = Message(code="time-over", message="--max-time ended the search.")
            self.result.warnings += [*session.warnings, over]
            self.result.verdict, self.result.exit_code = "cannot tell", INCONCLUSIVE
            return None
        names = _PER_STEP if row.name in _PER_STEP else {row.name}
        shown = next((one for one in session.metrics if one.name in names and one.level != "off"), None)
        told = is_bad(session.metrics, names)
        values = {"change": shown.change, "low": shown.low, "high": shown.high} if shown is not None else {}
        note = None if told is not None else "its pairs do not tell on which side of the change it is"
        update = {"how": "pairs", "is_bad": told, "pairs": len(counted(session.pairs)), "note": note, **values}
        return step.model_copy(update=update)


def _without_a_bad_end(result: Result, ends: Result, found: Bisect) -> None:
    """Say why there is nothing to search for."""
    result.warnings += ends.warnings
    if ends.errors:
        result.errors += ends.errors
        result.exit_code = ends.exit_code
        return
    both = f"{_named(found.bad)} against {_named(found.good)}"
    if ends.verdict == "not regressed":
        _end(result, NOT_COMPARABLE, f"nothing has regressed in {both}, so no commit can be the first bad one")
    elif ends.verdict == "regressed":
        _end(result, NOT_COMPARABLE, f"only a limit is exceeded in {both}, which every commit may do by itself")
    else:
        result.verdict, result.exit_code = "cannot tell", INCONCLUSIVE


def _explain(run: _Sessions, search: CommitSearch, judged: Mapping[str, Judged], result: Result, found: Bisect) -> None:
    """Measure the commit that was found against the one before it, with the cause."""
    commits = run.commits
    run.progress.note(f"why: {_named(commits.hashes[search.bad])} against {_named(commits.hashes[search.good])}")
    last = run.session(search.good, search.bad, judged, why=True)
    for name in ("a", "b", "pairs", "metrics", "stages", "changes", "change_places", "why", "search", "data", "order"):
        setattr(result, name, getattr(last, name))
    result.step, result.dispatch = last.step, last.dispatch
    result.warnings += last.warnings
    result.errors += last.errors
    if last.errors:
        result.exit_code = last.exit_code
        return
    conclude_gate(result)
    causes = [change for cause in result.why or () if cause.words in {"slower", "more"} for change in cause.changes]
    found.stage = stage_of_changes([*causes, *result.changes], result.stages)
    if len(found.candidates) > 1 or result.exit_code != FAILED:
        # Several commits are left, or the change is spread over several.
        result.verdict, result.exit_code = "cannot tell", INCONCLUSIVE
        return
    found.found, found.subject, found.candidates = commits.hashes[search.bad], commits.subject(search.bad), []


def _end(result: Result, code: int, said: str) -> None:
    result.errors.append(Message(code="no-bad-end", message=said))
    result.exit_code = code


def _named(commit: str) -> str:
    return commit[:_SHORT]
