"""Whether the gate deserves trust: false alarms, what it finds, and how long it takes.

Usage: ``python benchmarks/gate/bench.py --out FILE [--pairs 20] [--only NAME …] [--data FOLDER] [--decide]``. Of each
of four pipelines, pairs of processes are recorded (three processes each, as the gate measures them) under a load of
the machine that changes from pair to pair. From them thousands of sessions are drawn (draw.py) and decided by the gate,
and by the rules of four other tools (rules.py); with B as it was recorded, and with its values multiplied. Then the
gate decides ten times live on each pipeline, four times on the pipeline as it is, six times with longer
steps and memory that is held.

Demanded: at most 1 % of the unchanged sessions fail, drawn ones and live ones; at least 95 % of those with a slow-down
of 10 % fail; the median live decision takes at most 90 s, the start of all processes included. FILE is written after
each pair and each decision, and a second run goes on where it ends; ``--decide`` decides again on what FILE holds, and
measures nothing. About 95 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from draw import NAMES, Recorded, decide, others, sessions
from record import CASES, LIVE, PUBLIC, ROOT, record_bank, record_live, scratch

SLOWER = (0.03, 0.05, 0.10, 0.20)
LARGER = (0.05, 0.20)
SESSIONS = 500
MOST_ALARMS, LEAST_FOUND, FOUND_AT, MOST_SECONDS = 0.01, 0.95, 0.10, 90.0
CLAIM = (
    f"at most {MOST_ALARMS:.0%} of unchanged sessions fail, at least {LEAST_FOUND:.0%} of those {FOUND_AT:.0%} slower "
    f"do, and the median live decision takes at most {MOST_SECONDS:g} s"
)


def curve(bank: list[Recorded], seed: int) -> dict[str, Any]:
    """What the gate and the others decide on drawn sessions of one pipeline."""
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


def average(curves: dict[str, dict[str, Any]], row: str, *path: str) -> float:
    """The mean of a share over all pipelines."""
    total = 0.0
    for shares in curves.values():
        value: Any = shares[row]
        for key in path:
            value = value[key]
        total += value
    return round(total / len(curves), 4)


def conclude(raw: dict[str, Any]) -> dict[str, Any]:
    """The figures of what was recorded."""
    curves = {name: curve(case["bank"], number) for number, (name, case) in enumerate(raw.items())}
    live = [decision for case in raw.values() for decision in case["live"]]
    decided = [one for one in live if not one["errors"]]
    unchanged = [one for one in decided if not one["slower"] and not one["larger"]]
    figures: dict[str, Any] = {
        "processes_recorded": {name: 3 * len(case["bank"]) for name, case in raw.items()},
        "decisions_drawn": len(curves) * SESSIONS * (2 + len(SLOWER) + len(LARGER)),
        "false_alarms_drawn": average(curves, "unchanged", "failed"),
        "false_alarms_drawn_any_role": average(curves, "unchanged_any_role", "failed"),
        "inconclusive_drawn": average(curves, "unchanged", "inconclusive"),
        "found_step": {f"{x:.0%}": average(curves, f"step_ms+{x:.0%}", "found") for x in SLOWER},
        "found_memory": {f"{x:.0%}": average(curves, f"peak_bytes+{x:.0%}", "found") for x in LARGER},
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
        "others_false_alarms": {
            rule: average(curves, "unchanged_any_role", "others", rule)
            for rule in next(iter(curves.values()))["unchanged"]["others"]
        },
        "others_found": {
            rule: {f"{x:.0%}": average(curves, f"step_ms+{x:.0%}", "others", rule) for x in SLOWER}
            for rule in next(iter(curves.values()))["unchanged"]["others"]
        },
        "by_pipeline": curves,
    }
    figures["passed_though_slower"] = {f"{x:.0%}": average(curves, f"step_ms+{x:.0%}", "passed") for x in SLOWER}
    holds = (
        max(figures["false_alarms_drawn"], figures["false_alarms_drawn_any_role"]) <= MOST_ALARMS
        and figures["live_false_alarms"] <= MOST_ALARMS * len(unchanged)
        and figures["found_step"][f"{FOUND_AT:.0%}"] >= LEAST_FOUND
        and len(decided) >= len(LIVE) * len(CASES)
        and figures["live_seconds_median"] <= MOST_SECONDS
    )
    return {"claim": CLAIM, "holds": holds, "figures": figures, "raw": raw}


def record(raw: dict[str, Any], names: list[str], pairs: int, save: Callable[[], object]) -> None:
    """Measure: the banks of all pipelines first, then the live decisions, one pipeline after the other.

    Args:
        raw: What was recorded so far, by pipeline; what is there is not measured again.
        names: Of the pipelines.
        pairs: Of each bank.
        save: Saves `raw`.
    """

    def show(text: str) -> None:
        save()
        print(f"  {text}", file=sys.stderr, flush=True)

    for number, name in enumerate(names):
        bank = raw.setdefault(name, {"bank": [], "live": []})["bank"]
        if len(bank) < pairs:
            record_bank(CASES[name], bank, pairs, 100 + number, lambda text, name=name: show(f"{name}: {text}"))
    with scratch() as folder:
        for turn, faults in enumerate(LIVE):
            for number, name in enumerate(names):
                case = raw[name]
                if turn < len(case["live"]):
                    continue
                found = record_live(CASES[name], case["bank"], faults, 1000 * number + turn, Path(folder))
                case["live"].append(found)
                verdicts = ", ".join(f"{metric} {verdict}" for metric, verdict in found["verdicts"].items())
                show(f"{name}, live {turn + 1}, {faults}: {verdicts} ({found['pairs']} pairs, {found['seconds']} s)")
                save()


def main() -> int:
    """Record, decide, and say whether the claim holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=20, help="for each pipeline, of three processes each")
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--data", type=Path, help="keep the inputs here")
    parser.add_argument("--decide", action="store_true", help="measure nothing: decide again on what FILE holds")
    given = parser.parse_args()
    out = given.out.resolve()
    raw: dict[str, Any] = json.loads(out.read_text())["raw"] if out.exists() else {}
    began = time.monotonic()

    def save() -> None:
        out.write_text(json.dumps({"claim": CLAIM, "holds": False, "figures": {}, "raw": raw}), encoding="utf-8")

    if not given.decide:
        with scratch() as temporary:
            folder = (given.data or Path(temporary)).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "data").exists():
                subprocess.run([sys.executable, PUBLIC / "data.py", folder / "data"], check=True)
            os.chdir(folder)
            record(raw, list(given.only), given.pairs, save)
            os.chdir(ROOT)
    result = conclude({name: case for name, case in raw.items() if case["bank"]})
    out.write_text(json.dumps(result) + "\n", encoding="utf-8")
    figures = result["figures"]
    print(
        f"  drawn: {figures['false_alarms_drawn']:.2%} false alarms "
        f"({figures['false_alarms_drawn_any_role']:.2%} in any role), {figures['inconclusive_drawn']:.0%} undecided, "
        f"found {figures['found_step']}, {figures['found_memory']}"
    )
    print(
        f"  live: {figures['live_false_alarms']} of {figures['live_unchanged']} unchanged fail, found "
        f"{figures['live_found']}, median {figures['live_seconds_median']} s; {time.monotonic() - began:.0f} s in all"
    )
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
