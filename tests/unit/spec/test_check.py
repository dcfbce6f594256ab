"""What is wrong with a spec's data: which kind, where, and what was meant. The lines are in golden/bad_specs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.spec.check import Fault, describe, find_faults

SOURCE = {"range": {"stop": 3}}


def faults(stages: list[Any] | None = None, **parts: Any) -> list[Fault]:
    data = {"version": 1, "source": SOURCE, **({"stages": stages} if stages is not None else {}), **parts}
    return find_faults(data, Path("/nowhere"))


def test_nothing_is_wrong_with_a_good_spec() -> None:
    notes = {"x-notes": {"a": [1]}, "stages": [{"batch": {"batch_size": 2, "x-why": "small"}}, {"cache": None}]}
    assert faults(**notes) == []


@pytest.mark.parametrize(
    ("stage", "place", "code", "suggestion"),
    [
        ({"bach": {"batch_size": 2}}, ("bach",), "unknown-stage", "batch"),
        # What a mapping with an unknown key lacks is that key.
        ({"batch": {"bach_size": 2}}, ("batch", "bach_size"), "unknown-argument", "batch_size"),
        ({"batch": {"batch_size": "32"}}, ("batch", "batch_size"), "wrong-value", None),
        ({"batch": {"batch_size": 2, "drop_remainder": "yes"}}, ("batch", "drop_remainder"), "wrong-value", None),
        ({"batch": {}}, ("batch",), "missing-key", None),
        ({"batch": None, "batch_size": 2}, (), "several-stages", None),
        ({"map": {"ops": ["tf.image.resiz"]}}, ("map", "ops", 0), "unknown-function", "tf.image.resize"),
        ({"map": {"ops": [{"tf.cast": {"on": "a"}}]}}, ("map", "ops", 0, "tf.cast"), "missing-key", None),
        ({"map": {"ops": ["tf.abs"], "python": "f.py:f"}}, ("map", "python"), "conflict", None),
        (
            {"interleave": {"source": {"TFRecordDataset": {}}, "stages": [{"tak": {"count": 3}}]}},
            ("interleave", "stages", 0, "tak"),
            "unknown-stage",
            "take",
        ),
    ],
)
def test_stages(stage: Any, place: tuple[Any, ...], code: str, suggestion: str | None) -> None:
    found = [(fault.address, fault.code, fault.suggestion) for fault in faults([stage])]
    assert found == [(("stages", 0, *place), code, suggestion)]


def test_what_is_told_is_bounded() -> None:
    assert len(faults([{"bach": {}}] * 5000)) == 5000
    assert len(describe("x" * 5000)) < 80
