"""The benchmark of training scripts: the truth in a planted script's log, and edits of scripts that still apply."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.test_benchmarks import loaded

planted, cases = loaded("training/planted_cases.py"), loaded("training/cases.py")
MS = 1_000_000
GAP_MS, COUNT = 5, 60


def log(epochs: int, batch: int = 20, step: int = 10) -> list[tuple[int, int, int]]:
    """Epochs of sixty steps, with something of 5 ms before each."""
    now, records = 0, []
    for _ in range(epochs):
        now += GAP_MS
        for _ in range(COUNT):
            records.append((planted.BATCH, now * MS, (now + batch) * MS))
            records.append((planted.STEP, (now + batch) * MS, (now + batch + step) * MS))
            now += batch + step
    return records


def profile(
    interval: float, fetch: float, wait: float | None = 20.0, known_wait: str | None = "mean"
) -> dict[str, Any]:
    means = {"interval_ms": interval, "fetch_ms": fetch, "wait_ms": wait}
    steps = {name: None if mean is None else {"mean": mean} for name, mean in means.items()}
    known = {"interval": "exact", "fetch": "mean", "wait": known_wait}
    return {"steps": steps | {"count": 90}, "training": known}


def judged(found: dict[str, Any]) -> set[str]:
    _, claims = planted.judge(planted.CASES["fit"], found, log(3))
    return {claim for claim, holds in claims.items() if not holds}


def test_a_right_profile_of_a_planted_script_holds() -> None:
    assert judged(profile(30.0, 20.0)) == set()


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (profile(31.0, 20.0), {"interval"}),
        (profile(29.5, 20.0), {"interval"}),
        (profile(30.0, 18.0), {"fetch"}),
        (profile(30.0, 24.0), {"fetch"}),
        (profile(30.0, 20.0, known_wait=None), {"table"}),
        ({}, {"measured", "table", "interval", "fetch"}),
    ],
)
def test_a_wrong_profile_of_a_planted_script_does_not_hold(found: dict[str, Any], broken: set[str]) -> None:
    assert judged(found) == broken


def test_what_the_table_calls_unknown_has_to_be_absent() -> None:
    found = profile(30.0, 20.0, wait=19.0)
    _, claims = planted.judge(planted.CASES["fit_executions"], found, log(3))
    assert not claims["wait n/a"]


def test_a_loop_that_cannot_be_seen_has_to_be_named() -> None:
    case = planted.CASES["loop_in_function"]

    def broken(*errors: dict[str, str]) -> set[str]:
        _, claims = planted.judge(case, {"errors": list(errors)}, [])
        return {claim for claim, holds in claims.items() if not holds}

    right = {"code": "never-iterated", "message": "train.py:8: `for x in dataset` inside a tf.function fetches there"}
    assert broken(right) == set()
    assert broken() == broken({"code": "raised", "message": right["message"]}) == {"says why"}
    assert broken({"code": "never-iterated", "message": "it came to its end"}) == {"says why"}


def test_the_first_step_of_an_epoch_begins_between_the_last_one_and_its_batch() -> None:
    steps = planted.steps_of(log(2), COUNT)
    assert {(step.least, step.most) for step in steps} == {(30, 30), (30, 30 + GAP_MS)}


def test_a_record_that_was_cut_off_does_not_count() -> None:
    data = b"".join(planted.RECORD.pack(*record) for record in log(1))
    assert len(planted.records_of(data[:-5])) == 2 * COUNT - 1


@pytest.mark.parametrize("name", cases.CASES)
def test_the_edits_of_a_script_still_apply_to_it(name: str) -> None:
    case = cases.CASES[name]
    for edits in (case.stored, case.mend):
        compile(cases.edited(name, edits), name, "exec")


def test_every_script_has_its_truth_and_names_its_origin() -> None:
    scripts = {path.stem: path.read_text(encoding="utf-8") for path in cases.SCRIPTS.glob("*.py")}
    assert set(scripts) == set(cases.CASES)
    assert all("The shape of " in text.split('"""')[1] for text in scripts.values())
