"""Profiles of a made-up fleet: a recorded one with other times, hosts and labels."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles" / "input-bound.json"
BEGAN = datetime(2026, 11, 1)
_BASE = json.loads(RECORDED.read_text(encoding="utf-8"))
FINDING = {
    "rule": "serial-map-cpu",
    "title": "Make the map parallel",
    "status": "kept",
    "measured": {"speedup": 2.5, "low": 2.4, "high": 2.6},
}


def profile(number: int = 0, *, slower: float = 1.0, pipeline: str = "flowers", **fields: Any) -> dict[str, Any]:
    """A profile as a document.

    Args:
        number: When it was measured: so many hours after `BEGAN`.
        slower: Its step interval over that of the recorded one.
        fields: Others by their dotted path, with ``__`` for the dot.
    """
    document = copy.deepcopy(_BASE)
    document["started"] = (BEGAN + timedelta(hours=number)).isoformat() + "+00:00"
    document["target"] |= {"name": pipeline}
    document["commit"] = f"{number:040x}"
    for name in ("elements_per_second", "batches_per_second"):
        document["throughput"][name] /= slower
    document["steps"]["interval_ms"]["mean"] *= slower
    for path, value in fields.items():
        *parents, last = path.split("__")
        part = document
        for parent in parents:
            part = part[parent]
        part[last] = value
    return document


def series(
    count: int, *, change_at: int | None = None, slower: float = 1.1, noise: float = 0.02, seed: int = 0, **fields: Any
) -> list[dict[str, Any]]:
    """Profiles in a row of one pipeline, which becomes slower at one of them."""
    drawn = random.Random(seed)
    return [
        profile(
            number,
            slower=math.exp(drawn.gauss(0.0, noise)) * (slower if change_at is not None and number >= change_at else 1),
            **fields,
        )
        for number in range(count)
    ]


def save(folder: Path, documents: Sequence[Mapping[str, Any]], name: str = "run") -> None:
    """Write documents as files of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, document in enumerate(documents):
        (folder / f"{name}-{number}.json").write_text(json.dumps(document), encoding="utf-8")
