"""What a change that saves memory costs in speed, and which of the two matters."""

from __future__ import annotations

import pytest

from pipeprof.cli.report.worth import describe_price
from pipeprof.profiles.document.findings import Finding


@pytest.mark.parametrize(
    ("speeds", "bound", "facts", "text"),
    [
        ((0.88, 0.86, 0.9), "input", {}, "saves 300 MiB, costs 12 % of the steps per second. Both matter here"),
        ((1.0, 0.99, 1.02), "input", {}, "saves 300 MiB at the same speed, within what was measured"),
        ((1.2, 1.18, 1.22), "input", {}, "saves 300 MiB, and is 1.20× as fast (1.18–1.22)"),
        ((1.19, 0.01, 99.0), "input", {}, "saves 300 MiB; too few rounds to tell whether it changes the speed. Both"),
        ((0.74, 0.2, 2.78), "input", {}, "saves 300 MiB, and seems slower: 0.740× (0.200–2.78)"),
        ((0.5, 0.2, 0.8), "step", {}, "saves 300 MiB, costs 50 % of the steps per second. Speed matters little here"),
        ((0.5, 0.2, 0.8), None, {}, "saves 300 MiB, costs 50 % of the steps per second. Without a training step it is"),
        ((1.0, 0.9, 1.1), "input", {"status": "rejected"}, "None"),
        ((1.0, 0.9, 1.1), "input", {"family": "speed"}, "None"),
    ],
)
def test_memory_that_is_saved_has_its_price(speeds, bound, facts, text, recorded):
    profile = recorded("input-bound")
    assert profile.verdict is not None
    assert profile.steps is not None
    profile.verdict.bound, profile.steps.dispatch = bound, "sync" if bound else None
    effect = {**dict(zip(("speedup", "low", "high"), speeds, strict=True)), "peak_rss_delta_bytes": -300 << 20}
    known = {"rule": "a", "title": "a", "family": "memory", "status": "kept", "measured": effect}
    assert str(describe_price(profile, Finding.model_validate({**known, **facts}))).startswith(text)
