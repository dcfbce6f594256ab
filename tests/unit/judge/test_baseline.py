"""A stored baseline: what it is, and what is judged against it."""

import random
from pathlib import Path

import pytest

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.document.subject import Host, Tool
from pipeprof.profiles.judge.baseline import (
    Against,
    check_comparable,
    conclude_baseline,
    differences,
    identity_of,
    is_other_host,
    load_baseline,
    rows_against,
)
from pipeprof.profiles.judge.verdicts.result import PairValues, Result, Side
from pipeprof.profiles.judge.verdicts.tabulate import Judged
from pipeprof.profiles.redaction.document import redact
from pipeprof.profiles.redaction.hider import Private

HOST = Host(name="one", system="Linux", machine="x86_64", cores=2.0)


def session(step: float, reference: float, *, peak: float = 1e9, seed: int = 1) -> list[PairValues]:
    draw = random.Random(seed)

    def near(value: float) -> float:
        return value * draw.gauss(1, 0.004)

    return [
        PairValues(
            order=[],
            a={"step_ms": near(step), "peak_bytes": near(peak)},
            b={"step_ms": near(reference)},
            again={"step_ms": near(step), "peak_bytes": near(peak)},
        )
        for _ in range(5)
    ]


def verdicts(earlier: list[PairValues], now: list[PairValues], *, other_host: bool = False) -> dict[str, str]:
    return {row.name: row.verdict for row in rows_against(earlier, now, how=Against(other_host=other_host))}


@pytest.mark.parametrize(
    ("now", "other_host", "verdict"),
    [
        (session(10.0, 5.0, seed=2), False, "not regressed"),
        (session(12.0, 5.0, seed=2), False, "regressed"),
        # The machine became slower, not the pipeline: the two disagree.
        (session(12.0, 6.0, seed=2), False, "cannot tell"),
        # Another machine: only what is left after division counts.
        (session(20.0, 10.0, seed=2), True, "not regressed"),
        (session(24.0, 10.0, seed=2), True, "regressed"),
    ],
)
def test_times_count_as_they_are_and_divided_by_the_reference(now, other_host, verdict):
    found = verdicts(session(10.0, 5.0), now, other_host=other_host)
    assert found["step_ms"] == verdict
    assert found["peak_bytes"] == "not regressed"


def test_memory_is_judged_as_it_is():
    assert verdicts(session(10, 5), session(10, 5, peak=1.2e9, seed=2), other_host=True)["peak_bytes"] == "regressed"


@pytest.mark.parametrize(("limit", "verdict"), [(0.9e9, "regressed"), (1.1e9, "not regressed")])
def test_a_limit_counts_whatever_the_baseline_has(limit, verdict):
    rows = rows_against(session(10, 5), session(10, 5, seed=2), {"peak_bytes": Judged(limit=limit)}, Against(True))
    change, own = (row for row in rows if row.name == "peak_bytes")
    assert (change.limit, change.verdict) == (None, "not regressed")
    assert (own.limit, own.a, own.floor, own.verdict) == (limit, None, 0.0, verdict)


def with_values(name: str, value: float, seed: int = 1) -> list[PairValues]:
    draw = random.Random(seed)
    pairs = session(10.0, 5.0, seed=seed)
    for side in (side for pair in pairs for side in (pair.a, pair.again)):
        side[name] = value * draw.gauss(1, 0.004)
    return pairs


@pytest.mark.parametrize(
    ("name", "now", "other_host", "verdict"),
    [
        ("wait_ms", 1.0, False, "not regressed"),
        ("wait_ms", 1.5, False, "regressed"),
        # No reference workload says what another machine adds to a wait.
        ("wait_ms", 1.0, True, "cannot tell"),
        ("disk_bytes_per_element", 1.0, True, "not regressed"),
        ("cpu_ms_per_element", 1.5, False, "regressed"),
    ],
)
def test_other_metrics_are_judged_when_asked(name, now, other_host, verdict):
    rows = rows_against(with_values(name, 1.0), with_values(name, now, 2), {name: Judged()}, Against(other_host))
    (row,) = (row for row in rows if row.name == name)
    assert (row.verdict, row.level) == (verdict, "error")


