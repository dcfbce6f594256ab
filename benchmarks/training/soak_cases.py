"""Trainings whose memory grows by 1 MB in each epoch, and healthy ones: what a soak must say.

The truth of a growth is in the script's own log: resident bytes at the end of each epoch. The rate is that of the
epochs before pipeprof looks for what grows (that takes memory and time itself); the end of memory is the room that the
last epoch left, divided by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SOAK = Path(__file__).resolve().parent / "soak"
SECONDS = {"planted": "90s", "healthy": "60s"}
BEFORE = 0.6
"""Part of a soak in which memory is only read."""
WARM = 0.25
"""Part of these epochs that is warm-up."""
WITHIN = 0.2
MOST_CORES = 0.002
"""Of a core that reading memory may take: inside of the process and from outside, over the whole soak."""
LEVEL = ("plateau", "filling", "garbage", "slow")
"""States of a soak that is long enough and finds no growth that matters."""
UNDECIDED = ("short", "unclear")

Json = dict[str, Any]


OWNERS = {
    "endless_cache": "stages",
    "list_grows": "python",
    "py_function": "python",
    "rebuilt": "python",
    "iterators_kept": "rest",
    "retraced": "rest",
}
"""What grows in each planted script, as the profile names it."""
HEALTHY = tuple(sorted(path.stem for path in (SOAK / "healthy").glob("*.py")))
CASES = (*(f"planted/{name}" for name in OWNERS), *(f"healthy/{name}" for name in HEALTHY))


def rows_of(log: str) -> list[tuple[float, ...]]:
    """Seconds and resident bytes at the end of each epoch."""
    return [tuple(map(float, line.split())) for line in log.splitlines()]


def true_rate(log: str, seconds: float) -> float | None:
    """Bytes per second by a script's own log, without its warm-up and its last part; None for too few epochs."""
    rows = rows_of(log)
    last = [row for row in rows if row[0] <= rows[-1][0] - (1 - BEFORE) * seconds]
    first = last[int(WARM * len(last))] if len(last) > 8 else None
    return (last[-1][1] - first[1]) / (last[-1][0] - first[0]) if first is not None else None


def is_close(found: float | None, true: float | None) -> bool:
    """Whether both are known, and one is the other within 20 %."""
    return found is not None and true is not None and abs(found - true) <= WITHIN * abs(true)


def judge(name: str, profile: Json, log: str, seconds: float) -> tuple[Json, dict[str, bool]]:
    """What a soak said, and which demands hold."""
    memory = profile.get("memory") or {}
    soak = memory.get("soak") or {}
    ends = soak.get("ends") or {}
    said = [finding["rule"] for finding in profile.get("findings") or []]
    parts = soak.get("sampler_cores"), (profile.get("overhead") or {}).get("sampler_cores")
    cores = sum(parts) if None not in parts else None
    figures: Json = {key: soak.get(key) for key in ("state", "bytes_per_epoch")}
    figures |= {"inside_cores": parts[0], "outside_cores": parts[1]}
    cheap = {"cheap": cores is not None and cores <= MOST_CORES}
    kind, script = name.split("/")
    if kind == "healthy":
        warned = [warning["code"] for warning in profile.get("warnings") or []]
        claims = {
            "complete": bool(profile.get("complete")),
            "level": soak.get("state") in LEVEL,
            "silent": "memory-grows" not in said + warned,
        } | cheap
        others = all(claims[claim] for claim in claims if claim != "level")
        return figures | {"undecided": others and soak.get("state") in UNDECIDED}, claims
    owner, rate = OWNERS[script], true_rate(log, seconds)
    room = ends["limit_bytes"] - rows_of(log)[-1][1] if ends and rate else None
    end = room / rate if room and rate else None
    figures |= {"owner": soak.get("owner"), "ends": ends, "true_end_seconds": end}
    figures |= {"bytes_per_second": soak.get("bytes_per_second"), "true_bytes_per_second": rate, "undecided": False}
    return figures, {
        # What stages hold may come to an end: it is no finding.
        "growth": soak.get("state") == ("filling" if owner == "stages" else "growth")
        and ("memory-grows" in said) == (owner != "stages"),
        "owner": soak.get("owner") == owner,
        "rate": is_close(soak.get("bytes_per_second"), rate),
        "end": is_close(ends.get("seconds"), end),
    } | cheap
