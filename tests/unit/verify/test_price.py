"""What a change that saves memory may cost."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.changes.edits import SetEnvironment
from pipeprof.profiles.document.findings import Finding, documents_of
from pipeprof.profiles.verify.price import too_dear

MIB = 1 << 20


@pytest.mark.parametrize(
    ("saved", "speedup", "high", "limit", "words"),
    [
        (77, 0.41, 0.47, None, "it saves 77.0 MiB of 734 MiB, and costs 59 % of the steps per second"),
        (77, 0.41, 0.47, 1000, None),
        (77, 0.41, 0.47, 10_000, "it saves 77.0 MiB of 734 MiB, and costs 59 % of the steps per second"),
        (77, 0.95, 1.02, None, None),
        (77, 0.74, 2.78, None, "it saves 77.0 MiB of 734 MiB, and seems slower: 0.740× (0.500 to 2.78, 6 pairs)"),
        (400, 0.74, 2.78, None, "it saves 400 MiB of 734 MiB, and seems slower: 0.740× (0.500 to 2.78, 6 pairs)"),
        (77, 0.74, 2.78, 1000, None),
        (77, 0.9, None, None, None),
        (400, 0.6, 0.7, None, None),
        (400, 0.3, 0.4, None, "it saves 400 MiB of 734 MiB, and costs 70 % of the steps per second"),
    ],
)
def test_a_small_part_of_the_memory_is_not_worth_much_of_the_speed(
    saved: int, speedup: float, high: float | None, limit: int | None, words: str | None
) -> None:
    measured = {
        "speedup": speedup,
        "low": 0.5,
        "high": high,
        "pairs": [speedup] * 6,
        "peak_rss_delta_bytes": -saved * MIB,
    }
    found = Finding(rule="some-rule", title="", family="memory", status="kept", measured=measured)
    assert too_dear(found, 734 * MIB, limit * MIB if limit else None) == words
    found.edit = documents_of([SetEnvironment("MALLOC_ARENA_MAX", "2")])
    if words is None and limit is None and saved == 77:
        # Of a setting of the process, the speed must be known.
        assert too_dear(found, 734 * MIB, None) == "it saves 77.0 MiB of 734 MiB; too few pairs to tell what it costs"
    found.family = "speed"
    assert too_dear(found, 734 * MIB, limit * MIB if limit else None) is None