def test_cpu_time_of_another_host_is_divided_by_the_reference_workloads():
    name = "cpu_ms_per_element"
    now = with_values(name, 2.0, 2)
    for pair in now:
        pair.b["step_ms"] *= 2
    (row,) = (
        row for row in rows_against(with_values(name, 1.0), now, {name: Judged()}, Against(True)) if row.name == name
    )
    assert row.verdict == "not regressed"
    assert row.normalised == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize(
    ("earlier", "now", "reference", "verdict"),
    [
        # The step is as long on any machine, and so is an interval in which nothing waits.
        ((5.0, 0.0), (5.0, 0.0), 0.5, "not regressed"),
        ((5.0, 0.0), (5.0, 0.0), 2.0, "not regressed"),
        # What waits, waits twice as long on a machine that is half as fast.
        ((5.6, 0.6), (6.2, 1.2), 2.0, "not regressed"),
        ((5.3, 0.3), (6.2, 1.2), 2.0, "regressed"),
        # The pipeline sets the pace: the whole interval is twice as long, or the wait alone.
        ((8.0, 3.0), (16.0, 11.0), 2.0, "cannot tell"),
        ((8.0, 3.0), (24.0, 19.0), 2.0, "regressed"),
        ((8.0, 3.0), (8.0, 3.0), 2.0, "not regressed"),
    ],
)
def test_a_simulated_step_is_not_divided(earlier, now, reference, verdict):
    def waiting(interval: float, wait: float, reference: float, seed: int) -> list[PairValues]:
        pairs = session(interval, reference, seed=seed)
        for side in (side for pair in pairs for side in (pair.a, pair.again)):
            side["wait_ms"] = side["step_ms"] - (interval - wait)
            side["elements_per_second"] = 64e3 / side["step_ms"]
        return pairs

    rows = rows_against(
        waiting(*earlier, 50.0, 1), waiting(*now, 50.0 * reference, 2), how=Against(other_host=True, simulated=True)
    )
    found = {row.name: row for row in rows}
    assert found["step_ms"].verdict == found["elements_per_second"].verdict == verdict


def test_of_a_host_without_its_reference_workload_no_time_is_judged():
    now = [pair.model_copy(update={"b": {}}) for pair in session(10.0, 5.0, seed=2)]
    assert verdicts(session(10.0, 5.0), now, other_host=True) == {
        "step_ms": "cannot tell",
        "peak_bytes": "not regressed",
    }


def test_the_same_numbers_never_fail():
    one = session(10.0, 5.0)
    assert set(verdicts(one, one).values()) == {"not regressed"}


def test_a_metric_that_one_session_lacks_has_no_row():
    now = session(10.0, 5.0, seed=2)
    now[0].a.pop("peak_bytes")
    assert set(verdicts(session(10.0, 5.0), now)) == {"step_ms"}


def baseline(**fields) -> Result:
    sides = {"a": Side(text="spec.yaml", host=HOST), "b": Side(text="reference workload")}
    made = {"kind": "baseline", "complete": True, "pairs": session(10.0, 5.0), **sides, **fields}
    return Result(tool=Tool(version="1"), **made)


SPEC = identity_of(Path("spec.yaml"), None, None)


def test_a_baseline_is_read_back(tmp_path):
    path = tmp_path / "base.json"
    path.write_text(baseline().model_dump_json())
    assert len(load_baseline(path, "spec.yaml", SPEC).pairs) == 5


def test_a_target_is_what_its_file_is_from_the_root_of_the_repository(tmp_path):
    for clone in ("one", "two"):
        (tmp_path / clone / "specs").mkdir(parents=True)
    (tmp_path / "link").symlink_to("one/specs")
    one, two = tmp_path / "one", tmp_path / "two"
    known = identity_of(one / "specs/a.yaml", None, "numbers", one)
    assert known.file == "specs/a.yaml"
    assert known == identity_of(tmp_path / "link/../specs/a.yaml", None, "numbers", one)
    assert known == identity_of(two / "specs/a.yaml", None, "numbers", two)
    others = [
        identity_of(one / "a.yaml", None, "numbers", one),
        identity_of(one / "specs/a.yaml", None, "others", one),
        identity_of(one / "specs/a.yaml", "make", None, one),
        identity_of(one / "specs/a.yaml", None, "numbers"),
        identity_of("specs/a.yaml", "numbers", None),
    ]
    assert len({known.digest, *(other.digest for other in others)}) == 6
    assert others[3].file == str(one / "specs/a.yaml")


