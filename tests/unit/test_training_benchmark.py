"""The benchmark of training scripts: the truth in a planted script's log, and edits of scripts that still apply."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.test_benchmarks import loaded

planted, cases = loaded("training/planted_cases.py"), loaded("training/cases.py")
soaks, overhead = loaded("training/soak_cases.py"), loaded("training/overhead.py")
MS = 1_000_000
OTHER = 2  # a batch of another dataset, as planted/log.py writes it
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


def test_a_batch_of_another_dataset_belongs_to_the_step_that_takes_it() -> None:
    records = []
    for begin in (0, 50 + GAP_MS):
        records += [
            (planted.BATCH, begin * MS, (begin + 20) * MS),
            (OTHER, (begin + 20) * MS, (begin + 40) * MS),
            (planted.STEP, (begin + 40) * MS, (begin + 50) * MS),
        ]
    steps = planted.steps_of(records, 1)
    assert [(step.least, step.most) for step in steps] == [(50, 50), (50, 50 + GAP_MS)]


@pytest.mark.parametrize("name", cases.CASES)
def test_the_edits_of_a_script_still_apply_to_it(name: str) -> None:
    case = cases.CASES[name]
    for edits in (case.stored, case.mend):
        compile(cases.edited(name, edits), name, "exec")


def test_every_script_has_its_truth_and_names_its_origin() -> None:
    scripts = {path.stem: path.read_text(encoding="utf-8") for path in cases.SCRIPTS.glob("*.py")}
    assert set(scripts) == set(cases.CASES)
    assert all("The shape of " in text.split('"""')[1] for text in scripts.values())


@pytest.mark.parametrize(
    ("stored", "read", "waits"),
    [
        ((1.5, 1.2, 1.8), False, True),
        ((1.02, 1.0, 1.05), True, False),
        ((1.1, 1.0, 1.2), True, True),
        ((1.1, 1.0, 1.2), None, None),
    ],
)
def test_plain_runs_tell_whether_a_script_waits_before_reading_it_does(
    stored: tuple[float, ...], read: bool | None, waits: bool | None
) -> None:
    assert cases.is_input_bound(cases.Script((), input_bound=read), stored) is waits


def test_no_window_begins_in_the_warm_up() -> None:
    """Steps of 50 ms in the warm-up of 3 s, and of 30 ms after it: only their mean is right."""
    case = planted.CASES["iterator_in_function"]
    slow = [(kind, begin, end) for kind, begin, end in log(1, step=30)]
    shift = slow[-1][2]
    records = slow + [(kind, begin + shift, end + shift) for kind, begin, end in log(2)[: 4 * COUNT]]

    def holds(interval: float, warmup: float) -> bool:
        found = {
            "steps": {"interval_ms": {"mean": interval}, "fetch_ms": {"mean": 20.0}, "count": 50},
            "training": {"interval": "mean", "fetch": "mean", "wait": None},
            "phases": [{"name": "warmup", "seconds": warmup}],
        }
        return bool(planted.judge(case, found, records)[1]["interval"])

    assert holds(30.0, 3.0)
    assert holds(50.0, 0.0)
    assert not holds(50.0, 3.0)


SOAK_SECONDS, RATE, LIMIT = 90.0, 500_000, 2_000_000_000


def soak_log() -> str:
    """An epoch of 2 s each: 1 MB more after every one."""
    return "".join(f"{t}.0 {600_000_000 + RATE * t}\n" for t in range(0, int(SOAK_SECONDS) + 1, 2))


def soaked(seconds: float, rate: float = RATE) -> dict[str, Any]:
    soak = {
        "state": "growth",
        "bytes_per_second": rate,
        "owner": "python",
        "ends": {"seconds": seconds, "limit_bytes": LIMIT},
    }
    return costing(0.0012, 0.0006, memory={"soak": soak}, findings=[{"rule": "memory-grows"}], complete=True)


def costing(inside: float | None, outside: float | None, memory: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """A profile whose soak took so much of a core."""
    soak = memory["soak"] | {"sampler_cores": inside}
    return {"memory": {"soak": soak}, "overhead": {"sampler_cores": outside}, **rest}


def soak_broken(name: str, found: dict[str, Any]) -> set[str]:
    _, claims = soaks.judge(name, found, soak_log(), SOAK_SECONDS)
    return {claim for claim, holds in claims.items() if not holds}


TRUE_END = (LIMIT - 600_000_000 - RATE * SOAK_SECONDS) / RATE


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (soaked(TRUE_END), set()),
        (soaked(1.15 * TRUE_END), set()),
        (soaked(1.25 * TRUE_END), {"end"}),
        (soaked(0.75 * TRUE_END), {"end"}),
        (soaked(TRUE_END, 1.5 * RATE), {"rate"}),
        (soaked(TRUE_END) | {"overhead": {"sampler_cores": 0.0009}}, {"cheap"}),
        (soaked(TRUE_END) | {"overhead": {"sampler_cores": None}}, {"cheap"}),
        ({}, {"growth", "owner", "rate", "end", "cheap"}),
    ],
)
def test_a_planted_growth_has_what_grows_and_the_end_of_memory(found: dict[str, Any], broken: set[str]) -> None:
    assert soak_broken("planted/list_grows", found) == broken


@pytest.mark.parametrize("state", ["plateau", "filling", "garbage", "slow", "growth", "short", "unclear", None])
def test_a_healthy_soak_has_a_state_that_is_no_growth(state: str | None) -> None:
    found = costing(0.001, 0.001, {"soak": {"state": state}}, complete=True)
    figures, claims = soaks.judge("healthy/history", found, "", SOAK_SECONDS)
    assert claims == {"complete": True, "level": state in soaks.LEVEL, "silent": True, "cheap": True}
    assert figures["undecided"] == (state in {"short", "unclear"})


def test_a_short_soak_that_took_too_much_of_a_core_is_no_doubt() -> None:
    found = costing(0.0012, 0.0009, {"soak": {"state": "short"}}, complete=True)
    figures, claims = soaks.judge("healthy/history", found, "", SOAK_SECONDS)
    assert not claims["cheap"]
    assert not figures["undecided"]


@pytest.mark.parametrize(
    ("wall", "outcome"),
    [((8.0, 7.0, 10.0), "holds"), ((10.0, 9.0, 11.0), "cannot tell"), ((12.0, 11.0, 13.0), "does not hold")],
)
def test_the_hooks_cost_what_the_upper_end_says(wall: tuple[float, ...], outcome: str) -> None:
    assert overhead.outcome_of("loop", {"wall": wall, "thread": (1.0, 1.0, 1.0)}) == outcome


def test_blocks_in_which_a_core_was_lost_do_not_count_unless_most_were() -> None:
    calm, held_up = ({"lost": 0}, {"lost": 0}), ({"lost": 0}, {"lost": 2})
    assert overhead.calm_of([calm, held_up, calm]) == [calm, calm]
    assert overhead.calm_of([calm, *[held_up] * 4]) == [calm]
    assert overhead.calm_of([calm, *[held_up] * 9]) == [calm, *[held_up] * 9]
