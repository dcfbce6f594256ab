"""The search with scripted measurements: what is raced, what is taken, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from pipeprof.pipelines.changes.edits import PipelineEdit, SetArgument
from pipeprof.pipelines.changes.version import Version
from pipeprof.profiles.advise.proposal import Prediction, Proposal
from pipeprof.profiles.document.findings import Finding, Fix
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.same_data import DataCheck
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.fix.candidates import EVERYTHING, EVERYWHERE
from pipeprof.profiles.fix.race import BaseFailedError, ChangedFileError, Raced
from pipeprof.profiles.fix.search import Search
from pipeprof.profiles.tries.outcome import describe
from pipeprof.profiles.verify.trials import Trial
from tests.unit.intervals import compared

MIB = 2**20
PEAK = 900 * MIB


def raced(value: float, peak: int = PEAK, base: int = PEAK) -> Raced:
    return Raced(
        compared=compared(value, value * 0.99, 4),
        ratios=(value,) * 4,
        peak_bytes=peak,
        base_peak_bytes=base,
        runtime_bytes=300 * MIB,
        data=DataCheck("bytes", 8, True),
    )


def finding(title: str, stage: str, **changes: object) -> Finding:
    edit = {"kind": "SetArgument", "stage": stage, "op": "map", "argument": "num_parallel_calls", "value": title}
    data = {"rule": "parallel-calls", "title": title, "family": "speed", "stage": stage, "semantics": "same"}
    data["predicted"] = {"speedup": 10.0}  # type: ignore[assignment]
    return Finding.model_validate({**data, "edit": [edit], "status": "unverified", **changes})


@dataclass
class FakeLab:
    """Gives scripted results, by title of the change.

    Attributes:
        results: Factors, or whole results; what is not listed gives no gain.
        again: What the pipeline looks like after a step.
        races: How many races there is time for.
        seen: Titles of every race.
        looked: Versions that were looked at.
        slow: Edits for which there is no time.
    """

    results: Mapping[str, float | Raced | Exception]
    again: Profile | None = None
    races: int = 99
    most: int = 4
    least_budget: int = 25
    trial_seconds: float = 10.0
    seen: list[list[str]] = field(default_factory=list)
    looked: list[Version] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    promised: list[float] = field(default_factory=list)
    slow: Sequence[PipelineEdit] = ()

    def fits(self, rivals: Sequence[Sequence[PipelineEdit]]) -> bool:
        slow = any(edit in self.slow for edits in rivals for edit in edits)
        return len(rivals) > 0 and not slow and len(self.seen) < self.races

    def race(self, base: Version, rivals: Mapping[str, tuple[Proposal, Version]]) -> dict[str, Raced]:
        for candidate, version in rivals.values():
            assert version.steps == (*base.steps, candidate.edits)
        self.seen.append([candidate.title for candidate, _ in rivals.values()])
        found = {}
        for name, (candidate, _) in rivals.items():
            result = self.results.get(candidate.title, 1.0)
            if isinstance(result, Exception):
                raise result
            found[name] = result if isinstance(result, Raced) else raced(result)
        return found

    def look(self, version: Version) -> Profile | None:
        self.looked.append(version)
        return self.again

    def taken(self, title: str, gain: float) -> None:
        assert any(title in titles for titles in self.seen)
        self.gains.append(gain)

    def promises(self, gain: float) -> None:
        self.promised.append(gain)


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    found = recorded("jpeg-folder")
    found.findings = [finding("first", "stages.1"), finding("second", "stages.2", predicted={"speedup": 20.0})]
    return found


def search(profile: Profile, lab: FakeLab, **options: object) -> Search:
    given = {"kind": "calls", "allowed": {"same"}, **options}
    return Search(Version(), profile, lab, **given)  # type: ignore[arg-type]


def results(found: Search) -> dict[str, str]:
    return {step.title: step.result for step in found.found.steps}


def test_the_best_of_a_race_is_taken_and_the_pipeline_is_looked_at_again(
    profile: Profile, recorded: Callable[[str], Profile]
) -> None:
    again = recorded("jpeg-folder")
    again.findings = [finding("third", "stages.1"), finding("first", "stages.1")]
    lab = FakeLab({"first": 1.4, "second": 2.0, "third": 1.2}, again)
    one = search(profile, lab)
    found = one.run()
    assert lab.seen[0][:4] == [EVERYTHING, EVERYWHERE, "second", "first"]
    assert [[getattr(edit, "value", "") for edit in step] for step in found.best.steps] == [
        ["second"],
        ["first"],
        ["third"],
    ]
    assert [len(version.steps) for version in lab.looked] == [1, 2, 3]
    assert lab.gains == [pytest.approx(2.0), pytest.approx(2.8), pytest.approx(3.36)]
    assert found.reason == "nothing further helps"
    outcomes = [(step.title, step.round, step.result) for step in found.steps if step.speedup and step.speedup > 1]
    assert outcomes == [
        ("second", 1, "taken"),
        ("first", 1, "behind"),
        ("third", 2, "behind"),
        ("first", 2, "taken"),
        ("third", 3, "taken"),
    ]


def test_what_gave_no_gain_is_raced_again_only_after_a_step(profile: Profile) -> None:
    lab = FakeLab({"second": 1.5}, profile)
    search(profile, lab).run()
    raced_titles = [title for titles in lab.seen for title in titles]
    assert raced_titles.count("first") == 2
    assert raced_titles.count("second") == 1


def test_what_was_slower_is_not_raced_again(profile: Profile) -> None:
    lab = FakeLab({"second": 1.5, "first": 0.7}, profile)
    search(profile, lab).run()
    assert [title for titles in lab.seen for title in titles].count("first") == 1


def test_without_a_gain_the_pipeline_stays_as_it_is(profile: Profile) -> None:
    lab = FakeLab({})
    one = search(profile, lab)
    assert one.run().best.steps == ()
    assert set(results(one).values()) == {"rejected"}
    assert one.found.reason == f"none of {len(one.found.steps)} changes that were measured helps"
    assert lab.looked == []


def unclear(value: float, low: float) -> Raced:
    return replace(raced(value), compared=compared(value, low, 16))


def test_where_nothing_is_faster_for_certain_the_proof_decides_about_the_most_promising(profile: Profile) -> None:
    lab = FakeLab({"first": unclear(1.05, 1.02), EVERYWHERE: unclear(1.04, 1.01)})
    one = search(profile, lab)
    found = one.run()
    assert [[edit.value for edit in step] for step in found.best.steps] == [["first"]]  # type: ignore[attr-defined]
    assert (found.promised, found.gain, lab.promised[-1]) == (True, pytest.approx(1.05), pytest.approx(1.05))
    assert (results(one)["first"], results(one)[EVERYWHERE]) == ("taken", "unclear")
    assert lab.looked == []


def test_what_may_be_slower_promises_nothing(profile: Profile) -> None:
    found = search(profile, FakeLab({"first": unclear(1.05, 0.99)})).run()
    assert (found.best.steps, found.promised) == ((), False)


def test_before_the_proof_of_a_small_gain_only_what_is_expected_to_give_more_is_raced(profile: Profile) -> None:
    profile.findings = [
        finding(f"x{number}", "stages.1", predicted={"speedup": predicted})
        for number, predicted in enumerate((9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.5, 1.3, 1.01))
    ]
    lab = FakeLab({"x0": unclear(1.05, 1.02)})
    search(profile, lab).run()
    titles = [title for titles in lab.seen for title in titles]
    assert "x7" in titles
    lab = FakeLab({"x0": unclear(1.5, 1.02)})
    search(profile, lab).run()
    assert "x7" not in [title for titles in lab.seen for title in titles]


def test_a_step_that_is_faster_for_certain_takes_the_place_of_a_promise(profile: Profile) -> None:
    profile.findings = [
        *(finding(f"x{number}", "stages.1", predicted={"speedup": 9.0 - number}) for number in range(4)),
        finding("later", "stages.2", predicted={"speedup": 2.0}),
    ]
    found = search(profile, FakeLab({"x0": unclear(1.05, 1.02), "later": 1.5})).run()
    assert [[edit.value for edit in step] for step in found.best.steps] == [["later"]]  # type: ignore[attr-defined]
    assert not found.promised


def test_a_promise_that_the_proof_does_not_keep_leaves_the_pipeline_as_it_is(profile: Profile) -> None:
    found = search(profile, FakeLab({"first": unclear(1.05, 1.02)})).run()
    fix = Fix(
        status="nothing", reason="", seconds=1, budget_seconds=60, wall_seconds=1, allow=["same"], steps=found.steps
    )
    describe(fix, found, Trial("rejected", "no gain above 3 %: 1.01× (0.998–1.02)"))
    words = "the best candidate does not hold: no gain above 3 %: 1.01× (0.998–1.02)"
    assert (fix.status, fix.reason) == ("nothing", words)
    assert "taken" not in {step.result for step in fix.steps}


def test_what_more_could_be_allowed_is_stated(profile: Profile) -> None:
    assert profile.findings is not None
    profile.findings += [
        finding("third", "stages.1", semantics="randomness"),
        finding("fourth", "stages.1", semantics="order"),
    ]
    profile.seed = 1
    assert search(profile, FakeLab({})).run().reason.endswith(" helps; --allow order,randomness tries 2 more changes")
    allowed = search(profile, FakeLab({}), allowed={"same", "order", "randomness"}).run()
    assert "--allow" not in allowed.reason


def test_the_budget_ends_it_with_the_best_so_far(profile: Profile) -> None:
    lab = FakeLab({"second": 2.0}, profile, races=1)
    found = search(profile, lab).run()
    assert (len(found.best.steps), found.reason) == (
        1,
        "what is left of the budget is too short for another change and its proof",
    )
    assert lab.looked == []
    none = search(profile, FakeLab({}, races=0)).run().reason
    assert none == "the budget is too small to prove a change: --budget 25"


def test_an_interruption_ends_it_with_the_best_so_far(profile: Profile, recorded: Callable[[str], Profile]) -> None:
    again = recorded("jpeg-folder")
    again.findings = [finding("third", "stages.1")]
    found = search(profile, FakeLab({"second": 2.0, "third": InterruptedVerificationError()}, again)).run()
    assert found.interrupted
    assert len(found.best.steps) == 1


def test_a_change_above_the_memory_limit_is_rejected_with_both_numbers(profile: Profile) -> None:
    lab = FakeLab({"second": raced(2.0, peak=3000 * MIB), "first": 1.2}, None)
    one = search(profile, lab, limit_bytes=2000 * MIB)
    found = one.run()
    assert [edit.value for edit in found.best.steps[0]] == ["first"]  # type: ignore[attr-defined]
    second = next(step for step in found.steps if step.title == "second")
    assert second.reason == "needs 2.93 GiB, the limit is 1.95 GiB; speed 2.00× (1.98–2.02)"


SMALLER = {"family": "memory"}


def test_a_memory_change_that_costs_speed_is_not_taken_and_both_are_stated(profile: Profile) -> None:
    profile.findings = [finding("smaller", "stages.2", **SMALLER)]
    one = search(profile, FakeLab({"smaller": raced(0.8, peak=PEAK - 400 * MIB)}))
    assert one.run().best.steps == ()
    step = next(step for step in one.found.steps if step.title == "smaller")
    assert step.reason == "400 MiB less memory, but slower: 0.800× (0.792–0.808)"


def test_where_memory_is_short_the_change_is_taken_although_it_costs_speed(profile: Profile) -> None:
    profile.findings = [finding("faster", "stages.1"), finding("smaller", "stages.2", **SMALLER)]
    profile.memory.peak_bytes = PEAK
    lab = FakeLab({"faster": 2.0, "smaller": raced(0.8, peak=PEAK - 400 * MIB)}, None)
    found = search(profile, lab, limit_bytes=PEAK - 100 * MIB).run()
    assert lab.seen[0][0] == "smaller"
    assert [edit.value for edit in found.best.steps[0]] == ["smaller"]  # type: ignore[attr-defined]
    assert found.for_memory


@pytest.mark.parametrize(("allowed", "raced_too"), [({"same"}, False), ({"same", "order"}, True)])
def test_only_allowed_classes_are_tried(profile: Profile, allowed: set[str], raced_too: bool) -> None:
    profile.findings = [finding("first", "stages.1"), finding("other order", "stages.2", semantics="order")]
    lab = FakeLab({})
    search(profile, lab, allowed=allowed).run()
    assert ("other order" in {title for titles in lab.seen for title in titles}) == raced_too


def test_a_pipeline_that_cannot_run_twice_is_left_alone(profile: Profile) -> None:
    found = search(profile, FakeLab({"first": BaseFailedError("the pipeline writes files")})).run()
    assert found.best.steps == ()
    assert found.reason == "no change can be tried: the pipeline writes files"


def test_a_change_that_fails_or_is_refused_has_its_reason(profile: Profile) -> None:
    failed, refused = Raced("the changed pipeline raised: boom"), Raced("stages.1: captures", refused=True)
    one = search(profile, FakeLab({"first": failed, "second": refused}))
    one.run()
    steps = {step.title: (step.result, step.reason) for step in one.found.steps}
    assert steps["first"] == ("rejected", "the changed pipeline raised: boom")
    assert steps["second"] == ("not-tried", "decode: captures")


def test_a_pipeline_that_keeps_up_with_its_step_is_not_raced(recorded: Callable[[str], Profile]) -> None:
    lab = FakeLab({})
    found = search(recorded("step-bound"), lab).run()
    assert (lab.seen, found.best.steps) == ([], ())
    assert found.reason == "the step is the limit, not the pipeline"


def test_a_file_that_changes_ends_the_search_with_the_best_so_far(
    profile: Profile, recorded: Callable[[str], Profile]
) -> None:
    again = recorded("jpeg-folder")
    again.findings = [finding("third", "stages.1")]
    lab = FakeLab({"second": 2.0, "third": ChangedFileError("own.py has changed while fix was measuring")}, again)
    found = search(profile, lab).run()
    assert (len(found.best.steps), found.interrupted) == (1, False)
    fix = Fix(status="nothing", reason="", seconds=1, budget_seconds=60, wall_seconds=1, allow=["same"])
    describe(fix, found, None)
    words = "own.py has changed while fix was measuring: only the steps were measured"
    assert (fix.status, fix.reason) == ("interrupted", words)


def test_a_signal_during_a_look_decides_the_exit_code(profile: Profile) -> None:
    class Looking(FakeLab):
        def look(self, version: Version) -> Profile | None:
            del version
            raise InterruptedVerificationError(143)

    found = search(profile, Looking({"second": 2.0})).run()
    assert (found.interrupted, found.exit_code, len(found.best.steps)) == (True, 143, 1)


def proven(title: str, semantics: str = "same") -> Proposal:
    edit = SetArgument("stages.1", "map", "num_parallel_calls", title)
    return Proposal(title, title, (edit,), semantics, predicted=Prediction("", 5.8), measured=(5.8, 5.4, 6.2))  # type: ignore[arg-type]


def test_what_an_earlier_run_has_proven_is_tried_first_and_once(profile: Profile) -> None:
    lab = FakeLab({"first": 5.8}, None)
    found = search(profile, lab, proven=[proven("first")]).run()
    assert lab.seen[0][0] == "first"
    assert [title for titles in lab.seen for title in titles].count("first") == 1
    assert [[edit.value for edit in step] for step in found.best.steps] == [["first"]]  # type: ignore[attr-defined]


def test_a_proven_change_that_is_not_allowed_is_left_out_with_what_it_is_worth(profile: Profile) -> None:
    lab = FakeLab({})
    found = search(profile, lab, proven=[proven("cached", "order")]).run()
    assert "cached" not in {title for titles in lab.seen for title in titles}
    first = found.left_out[0]
    assert (first.title, first.speedup, first.known_by, first.allow) == ("cached", 5.8, "measured", "--allow order")
    allowed = search(profile, lab, proven=[proven("cached", "order")], allowed={"same", "order"}).run()
    assert "cached" in {title for titles in lab.seen for title in titles}
    assert all(one.semantics != "order" for one in allowed.left_out)


def test_after_a_step_only_what_was_measured_to_give_more_is_left_out(profile: Profile) -> None:
    found = search(profile, FakeLab({"first": 6.0}, None), proven=[proven("cached", "order")]).run()
    assert [one.title for one in found.left_out if one.known_by == "measured"] == []
    found = search(profile, FakeLab({"first": 2.0}, None), proven=[proven("cached", "order")]).run()
    assert [one.title for one in found.left_out if one.known_by == "measured"] == ["cached"]


def test_what_the_time_left_cannot_decide_is_not_begun_and_does_not_hold_up_the_others(profile: Profile) -> None:
    slow = SetArgument("stages.2", "map", "num_parallel_calls", "second")
    lab = FakeLab({"second": 2.0}, slow=(slow,))
    found = search(profile, lab).run()
    tried = {title for titles in lab.seen for title in titles}
    assert "first" in tried
    assert "second" not in tried
    assert found.reason == "what is left of the budget is too short for another change and its proof"


def test_what_a_race_measured_changes_the_order_of_the_rest(profile: Profile) -> None:
    profile.findings = [
        finding("a", "stages.1", predicted={"speedup": 20.0}),
        finding("b", "stages.1", predicted={"speedup": 18.0}),
        finding("c", "stages.2", predicted={"speedup": 6.0}),
    ]

    def came(gain: float) -> str:
        lab = FakeLab({"a": unclear(gain, 0.9)}, most=1)
        search(profile, lab).run()
        return "".join(title for titles in lab.seen for title in titles if title in {"a", "b", "c"})

    assert came(15.0) == "abc"
    assert came(1.1) == "acb"


def test_what_is_made_of_several_changes_is_raced_once_whatever_their_order_becomes(profile: Profile) -> None:
    profile.findings = [
        finding("a", "stages.1", predicted={"speedup": 20.0}),
        finding("c", "stages.2", predicted={"speedup": 6.0}),
    ]
    lab = FakeLab({"a": unclear(1.1, 0.9)}, most=3)
    search(profile, lab).run()
    assert [title for titles in lab.seen for title in titles].count(EVERYTHING) == 1


def caching(title: str) -> Finding:
    edit = {"kind": "InsertStage", "op": "cache", "arguments": {}, "after": "stages.1"}
    return finding(title, "stages.1", edit=[edit], predicted={"speedup": 96.0})


def test_what_gains_in_each_epoch_is_taken_before_a_cache(profile: Profile) -> None:
    profile.findings = [caching("cache"), finding("first", "stages.1")]
    lab = FakeLab({"cache": 96.0, "first": 3.0}, again=profile, most=1)
    found = search(profile, lab).run()
    assert "cache" not in lab.seen[0]
    assert [step.title for step in found.steps if step.result == "taken"] == ["first", "cache"]
    assert [step.cache is not None for step in found.steps if step.result == "taken"] == [False, True]


@pytest.mark.parametrize("allowed", [{"same"}, set()])
def test_a_cache_that_is_no_recommendation_is_not_tried_and_says_why(profile: Profile, allowed: set[str]) -> None:
    profile.findings, profile.no_cache = [caching("cache"), finding("first", "stages.1")], True
    lab = FakeLab({"cache": 96.0, "first": 3.0}, again=profile)
    found = search(profile, lab, allowed=allowed).run()
    assert all("cache" not in titles for titles in lab.seen)
    refused = [step.reason for step in found.steps if step.title == "cache"]
    assert refused == (["--no-cache leaves caches out"] if allowed else [])
    assert all(one.title != "cache" for one in found.left_out)


def test_a_search_without_time_names_the_budget_that_has_it(profile: Profile) -> None:
    found = search(profile, FakeLab({}, races=0)).run()
    assert (found.needs_seconds, found.reason) == (25, "the budget is too small to prove a change: --budget 25")