@pytest.mark.parametrize(
    ("text", "file", "function", "same"),
    [
        ("./spec.yaml", "spec.yaml", None, True),
        ("specs/../spec.yaml", "spec.yaml", None, True),
        ("other/spec.yaml", "spec.yaml", None, False),
        ("./train.py:make", "train.py", "make", True),
        ("train.py:make", "train.py", "other", False),
        ("\0.yaml", "spec.yaml", None, False),
    ],
)
def test_a_baseline_of_an_older_version_is_that_of_the_file_its_text_names(text, file, function, same, tmp_path):
    path = tmp_path / "base.json"
    path.write_text(baseline(a=Side(text=text)).model_dump_json())
    identity = identity_of(Path(file), function, "numbers")
    if same:
        assert load_baseline(path, file, identity).a.text == text
        return
    with pytest.raises(ProfileError, match=r"is the baseline of .*, not of /.*"):
        load_baseline(path, file, identity)


@pytest.mark.parametrize("root", [None, "/home/ada/app"])
def test_a_redacted_baseline_is_that_of_the_same_target(root, tmp_path):
    path, file = tmp_path / "base.json", Path("/home/ada/app/specs/a.yaml")
    identity = identity_of(file, None, "numbers", Path(root) if root else None)
    found = redact(baseline(a=Side(text=str(file), identity=identity)), Private(home="/home/ada", names=("ada",)))
    path.write_text(found.model_dump_json())
    assert "ada" not in path.read_text()
    assert load_baseline(path, "a.yaml", identity).pairs
    other = identity_of(Path("/home/ada/b/a.yaml"), None, "numbers")
    with pytest.raises(ProfileError, match=r"is the baseline of .*a\.yaml \(numbers\), not of /home/ada/b/a\.yaml"):
        load_baseline(path, "a.yaml", other)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            ("a", "step_ms"),
            1e308,
            "pairs.2.a.step_ms is 1e\\+308, expected 0 or 1e-12 to 1e\\+12 ms; measure it again: ",
        ),
        (("again", "step_ms"), 1e-308, "pairs.2.again.step_ms is 1e-308"),
        (("b", "step_ms"), 1e308, "pairs.2.b.step_ms is 1e"),
        (("a", "step_ms"), 0.0, "pairs.2.a has no step_ms"),
        (("a", "peak_bytes"), -1.0, "pairs.2.a.peak_bytes is -1"),
        (("a", "wait_ms"), -1e300, "pairs.2.a.wait_ms is -1e"),
        (("a", "idle_share"), 40.0, "pairs.2.a.idle_share is 40, expected at most 1.01; "),
        (("a", "stages.decode.time_ms"), 1e300, "pairs.2.a.stages.decode.time_ms is 1e"),
    ],
)
def test_values_that_no_process_has_are_refused_before_anything_is_measured(place, value, message, tmp_path):
    path = tmp_path / "base.json"
    pairs = session(10.0, 5.0)
    getattr(pairs[2], place[0])[place[1]] = value
    path.write_text(baseline(pairs=pairs).model_dump_json())
    with pytest.raises(ProfileError, match=f"base.json cannot serve as a baseline: {message}"):
        load_baseline(path, "spec.yaml", SPEC)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([session(10, 5)[0].model_copy(update={"again": None})], "fewer than two processes that count"),
        ([pair.model_copy(update={"counts": False}) for pair in session(10, 5)], "fewer than two processes that count"),
        (session(10, 5) * 201, "1,005 pairs, expected at most 1,000"),
    ],
)
def test_pairs_that_cannot_be_judged_by_are_refused(pairs, message, tmp_path):
    path = tmp_path / "base.json"
    path.write_text(baseline(pairs=pairs).model_dump_json())
    with pytest.raises(ProfileError, match=message):
        load_baseline(path, "spec.yaml", SPEC)


@pytest.mark.parametrize(
    ("pairs", "judged", "message", "code"),
    [
        (session(10, 5), {"step_ms": Judged()}, None, None),
        (session(10, 5)[:4], {}, "measured 4 of the 5 pairs of a baseline", 5),
        ([], {"step_ms": Judged()}, "measured 0 of the 5 pairs of a baseline", 5),
        (session(10, 5), {"wait_ms": Judged()}, "wait per step: not measured, but to be judged", 6),
        (session(10, 5), {"wait_ms": Judged(level="off")}, None, None),
        (session(1e20, 5), {}, "nothing can be judged by these pairs: pairs.0.a.step_ms is ", 5),
    ],
)
def test_only_a_session_that_can_be_judged_by_is_a_baseline(pairs, judged, message, code):
    found = baseline(complete=False, pairs=pairs)
    conclude_baseline(found, judged)
    assert found.exit_code == code
    assert len(found.errors) == (message is not None)
    assert all(one.message.startswith(message) for one in found.errors)


