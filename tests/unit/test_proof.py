"""Which cases a run of the benchmarks takes, when a ratio is decided, and what of a proof still counts."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
if str(BENCHMARKS) not in sys.path:
    sys.path.append(str(BENCHMARKS))

import copies
import planner
import rooms
import run
import stopping
import suite
from planner import SHARES, Work, choose

NAMES = sorted(path.parent.name for path in BENCHMARKS.glob("*/bench.py"))
BUDGET = 1740.0


def works(count: int, seconds: float = 60.0, **more: Any) -> list[Work]:
    return [Work("some", f"case {number}", seconds, "2026-01-01", 0, "holds", **more) for number in range(count)]


def changed(work: Work, lines: int | None = 7, tried: str = "2026-01-01") -> Work:
    return Work(work.benchmark, work.case, work.seconds, tried, lines, "holds")


# Shares


def test_a_case_stays_in_its_share() -> None:
    # Not Python's own hash, which is another one in each process.
    assert [planner.share_of("silence", name) for name in ("slices", "indices", "padded")] == [3, 8, 9]
    counts = Counter(work.share for work in works(1000))
    assert set(counts) == set(range(SHARES))
    assert max(counts.values()) < 2 * min(counts.values())


def test_ten_runs_measure_every_case_where_nothing_changes() -> None:
    left = {work.case: work for work in works(300, 20.0)}
    days: set[str] = set()
    for day in range(1, SHARES + 1):
        chosen = choose(list(left.values()), BUDGET)
        assert len({work.share for work in chosen}) == 1
        for work in chosen:
            days.add(work.case)
            left[work.case] = changed(work, 0, f"2026-02-{day:02}")
    assert len(days) == 300


# What a run takes


def test_changed_cases_come_first_and_then_the_oldest_share() -> None:
    every = works(100)
    oldest = next(work for work in every if work.share == 4)
    every[every.index(oldest)] = changed(oldest, 0, "2025-01-01")
    moved = [work for work in every if work.share in {1, 2}][:3]
    every = [changed(work) if work in moved else work for work in every]
    chosen = choose(every, BUDGET)
    assert [work.changed for work in chosen[:3]] == [7, 7, 7]
    assert {work.share for work in chosen[3:]} == {4}
    assert len(chosen) == 3 + sum(work.share == 4 for work in every)


def test_what_nobody_can_tell_of_counts_as_changed() -> None:
    every = works(40)
    every[0] = Work("some", "case 0", 60.0)
    every[1] = changed(every[1], None)
    assert {work.case for work in choose(every, BUDGET)[:2]} == {"case 0", "case 1"}


def test_a_room_that_changes_all_the_time_leaves_time_for_the_oldest_share() -> None:
    every = [changed(work) if number < 60 else work for number, work in enumerate(works(100))]
    chosen = choose(every, 10 * 60.0)
    old = [work for work in chosen if work.changed == 0]
    assert sum(work.seconds for work in chosen) <= 600.0
    assert old
    assert len({work.share for work in old}) == 1
    assert sum(work.seconds for work in old) <= planner.RESERVED * 600.0


def test_changed_cases_of_the_oldest_share_come_before_others() -> None:
    every = [changed(work, 7, "2025-06-01" if work.share == 6 else "2026-01-01") for work in works(200)]
    chosen = choose(every, 300.0)
    assert len(chosen) == 5
    assert {work.share for work in chosen} == {6}


@pytest.mark.parametrize("moved", [0, 1, 500, 5000])
def test_the_plan_keeps_to_its_time_whatever_benchmarks_there_are(moved: int) -> None:
    chance = Random(moved)
    every = [
        Work(f"benchmark {number % 40}", f"case {number}", chance.uniform(1.0, 400.0), f"2026-{number % 12 + 1:02}")
        if number < moved
        else changed(Work(f"benchmark {number % 40}", f"case {number}", chance.uniform(1.0, 400.0)), 0)
        for number in range(5000)
    ]
    chosen = choose(every, BUDGET)
    assert 0 < sum(work.seconds for work in chosen) <= BUDGET
    assert len(set(chosen)) == len(chosen)


def test_a_case_longer_than_the_time_is_not_begun() -> None:
    assert choose([Work("some", "long", 2000.0), Work("some", "short", 10.0)], BUDGET) == [Work("some", "short", 10.0)]


def test_a_run_of_everything_takes_what_is_not_measured_for_the_present_code() -> None:
    done, failed = works(1)[0], Work("some", "failed", 1.0, "2026", 0, "does not hold")
    unclear = Work("some", "unclear", 1.0, "2026", 0, "cannot tell")
    old_truth = Work("some", "grid", 1.0, "2026", 0, "holds", 12)
    never = Work("some", "never", 1.0)
    every = [done, failed, unclear, old_truth, never, changed(done)]
    assert planner.unfinished(every) == [unclear, old_truth, never, changed(done)]


def test_words_of_a_plan_say_how_it_was_chosen() -> None:
    every = works(50, 10.1)
    chosen, words = run.plan(every, [], everything=False, seconds=BUDGET)
    assert f"{len(chosen)} of 50 cases: 0 of 0 of changed rooms, {len(chosen)} of share" in words
    # The very works, so that what is left is told from what was chosen.
    assert set(chosen) <= set(every)
    assert run.plan(every, ["some"], everything=False, seconds=0.0) == (every, "50 cases of some")
    assert run.plan(every, [], everything=True, seconds=0.0)[0] == []


def test_a_run_can_be_of_some_cases(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(run, "listed", lambda name: {"cases": {f"first of {name}": {}, "second": {}}})
    monkeypatch.setattr(
        run, "works_of", lambda name, described, _: [Work(name, case, 60.0) for case in described["cases"]]
    )

    def planned(*words: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["run.py", "--plan", *words])
        assert run.main() == 0
        return capsys.readouterr().out.splitlines()

    assert planned("gate", "scale", "--case", "first of scale") == [
        "1 case of gate, scale: 1 minutes",
        "  scale: first of scale (60 s)",
    ]
    assert len(planned("gate", "scale", "--case", "second")) == 3
    for words in (("gate", "--case", "first of scale"), ("--case", "second")):
        with pytest.raises(SystemExit, match="2"):
            planned(*words)
        assert "no such case of the named benchmarks" in capsys.readouterr().err


# What still counts


def test_a_replaced_line_counts_once() -> None:
    assert planner.changed_lines("3\t5\ta.py\n10\t0\tb c.py\n-\t-\td.npz\n") == 16
    assert planner.changed_lines("") == 0


@pytest.mark.parametrize(
    ("changes", "stale"), [([0, 500], False), ([0, 501], True), ([0, None], True), ([], False), ([12], False)]
)
def test_a_claim_is_stale_when_one_of_its_cases_is(changes: list[int | None], stale: bool) -> None:
    assert planner.is_stale(changes) is stale


def test_only_what_holds_for_the_present_code_is_proven() -> None:
    work = works(1)[0]
    assert planner.is_proven(work)
    assert not planner.is_proven(changed(work, 1))
    assert not planner.is_proven(changed(work, None))
    assert not planner.is_proven(Work("some", "case", 1.0, "2026", 0, "does not hold"))


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (["holds", "holds"], "holds"),
        (["holds", None], "cannot tell"),
        (["holds", "cannot tell"], "cannot tell"),
        (["does not hold", None], "does not hold"),
        ([], "cannot tell"),
    ],
)
def test_of_cases_that_were_not_measured_nobody_can_tell(outcomes: list[str | None], said: str) -> None:
    assert suite.outcome_of(outcomes) == said
    names = [f"{number}" for number in range(len(outcomes))]
    benchmark = suite.Benchmark("claim", names, lambda *_: {}, suite.RUN)
    cases = {name: {"outcome": outcome} for name, outcome in zip(names, outcomes, strict=True) if outcome}
    assert suite.concluded(benchmark, cases)["outcome"] == said


def test_the_sum_of_some_cases_holds_of_no_more_than_them() -> None:
    benchmark = suite.Benchmark(
        "claim", ["a", "b"], lambda *_: {}, suite.RUN, conclude=lambda cases: ("holds", {"n": len(cases)})
    )
    case = {"outcome": "holds"}
    assert suite.concluded(benchmark, {"a": case, "gone": case}) == {"outcome": "cannot tell", "figures": {"n": 1}}
    assert suite.concluded(benchmark, {"a": case, "b": case}) == {"outcome": "holds", "figures": {"n": 2}}


# Rooms


def test_imports_of_type_checkers_do_not_count_and_strings_do() -> None:
    source = """
