"""What is inside a stage: calls, short ops and Python functions whose cost is known (`inside_pipelines.py`).

What is held against the profile of each:

* ``calls``: the number of calls per batch is exact;
* ``stage``: the stage's CPU time is within 20 % of what a plain loop takes less without it, both as parts of the CPU
  time of the process: the loop may run while the machine is slower;
* ``calling``: its calls take at most half as much again as those of a map of one op, and at least a third of them;
* ``own``: the time of every Python function is within 15 % of the truth;
* ``nested``: functions are no longer than the op that calls them, and ops no longer than their stage.
"""

from __future__ import annotations

from typing import Any

from planted import Plan

STAGE_WITHIN, OWN_WITHIN = 0.20, 0.15
CALLING_WITHIN = (1 / 3, 1.5)
SECONDS = 4
CASES = (
    "short_ops_5", "short_ops_50", "short_ops_500", "python_generator_computes", "python_generator_sleeps",
    "python_generator_of_batches", "python_numpy_function_computes", "python_numpy_function_sleeps",
    "python_py_function_computes", "python_py_function_sleeps", "python_at_once",
)  # fmt: skip


def judge(truth: dict[str, dict[str, float]], profile: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bool]]:
    """What was planted and found, and which of the claims hold."""
    found = {stage["name"] or stage["id"]: stage for stage in profile["stages"]}
    figures: dict[str, Any] = {}
    claims: dict[str, bool] = {"nested": all(map(_is_nested, profile["stages"]))}
    for name, given in truth.items():
        stage, one = found[name], dict(given)
        if (whole := one.pop("whole_ms", None)) is not None:
            speed = profile["cpu"]["total_ms"] / whole
            one |= {key: value * speed for key, value in one.items() if key.endswith("_ms")}
        figures[name] = {
            "true": {key: round(value, 3) for key, value in one.items()},
            "measured": {key: _measured(stage, key) for key in one},
        }
        for key, value in one.items():
            seen = figures[name]["measured"][key] or 0.0
            holds = _HOLDS[key](seen, value)
            claims[key.removesuffix("_ms")] = claims.get(key.removesuffix("_ms"), True) and holds
    return figures, claims


_HOLDS: dict[str, Any] = {
    "calls": lambda seen, true: seen == true,
    "stage_ms": lambda seen, true: abs(seen - true) <= STAGE_WITHIN * true,
    "calling_ms": lambda seen, true: CALLING_WITHIN[0] * true <= seen <= CALLING_WITHIN[1] * true,
    "own_ms": lambda seen, true: abs(seen - true) <= OWN_WITHIN * true,
}


def _measured(stage: dict[str, Any], key: str) -> float | None:
    if key == "own_ms":
        return round(sum(one["ms_per_batch"] for one in stage["python"] or []), 3)
    name = {"stage_ms": "cpu_ms_per_batch", "calling_ms": "calling_ms_per_batch", "calls": "calls_per_batch"}[key]
    value = stage[name]
    return round(value, 3) if value is not None else None


def _is_nested(stage: dict[str, Any]) -> bool:
    ops = {one["op"]: one["ms_per_batch"] for one in stage["ops"] or []}
    calling: dict[str, float] = {}
    for one in stage["python"] or []:
        if one["parent"] in ops:
            calling[one["parent"]] = calling.get(one["parent"], 0.0) + one["ms_per_batch"]
    if stage["cpu_ms_per_batch"] is None:
        return True
    whole = stage["cpu_ms_per_batch"] + (stage["blocked_ms_per_batch"] or 0.0)
    return sum(ops.values()) <= whole * 1.001 and all(ms <= ops[op] * 1.001 for op, ms in calling.items())


def _in_words(figures: dict[str, Any]) -> str:
    return ", ".join(
        f"{stage} {key} {one['measured'][key]} (true {value})"
        for stage, one in figures.items()
        for key, value in one["true"].items()
    )


PLAN = Plan("inside", SECONDS, judge, _in_words, ("stages", "cpu", "contention", "warnings"))
run_case = PLAN.run
