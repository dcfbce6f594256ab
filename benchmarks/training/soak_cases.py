"""Trainings whose memory grows by 1 MB in each epoch, each with its owner, and healthy ones: what a soak must say.

The truth of a growth is in the script's own log: resident bytes at the end of each epoch, before pipeprof looks for the
owner (that takes memory and time itself).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOAK = Path(__file__).resolve().parent / "soak"
SECONDS = {"planted": "90s", "healthy": "60s"}
BEFORE = 0.6
"""Part of a soak in which memory is only read."""
WARM = 0.25
"""Part of these epochs that is warm-up."""
WITHIN = 0.2

Json = dict[str, Any]


@dataclass(frozen=True)
class Leak:
    """A planted growth.

    Attributes:
        owner: As the profile names it.
        line: The text of the line that it has to name.
    """

    owner: str
    line: str


LEAKS = {
    "list_grows": Leak("python", "history.append("),
    "rebuilt": Leak("datasets", "for batch, noise in ds:"),
    "retraced": Leak("traces", "@tf.function"),
    "py_function": Leak("python", "seen.setdefault("),
    "iterators_kept": Leak("iterators", "batches = iter(ds)"),
}
HEALTHY = tuple(sorted(path.stem for path in (SOAK / "healthy").glob("*.py")))
CASES = (*(f"planted/{name}" for name in LEAKS), *(f"healthy/{name}" for name in HEALTHY))


def true_rate(log: str, seconds: float) -> float | None:
    """Bytes per second by a script's own log, without its warm-up and its last part; None for too few epochs."""
    rows = [tuple(map(float, line.split())) for line in log.splitlines()]
    last = [row for row in rows if row[0] <= rows[-1][0] - (1 - BEFORE) * seconds]
    first = last[int(WARM * len(last))] if len(last) > 8 else None
    return (last[-1][1] - first[1]) / (last[-1][0] - first[0]) if first is not None else None


def judge(name: str, profile: Json, log: str, seconds: float) -> tuple[Json, dict[str, bool]]:
    """What a soak said, and which demands hold: pure but for the script's text."""
    memory = profile.get("memory") or {}
    soak = memory.get("soak") or {}
    owner, ends = soak.get("owner") or {}, soak.get("ends") or {}
    said = [finding["rule"] for finding in profile.get("findings") or []]
    figures: Json = {key: soak.get(key) for key in ("state", "since_epoch", "bytes_per_epoch", "sampler_cores")}
    kind, script = name.split("/")
    if kind == "healthy":
        warned = [warning["code"] for warning in profile.get("warnings") or []]
        return figures, {"silent": soak.get("state") != "growth" and "memory-grows" not in said + warned}
    leak, rate = LEAKS[script], true_rate(log, seconds)
    at = (owner.get("location") or {}).get("line")
    lines = (SOAK / f"{name}.py").read_text(encoding="utf-8").splitlines()
    ratio = soak["bytes_per_second"] / rate if rate and soak.get("bytes_per_second") else None
    figures |= {"owner": owner.get("owner"), "line": at, "ratio": ratio, "ends": ends}
    return figures, {
        "growth": soak.get("state") == "growth" and "memory-grows" in said,
        "owner": owner.get("owner") == leak.owner,
        "line": at is not None and leak.line in lines[at - 1],
        # The room is the same for both: the end is as far as the rate is right.
        "end": bool(ends) and ratio is not None and 1 - WITHIN <= 1 / ratio <= 1 + WITHIN,
    }
