"""Whether the gate deserves trust: false alarms, what it finds, and how long it takes.

Of each of four pipelines, pairs of processes are recorded (three processes each, as the gate measures them) under a
load of the machine that changes from pair to pair. From them thousands of sessions are drawn (draw.py) and decided by
the gate, and by the rules of four other tools (rules.py); with B as it was recorded, and with its values multiplied.
Then the gate decides ten times live on each pipeline, four times on the pipeline as it is, six times with longer steps
and memory that is held.

Demanded: at most 1 % of the unchanged sessions fail, drawn ones and live ones; at least 95 % of those with a slow-down
of 10 % fail; the median live decision takes at most 90 s, the start of all processes included. The recorded pairs are
kept in truth/ for each machine, and recorded with ``--truth`` alone: without it, drawn sessions are decided again on
what was recorded.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from run import ROOT, Benchmark, NotMeasuredError, main, public_data, read_json, result, store, truth_file, wants_truth

SLOWER = (0.03, 0.05, 0.10, 0.20)
LARGER = (0.05, 0.20)
SESSIONS = 500
MOST_ALARMS, LEAST_FOUND, FOUND_AT, MOST_SECONDS = 0.01, 0.95, 0.10, 90.0
PAIRS = 20
"""That are recorded of each pipeline."""
PIPELINES = ("jpeg_folder", "tfrecord_shards", "text_padded", "csv_lines")
NAMES = ("step_ms", "peak_bytes")


def curve(bank: list[Any], seed: int) -> dict[str, Any]:
    """What the gate and the others decide on drawn sessions of one pipeline."""
    from draw import decide, others, sessions

    shares: dict[str, Any] = {}
    for name, roles in (("unchanged", False), ("unchanged_any_role", True)):
        drawn = list(sessions(bank, SESSIONS, seed, roles=roles))
        decisions = [decide(session, {}) for session in drawn]
        called = [others(session, 0.0) for session in drawn]
        shares[name] = {
            "failed": sum(one.failed() for one in decisions) / SESSIONS,
            "inconclusive": sum(one.inconclusive() for one in decisions) / SESSIONS,
            "pairs_median": median(one.pairs for one in decisions),
            "seconds_median": round(median(one.seconds for one in decisions), 1),
            "others": {rule: sum(one[rule] for one in called) / SESSIONS for rule in called[0]},
        }
    drawn = list(sessions(bank, SESSIONS, seed + 1, roles=True))
    for metric, factors in (("step_ms", SLOWER), ("peak_bytes", LARGER)):
        for factor in factors:
            decisions = [decide(session, {metric: 1 + factor}) for session in drawn]
            found: dict[str, Any] = {
                "found": sum(one.failed(metric) for one in decisions) / SESSIONS,
                "passed": sum(not one.failed() and not one.inconclusive() for one in decisions) / SESSIONS,
                "seconds_median": round(median(one.seconds for one in decisions), 1),
            }
            if metric == "step_ms":
                called = [others(session, factor) for session in drawn]
                found["others"] = {rule: sum(one[rule] for one in called) / SESSIONS for rule in called[0]}
            shares[f"{metric}+{factor:.0%}"] = found
    return shares


def average(curves: Sequence[dict[str, Any]], row: str, *path: str) -> float:
    """The mean of a share over all pipelines."""
    total = 0.0
    for shares in curves:
        value: Any = shares[row]
        for key in path:
            value = value[key]
        total += value
    return round(total / len(curves), 4)


def of_drawn(curves: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of drawn sessions, over so many pipelines."""
    rules = list(curves[0]["unchanged"]["others"])
    return {
        "decisions_drawn": len(curves) * SESSIONS * (2 + len(SLOWER) + len(LARGER)),
        "false_alarms_drawn": average(curves, "unchanged", "failed"),
        "false_alarms_drawn_any_role": average(curves, "unchanged_any_role", "failed"),
        "inconclusive_drawn": average(curves, "unchanged", "inconclusive"),
        "found_step": {f"{x:.0%}": average(curves, f"step_ms+{x:.0%}", "found") for x in SLOWER},
        "found_memory": {f"{x:.0%}": average(curves, f"peak_bytes+{x:.0%}", "found") for x in LARGER},
        "passed_though_slower": {f"{x:.0%}": average(curves, f"step_ms+{x:.0%}", "passed") for x in SLOWER},
        "others_false_alarms": {rule: average(curves, "unchanged_any_role", "others", rule) for rule in rules},
        "others_found": {
            rule: {f"{x:.0%}": average(curves, f"step_ms+{x:.0%}", "others", rule) for x in SLOWER} for rule in rules
        },
    }


