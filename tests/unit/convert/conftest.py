"""Recorded runs for tests of conversions."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.convert.made_stages import Pipeline

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.store import load_profile

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"


@pytest.fixture
def pipeline() -> Pipeline:
    """A profile with the stages given, whose loop waits for them."""

    def make(*stages: Stage) -> Profile:
        found = load_profile(RECORDED / "jpeg-folder.json")
        assert found.verdict is not None
        assert found.headspace is not None
        found.verdict.bound, found.headspace.share, found.stages = "input", 0.9, list(stages)
        return found

    return make