def test_a_regression_of_two_that_are_judged_has_to_be_clearer_than_of_one():
    judged = {"step_ms": Judged(), "peak_bytes": Judged(level="off")}

    def regressed(step: float, judged: dict[str, Judged]) -> bool:
        rows = rows_against(session(10, 5), session(step, 5, seed=2), judged)
        return next(row.verdict for row in rows if row.name == "step_ms") == "regressed"

    steps = [10.3 + n / 200 for n in range(60)]
    alone = [step for step in steps if regressed(step, judged)]
    both = [step for step in steps if regressed(step, {**judged, "peak_bytes": Judged()})]
    assert both
    assert set(both) < set(alone)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such baseline; measure one: pipeprof gate spec.yaml --baseline"),
        ("{", "is not a baseline"),
        ('{"tool": {"name": "other"}}', "is not a baseline"),
        (baseline(kind="gate").model_dump_json(), "is a result of gate, not a complete baseline; .* --force"),
        (baseline(complete=False).model_dump_json(), "not a complete baseline"),
        (baseline(a=Side(text="other.yaml")).model_dump_json(), "is the baseline of other.yaml, not of .*/spec.yaml"),
        (baseline().model_dump_json().replace('"schema_version":1', '"schema_version":2'), "upgrade pipeprof"),
        (baseline().model_dump_json().replace('"schema_version":1,', ""), "schema_version: input should be 1"),
        (baseline().model_dump_json().replace('"order":[]', '"order":3'), "is not a valid result: pairs.0.order"),
    ],
)
def test_what_is_no_baseline_of_the_target_is_not_comparable(tmp_path, text, message):
    path = tmp_path / "base.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ProfileError, match=message):
        load_baseline(path, "spec.yaml", SPEC)


@pytest.mark.parametrize(
    ("fields", "judged", "message"),
    [
        ({}, {"wait_ms": Judged()}, r"base.json has no wait per step, which the gate is to judge; measure it again: "),
        (
            {},
            {"stages.decode.time_ms": Judged(), "disk_bytes_per_element": Judged()},
            "no disk per element and time in decode",
        ),
        ({"step": "none", "dispatch": None}, {}, "was measured with step none, this is step simulate:5ms, dispatch 1"),
        ({"step": "simulate:5ms", "dispatch": "sync"}, {}, "step simulate:5ms, dispatch sync, this is"),
        (
            {"pairs": [pair.model_copy(update={"b": {}}) for pair in session(10, 5)]},
            {"step_ms": Judged()},
            "has no times of the reference workload; .* --force",
        ),
    ],
)
def test_a_baseline_that_cannot_answer_is_refused_before_anything_is_measured(fields, judged, message):
    found = baseline(**{"step": "simulate:5ms", "dispatch": 1, **fields})
    with pytest.raises(ProfileError, match=message):
        check_comparable(Path("base.json"), found, judged, "simulate:5ms", 1)


def test_a_baseline_of_the_same_step_with_all_that_is_judged_is_taken():
    judged = {"step_ms": Judged(), "wait_ms": Judged(level="off")}
    check_comparable(Path("base.json"), baseline(step="none"), judged, "none", None)


def test_another_host_and_other_versions_are_warnings():
    other = HOST.model_copy(update={"cpu_model": "another"})
    assert is_other_host(HOST, other)
    assert not is_other_host(HOST, HOST)
    one = Side(text="a", host=HOST, versions={"tensorflow": "2.20"})
    now = Side(text="a", host=other, versions={"tensorflow": "2.21"})
    assert [message.code for message in differences(one, now)] == ["other-host", "other-versions"]
    assert list(differences(one, one)) == []


@pytest.mark.parametrize(("now", "verdict"), [(1.0, "not regressed"), (1.3, "regressed")])
def test_a_stage_is_judged_against_the_baseline(now, verdict):
    name = "stages.decode.time_ms"

    def timed(factor: float, seed: int) -> list[PairValues]:
        pairs = session(10.0, 5.0, seed=seed)
        for pair in pairs:
            for side in (pair.a, pair.again):
                side[name] = factor * side["step_ms"] / 2
        return pairs

    rows = rows_against(timed(1.0, 1), timed(now, 2), {name: Judged(floor=0.1)})
    assert [(row.stage, row.verdict) for row in rows if row.name == name] == [("decode", verdict)]