def of_live(live: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of live decisions."""
    decided = [one for one in live if not one["errors"]]
    unchanged = [one for one in decided if not one["slower"] and not one["larger"]]
    return {
        "live_decisions": len(live),
        "live_errors": len(live) - len(decided),
        "live_false_alarms": sum(one["exit_code"] == 3 for one in unchanged),
        "live_inconclusive_unchanged": sum(one["exit_code"] == 4 for one in unchanged),
        "live_unchanged": len(unchanged),
        "live_found": {
            name: {
                f"{size:.0%}": [
                    sum(one["verdicts"].get(name) == "regressed" for one in decided if one[key] == size),
                    sum(one[key] == size for one in decided),
                ]
                for size in sorted({one[key] for one in decided if one[key]})
            }
            for name, key in zip(NAMES, ("slower", "larger"), strict=True)
        },
        "live_seconds_median": median(one["seconds"] for one in decided) if decided else None,
    }


def drawn_holds(figures: Mapping[str, Any]) -> bool:
    """Whether drawn sessions are decided as is demanded."""
    alarms = max(figures["false_alarms_drawn"], figures["false_alarms_drawn_any_role"])
    return bool(alarms <= MOST_ALARMS and figures["found_step"][f"{FOUND_AT:.0%}"] >= LEAST_FOUND)


def conclude(cases: Mapping[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """What all drawn and live decisions say together."""
    curves = [one["raw"]["curve"] for name, one in cases.items() if name.startswith(DRAWN)]
    live = [
        one["figures"] for name, one in cases.items() if name.startswith(LIVE_CASE) and "verdicts" in one["figures"]
    ]
    if not curves or not live:
        return "cannot tell", {}
    figures = of_drawn(curves) | of_live(live)
    alarms = figures["live_false_alarms"] <= MOST_ALARMS * figures["live_unchanged"]
    seconds = figures["live_seconds_median"]
    holds = drawn_holds(figures) and alarms and not figures["live_errors"] and (seconds or 0.0) <= MOST_SECONDS
    return "holds" if holds else "does not hold", figures


def bank_of(name: str, folder: Path, *, again: bool) -> dict[str, Any]:
    """The recorded pairs of a pipeline, with where and when: those of this machine, or else of another one."""
    from record import CASES, record_bank

    own = truth_file("gate")
    if again:
        rows: list[dict[str, Any]] = []
        number = list(PIPELINES).index(name)
        public_data(folder)
        os.chdir(folder)
        record_bank(CASES[name], rows, PAIRS, 100 + number, lambda text: print(f"  {name}: {text}", flush=True))
        os.chdir(ROOT)
        store("gate", name, {"bank": rows}, indent=None)
    for file in (own, *sorted(own.parent.glob("*.json"))):
        if kept := read_json(file).get(name):
            return dict(kept)
    msg = "no pairs are recorded: run.py gate --truth records them"
    raise NotMeasuredError(msg)


def measured(name: str, folder: Path) -> dict[str, Any]:
    """The drawn decisions of a pipeline, or one live decision."""
    kind, pipeline, *turn = name.split()
    if kind == DRAWN:
        stored = bank_of(pipeline, folder, again=wants_truth())
        shares = curve(stored["bank"], PIPELINES.index(pipeline))
        figures = of_drawn([shares])
        print(f"  {figures['false_alarms_drawn']:.2%} false alarms, found {figures['found_step']}")
        truth = {key: stored[key] for key in ("commit", "date", "machine")}
        return result(drawn_holds(figures), figures, {"curve": shares}) | {"truth": truth}
    from record import CASES, LIVE, record_live

    place = int(turn[0]) - 1
    public_data(folder)
    os.chdir(folder)
    with tempfile.TemporaryDirectory() as own:
        peaks = bank_of(pipeline, folder, again=False)["bank"]
        number = PIPELINES.index(pipeline)
        found = record_live(CASES[pipeline], peaks, LIVE[place], 1000 * number + place, Path(own))
    verdicts = ", ".join(f"{metric} {verdict}" for metric, verdict in found["verdicts"].items())
    print(f"  {LIVE[place]}: {verdicts} ({found['pairs']} pairs, {found['seconds']} s)")
    # Of one decision: no false alarm. How many changes are found and how soon, all decisions say together.
    alarm = found["exit_code"] == 3 and not found["slower"] and not found["larger"]
    figures = {key: value for key, value in found.items() if key != "values"}
    return result(not alarm and not found["errors"], figures, {"values": found["values"]})


DRAWN, LIVE_CASE = "drawn", "live"
BENCHMARK = Benchmark(
    claim=f"at most {MOST_ALARMS:.0%} of unchanged sessions fail, at least {LEAST_FOUND:.0%} of those {FOUND_AT:.0%} "
    f"slower do, and the median live decision takes at most {MOST_SECONDS:g} s",
    cases=(
        *(f"{DRAWN} {name}" for name in PIPELINES),
        *(f"{LIVE_CASE} {name} {turn}" for turn in range(1, 11) for name in PIPELINES),
    ),
    measure=measured,
    conclude=conclude,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
