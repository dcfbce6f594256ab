"""Whatever numbers and fields a baseline has: it is refused when it is read, or it can be judged by."""

import copy
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.experiment.statistics import estimate
from pipeprof.profiles.judge.baseline import Against, check_comparable, identity_of, load_baseline, rows_against
from pipeprof.profiles.judge.verdicts.gating import counted, judged_for
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME, METRICS, RANGES
from pipeprof.profiles.judge.verdicts.result import PairValues, Result, Side
from pipeprof.profiles.judge.verdicts.tabulate import BY_DEFAULT, Judged

STAGE = "stages.decode.time_ms"
UNITS = {**{metric.name: metric.unit for metric in METRICS}, STAGE: "ms"}
USUAL = dict.fromkeys(UNITS, 0.5)
NUMBERS = st.sampled_from(
    [1e308, -1e308, 1e-308, 5e-324, 1e12, 1e-12, 1e18, -1.0, -0.0, 0, 0.5, 2**60, 2**63, 10**400, True]
)
NOT_NUMBERS = st.sampled_from([None, "1", "", [], {}, [1.0]])
IDENTITY = identity_of("spec.yaml", None, None)
EVERYTHING = {**BY_DEFAULT, **{name: Judged() for name in UNITS}}


def usual(count: int) -> list[dict[str, Any]]:
    pairs = [PairValues(order=[], a=dict(USUAL), b={"step_ms": 0.25}, again=dict(USUAL)) for _ in range(count)]
    return [pair.model_dump() for pair in pairs]


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*above, key)
        yield from places(one, (*above, key))


def at(document: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        document = document[key]
    return document


def document(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    side = Side(text="spec.yaml", identity=IDENTITY, elements_per_batch=64.0)
    result = Result(kind="baseline", tool=Tool(version="1"), a=side, b=Side(text="reference workload"))
    return {**result.model_dump(), "complete": True, "pairs": pairs}


def changed(side: str, name: str, number: float | None) -> Any:
    """A document that was an internal error once it had been measured against, with one more number, or one less."""
    pairs = usual(5)
    pairs[2][side] = {key: one for key, one in {**USUAL, name: number}.items() if one is not None}
    now = [PairValues(**pair) for pair in usual(5)]
    return example(document=document(pairs), now=now, judged=BY_DEFAULT, how=Against(simulated=True))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A baseline with a few other values, and without a few fields."""
    made = document(usual(draw(st.integers(1, 6))))
    for _ in range(draw(st.integers(1, 3))):
        change_values(draw, made["pairs"])
    if not draw(st.integers(0, 4)):
        *above, key = draw(st.sampled_from([place for place in places(made) if place[0] in ("pairs", "a")]))
        at(made, tuple(above))[key] = copy.deepcopy(draw(NUMBERS | NOT_NUMBERS))
    return made


def change_values(draw: st.DrawFn, pairs: list[dict[str, Any]]) -> None:
    """Change or remove a metric of one process, or of all of a side."""
    side, name = draw(st.sampled_from([(side, name) for side in ("a", "again") for name in UNITS] + [("b", "step_ms")]))
    number = draw(NUMBERS | st.floats(1e-13, 1e13) | st.none())
    for pair in pairs if draw(st.booleans()) else [draw(st.sampled_from(pairs))]:
        if number is None:
            pair[side].pop(name, None)
        else:
            pair[side][name] = number


def values(draw: st.DrawFn) -> dict[str, float]:
    found = {name: draw(st.floats(*RANGES[unit])) for name, unit in UNITS.items()}
    return {name: found[name] for name in found if name in ("step_ms", "peak_bytes") or draw(st.booleans())}


@st.composite
def sessions(draw: st.DrawFn) -> list[PairValues]:
    """What may be measured, however odd."""
    step = st.floats(*RANGES["ms"])
    return [
        PairValues(
            order=[],
            a=values(draw),
            b={"step_ms": draw(step)} if draw(st.booleans()) else {},
            again=values(draw) if draw(st.booleans()) else None,
        )
        for _ in range(draw(st.integers(1, 4)))
    ]


@given(
    document=documents(),
    now=st.just([PairValues(**pair) for pair in usual(5)]) | sessions(),
    judged=st.sampled_from([BY_DEFAULT, EVERYTHING, {**BY_DEFAULT, STAGE: Judged(floor=0.1, limit=2.0)}]),
    how=st.builds(Against, st.booleans(), st.booleans()),
)
@changed("a", "wait_ms", 1e308)
@changed("again", "disk_bytes_per_element", -1e308)
@changed("a", "step_ms", None)
@changed("b", "step_ms", 5e-324)
def test_a_baseline_is_refused_or_judged_by(
    document: dict[str, Any], now: list[PairValues], judged: dict[str, Judged], how: Against
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "base.json")
        path.write_text(json.dumps(document))
        try:
            known = load_baseline(path, "spec.yaml", IDENTITY)
            check_comparable(path, known, judged, "none", None)
        except ProfileError:
            return
    rows = rows_against(counted(known.pairs), now, judged_for(known.a, known.a, judged), how)
    numbers = [number for row in rows for number in (row.a, row.b, row.change, row.low, row.high, row.normalised)]
    assert all(number is None or math.isfinite(number) for number in numbers)
    result = known.model_copy(update={"metrics": rows})
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_the_usual_one_is_judged_by() -> None:
    pairs = [PairValues(**pair) for pair in usual(5)]
    assert {row.verdict for row in rows_against(pairs, pairs, EVERYTHING)} == {"not regressed"}


def test_an_end_that_no_number_can_say_is_none() -> None:
    apart = estimate([math.log(2.0**60), math.log(2.0**-60)])
    assert apart is not None
    assert BY_NAME["peak_bytes"].ends(apart) == (pytest.approx(0.0), None)