from typing import TYPE_CHECKING
import pipeprof.one
if TYPE_CHECKING:
    from pipeprof.two import never
def later(name):
    from pipeprof.three import four
    return f"pipeprof.five.{name}", "pipeprof.six"
"""
    statements, strings = rooms.names_in(source)
    assert {name for name in statements if name.startswith("pipeprof")} == {
        "pipeprof.one", "pipeprof.three", "pipeprof.three.four",
    }  # fmt: skip
    assert strings == {"pipeprof.five.", "pipeprof.six"}


def test_a_room_left_out_hides_what_only_it_reaches() -> None:
    check = set(rooms.covered(suite.CHECK.roots, suite.CHECK.without))
    alone = set(rooms.covered(suite.RUN_ALONE.roots, suite.RUN_ALONE.without))
    verified = set(rooms.covered(suite.RUN.roots, suite.RUN.without))
    assert {"pipelines/spec", "pipelines/inference", "cli/commands"} <= check
    assert "profiles/worker" not in check
    # A worker is started by the name of its module, rules are found in their package.
    assert {"profiles/worker", "profiles/worker/trace", "profiles/advise/rules/speed"} <= alone
    assert check - {"api"} < alone < verified


def bench(name: str) -> ModuleType:
    """A benchmark's module, in this process; modules of its folder are forgotten afterwards."""
    folder, path, known = BENCHMARKS / name, list(sys.path), set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(f"bench_of_{name}", folder / "bench.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = path
        for other in set(sys.modules) - known:
            if Path(getattr(sys.modules[other], "__file__", None) or "").parent == folder:
                del sys.modules[other]
    return module


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_names_its_cases_and_rooms_that_exist(name: str) -> None:
    found, known = suite.described(bench(name).BENCHMARK), rooms.modules()
    assert found["claim"]
    assert found["cases"]
    assert found["seconds"] <= BUDGET
    for roots, without in {(covers["roots"], covers["without"]) for covers in found["cases"].values()}:
        assert all(root in known or f"pipeprof.cli.commands.{root}" in known for root in roots), roots
        absent = [room for room in without if not ((ROOT / room).is_dir() or (ROOT / f"{room}.py").is_file())]
        assert absent == [], "rooms that a benchmark leaves out and that do not exist"
        assert rooms.covered(roots, without)


# What is kept


@pytest.mark.parametrize("name", NAMES)
def test_each_case_has_its_own_commit_machine_and_rooms(name: str) -> None:
    result = run.result_of(name)
    assert result["name"] == name
    noted = json.loads(run.PROOF.read_text(encoding="utf-8"))["claims"][name]
    # What was never measured has no file, and nobody can tell.
    assert noted["outcome"] == result.get("outcome", "cannot tell")
    measured = {case for case, one in noted["cases"].items() if one["outcome"] is not None}
    assert measured <= result["cases"].keys()
    for case, kept in result["cases"].items():
        assert kept["outcome"] in {"holds", "does not hold", "cannot tell", None}
        assert {"commit", "measured", "uncommitted_changes", "machine", "covers", "figures", "raw"} <= set(kept)
        assert kept["machine"]["cores"]
        assert kept["covers"]
        # benchmarks/run.py writes both: whoever changes one by hand forgets the other.
        assert noted["cases"][case]["commit"] == kept["commit"]
        assert noted["cases"][case]["outcome"] == kept["outcome"]


# When a ratio is decided


def test_students_quantiles_are_those_of_tables() -> None:
    assert [round(stopping.student(1.959964, freedom), 2) for freedom in (1, 2, 3, 4, 10, 29)] == [
        12.71, 4.3, 3.18, 2.78, 2.23, 2.05,
    ]  # fmt: skip
    assert stopping.interval([2.0])[1:] == (0.0, float("inf"))


def test_a_clear_ratio_takes_few_pairs_and_one_at_its_limit_all() -> None:
    chance = Random(1)
    assert len(stopping.until_decided(lambda _: chance.gauss(0.7, 0.02), [2.0], 30, 6)) == 6
    near = stopping.until_decided(lambda _: chance.gauss(2.0, 0.2), [2.0], 30, 6)
    assert len(near) == 30
    assert stopping.outcome(near, 2.0, at_least=False) == "cannot tell"
    assert stopping.outcome([0.7, 0.71, 0.69], 1.0, at_least=False) == "holds"
    assert stopping.outcome([0.7, 0.71, 0.69], 1.0, at_least=True) == "does not hold"
    assert stopping.looks(30, 6) == [6, 12, 18, 24, 30]
    assert stopping.looks(1, 1) == [1]


def test_looking_five_times_is_wrong_as_often_as_looking_once() -> None:
    chance, wrong, tries = Random(4), 0, 400
    for _ in range(tries):
        pairs = stopping.until_decided(lambda _: chance.lognormvariate(0.0, 0.05), [1.0], 20, 4)
        wrong += stopping.outcome(pairs, 1.0, at_least=True) != "cannot tell"
    assert 0 < wrong / tries <= 0.08


@pytest.mark.parametrize(
    ("python", "outcome"),
    [
        ((10.0, 9.5, 10.5), "holds"),
        ((13.0, 12.0, 14.0), "cannot tell"),
        ((16.0, 15.0, 17.0), "does not hold"),
        ((6.2, 5.5, 6.9), "cannot tell"),
        ((4.0, 3.8, 4.2), "does not hold"),
    ],
)
def test_an_upper_bound_is_wrong_where_both_intervals_say_so(python: tuple[float, ...], outcome: str) -> None:
    found = {
        name: dict(zip(("ratio", "low", "high"), values, strict=True))
        for name, values in (("known", (10.0, 9.0, 11.0)), ("python", python))
    }
    assert bench("ceiling").judge("in Python", found) == outcome


@pytest.mark.parametrize(
    ("shares", "faults", "outcome"),
    [
        ([0.3], [], "holds"),
        ([2.0], [], "does not hold"),
        ([0.9], [], "cannot tell"),
        ([0.9, 0.91, 0.89], [], "holds"),
        ([0.3], ["run of 500 × map ended with 5"], "does not hold"),
    ],
)
def test_a_single_long_run_decides_only_far_from_its_limit(
    shares: list[float], faults: list[str], outcome: str
) -> None:
    assert bench("scale").outcome_of_rounds(shares, faults) == outcome


def test_what_is_proven_is_held_against_both_ends_of_what_mending_is_worth() -> None:
    advice = bench("advice")

    def said(gain: float, worth: list[float]) -> str:
        kept = {"status": "kept", "measured": {"speedup": gain}}
        outcome: str = advice.outcome_of(("kept",), worth, [kept])
        return outcome

    steady, noisy = [2.0, 2.02, 1.98], [1.0, 4.0, 2.0]
    assert said(1.5, steady) == "holds"
    assert said(1.1, steady) == "does not hold"
    assert said(1.5, noisy) == "cannot tell"


@pytest.mark.parametrize(
    ("ratios", "outcome"),
    [
        ([1.0, 1.01, 0.99, 1.0], "holds"),
        ([1.1, 1.11, 1.09, 1.1], "does not hold"),
        ([0.9, 0.91, 0.89, 0.9], "does not hold"),
        ([1.0, 1.2, 0.8], "cannot tell"),
        ([1.0], "cannot tell"),
    ],
)
def test_copies_are_as_fast_as_fresh_processes_or_nobody_can_tell(ratios: list[float], outcome: str) -> None:
    assert copies.agreement([{"ratio": ratio} for ratio in ratios])["outcome"] == outcome


def test_one_loop_in_five_runs_fresh_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(copies.Copies, "_copied", lambda *_: {"rate": 11.0})
    monkeypatch.setattr(copies, "_fresh", lambda *_: {"rate": 10.0})
    with copies.Copies("rate", first=3) as loops:
        for number in range(10):
            loops.run(["plain.py", f"{number}"], tmp_path)
        loops.run(["plain.py", "epochs"], tmp_path, rated=False)
    assert [row["loop"] for row in loops.rows] == ["plain.py 1", "plain.py 6"]
    assert {row["ratio"] for row in loops.rows} == {1.1}


# A benchmark of its own


FAKE = """
import sys, time
sys.path.append({folder!r})
from suite import CHECK, Benchmark, NotMeasuredError, main

def measured(name, folder):
    if name == "absent":
        raise NotMeasuredError("no such machine")
    if name == "broken":
        sys.exit("it broke")
    return {{"outcome": "holds", "figures": {{"n": 1}}, "raw": {{}}}}

sys.exit(main(Benchmark("a claim", ("good", "absent", "broken"), measured, CHECK)))
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A benchmark in a folder of its own, whose results go there."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "fake" / "bench.py").write_text(FAKE.format(folder=str(BENCHMARKS)))
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(run, "machine", lambda: {"cores": 2})
    return tmp_path


def kept(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results" / "fake.json").read_text())
    return found


def test_a_later_benchmark_joins_by_being_there_and_keeps_what_was_measured(fake: Path, tmp_path: Path) -> None:
    described = {"fake": run.listed("fake")}
    every = run.works_of("fake", described["fake"], run.result_of("fake"))
    assert [(work.case, work.changed, work.outcome) for work in every] == [
        ("good", None, None), ("absent", None, None), ("broken", None, None),
    ]  # fmt: skip
    one = run.Run(described, truth=False, until=None)
    one.take(every[:1], tmp_path)
    result = kept(fake)
    assert result["outcome"] == "cannot tell"
    assert result["cases"]["good"]["figures"] == {"n": 1}
    assert len(result["cases"]["good"]["commit"]) == 40
    one.take(every[1:], tmp_path)
    result = kept(fake)
    assert result["outcome"] == "does not hold"
    assert "it broke" in result["cases"]["broken"]["figures"]["error"]
    assert result["cases"]["absent"]["outcome"] is None
    assert (one.outcomes["holds"], one.outcomes["does not hold"]) == (["fake good"], ["fake broken"])


def test_what_cannot_be_measured_now_keeps_what_was(fake: Path, tmp_path: Path) -> None:
    described = {"fake": run.listed("fake")}
    work = Work("fake", "absent", 1.0)
    before = {"outcome": "holds", "commit": "1" * 40, "measured": "2026-01-01", "raw": {}, "covers": ["cli"]}
    run.write(fake / "results" / "fake.json", {"name": "fake", "cases": {"absent": before}})
    run.Run(described, truth=False, until=None).take([work], tmp_path)
    after = kept(fake)["cases"]["absent"]
    assert (after["outcome"], after["measured"]) == ("holds", "2026-01-01")
    assert after["tried"] > "2026-01-01"


def test_a_case_without_time_is_left(fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = run.Run({"fake": run.listed("fake")}, truth=False, until=0.0)
    work = Work("fake", "good", 60.0)
    one.take([work], tmp_path)
    assert one.left == [work]
    assert capsys.readouterr().out == "", "it was begun"
    assert not (fake / "results" / "fake.json").exists()


def test_a_case_that_takes_too_long_is_ended_and_left(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless:
        def __init__(self, command: list[str], **_options: object) -> None:
            self.command = command

        def wait(self, seconds: float) -> None:
            raise subprocess.TimeoutExpired(self.command, seconds)

    ended: list[object] = []
    one = run.Run({"fake": run.listed("fake")}, truth=False, until=time.monotonic() + 600)
    monkeypatch.setattr(run, "end_group", ended.append)
    monkeypatch.setattr(subprocess, "Popen", Endless)
    work = Work("fake", "good", 0.1)
    one.take([work], tmp_path)
    assert one.left == [work]
    assert len(ended) == 1
    assert not (fake / "results" / "fake.json").exists()
